import { expect, test } from "bun:test";
import { RegionIndex } from "../../../src/regs/vfio/regions.ts";
import { CountedBackend } from "../../../src/device/seam/counted-backend.ts";
import { RecordedDevice } from "../../../src/device/backends/recorded/recorded-device.ts";
import { RegionRegisters } from "../../../src/device/seam/region-registers.ts";
import { endpointHeader } from "../../../src/regs/index.ts";
import { refusal } from "../../support/refusal.ts";
import { syntheticImage } from "../../support/synthetic-image.ts";

const config = RegionIndex.config;
const image = syntheticImage({ bars: { 0: { size: 0x1000 } } });

test("registers of every width are one access of that width each, and a change keeps what is not named", () => {
  using recorded = new RecordedDevice(image);
  const device = new CountedBackend(recorded);
  const registers = new RegionRegisters(device, config);
  const { command } = endpointHeader.live(registers);
  command.write(0);
  command.modify({ memorySpace: true });
  command.modify({ busMaster: true });
  expect(command.read()).toMatchObject({
    raw: 6,
    memorySpace: true,
    busMaster: true,
    interruptDisable: false,
  });
  expect(device.counts).toMatchObject({ configReads: 3, configWrites: 3 });
  const bytes = new Uint8Array(8);
  recorded.read(config, 4, bytes);
  expect(registers.read(4, 1)).toBe(bytes[0]!);
  expect(registers.read(4, 4)).toBe(new DataView(bytes.buffer).getUint32(0, true));
  // The dword beside it is as it was: a narrow write is narrow.
  registers.write(0x10, 4, 0xffff_ffff);
  registers.write(0x3c, 1, 0xa5);
  expect([registers.read(0x10, 4), registers.read(0x3c, 2) & 0xff]).toEqual([0xffff_f000, 0xa5]);
});

test("what does not fit or is no access is refused before the device hears of it; its own errors come out", () => {
  using recorded = new RecordedDevice(image);
  const device = new CountedBackend(recorded);
  const registers = new RegionRegisters(device, config);
  for (const value of [-1, 256, 1.5, NaN, 2 ** 40])
    expect(() => registers.write(0x3c, 1, value)).toThrow(RangeError);
  expect(() => registers.write(0x3c, 1, "1" as unknown as number)).toThrow(TypeError);
  for (const width of [0, 3, 8]) {
    expect(() => registers.read(0x3c, width)).toThrow(RangeError);
    expect(() => registers.write(0x3c, width, 0)).toThrow(RangeError);
  }
  expect(device.counts).toMatchObject({ configReads: 0, configWrites: 0 });
  endpointHeader.live(registers).command.write(0);
  expect(refusal(() => new RegionRegisters(device, 0).read(0, 4)).code).toBe("EIO");
});
