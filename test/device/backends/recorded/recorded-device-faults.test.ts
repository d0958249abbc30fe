// What a driver's or a VMM's tests ask of a recorded device: calls that fail, a request to give it back, a surprise removal.
import { expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { MemoryPlatform } from "../../../../src/device/platforms/memory/memory-platform.ts";
import { RecordedDevice } from "../../../../src/device/backends/recorded/recorded-device.ts";
import { VfioPciDevice } from "../../../../src/device/passthrough/vfio-pci-device.ts";
import type { DeviceEvent } from "../../../../src/device/seam/events.ts";
import { VfioError } from "../../../../src/ffi/errors.ts";
import { Eventfd } from "../../../../src/ffi/eventfd.ts";
import { readImage } from "../../../../src/image/index.ts";
import { IrqIndex } from "../../../../src/regs/vfio/irqs.ts";
import { RegionIndex } from "../../../../src/regs/vfio/regions.ts";

const nvme = () => new RecordedDevice(readImage(readFileSync("images/nvme.json", "utf8")));
const dword = () => new Uint8Array(new ArrayBuffer(4));

test("the next call of a kind fails once, in the order asked for, and takes no effect", () => {
  using device = nvme();
  device.failNext("write");
  device.failNext("write", new Error("second"));
  const before = dword();
  device.read(RegionIndex.config, 4, before);
  const command = Uint8Array.of(6, 0);
  expect(() => device.write(RegionIndex.config, 4, command)).toThrow(
    /^0000:02:00.0: write fails with EIO: fault injected by the test$/,
  );
  expect(() => device.write(RegionIndex.config, 4, command)).toThrow("second");
  const after = dword();
  device.read(RegionIndex.config, 4, after);
  expect(after).toEqual(before);
  device.write(RegionIndex.config, 4, command);
  device.read(RegionIndex.config, 4, after);
  expect(after[0]).toBe(6);
});

test("each kind of call can be made to fail, and the others go on", () => {
  using device = nvme();
  const calls = {
    read: () => device.read(RegionIndex.config, 0, dword()),
    write: () => device.write(RegionIndex.config, 4, dword()),
    map: () => device.map(RegionIndex.bar0, { offset: 0, size: 4096 })[Symbol.dispose](),
    setIrqs: () =>
      device.setIrqs({
        index: IrqIndex.request,
        action: "trigger",
        start: 0,
        data: { kind: "eventfd", fds: [-1] },
      }),
    reset: () => device.reset(),
  };
  const names = Object.keys(calls) as (keyof typeof calls)[];
  for (const failing of names) {
    device.failNext(failing);
    for (const name of names)
      if (name === failing) expect(calls[name]).toThrow("fault injected by the test");
      else calls[name]();
  }
});

test("a call that there is not cannot be made to fail", () => {
  using device = nvme();
  expect(() => device.failNext("rest" as "reset")).toThrow(
    new RangeError('what fails must be one of read, write, map, setIrqs, reset, not "rest"'),
  );
});

test("a request to give the device back is the request interrupt", () => {
  using device = nvme();
  expect(device.requestRemoval()).toBe(false);
  using eventfd = new Eventfd();
  device.setIrqs({
    index: IrqIndex.request,
    action: "trigger",
    start: 0,
    data: { kind: "eventfd", fds: [eventfd.fd] },
  });
  expect(device.requestRemoval()).toBe(true);
  expect(eventfd.drain()).toBe(1);
});

test("a device that is pulled out is one event; the guest reads all ones; teardown works", () => {
  const events: DeviceEvent[] = [];
  using platform = new MemoryPlatform();
  const backend = nvme();
  {
    using device = VfioPciDevice.attach(backend, platform, { onEvent: (event) => events.push(event) });
    device.configWrite(4, 2, 6);
    const { base } = device.describe().bars[0]!;
    backend.unplug();
    const answer = dword();
    expect(device.mmioRead(base! + 0x1000, answer)).toBe(true);
    expect([...answer]).toEqual([0xff, 0xff, 0xff, 0xff]);
    expect(device.configRead(0x06, 2)).toBe(0xffff);
    expect(device.configRead(0x00, 4)).toBe(0xffff_ffff);
  }
  expect(events.map(({ kind }) => kind).filter((kind) => kind === "device-gone")).toHaveLength(1);
  expect(platform.actions.length).toBeGreaterThan(0);
});

test("pulled out, config space and reset fail with ENODEV, and stay so", () => {
  using device = nvme();
  device.unplug();
  const code = (call: () => void): unknown => {
    try {
      call();
      return undefined;
    } catch (error) {
      return error instanceof VfioError ? [error.code, error.errno] : error;
    }
  };
  for (let i = 0; i < 2; i++) {
    expect(code(() => device.read(RegionIndex.config, 0, dword()))).toEqual(["ENODEV", 19]);
    expect(code(() => device.write(RegionIndex.config, 4, dword()))).toEqual(["ENODEV", 19]);
    expect(code(() => device.reset())).toEqual(["ENODEV", 19]);
  }
  const bar = dword();
  device.write(RegionIndex.bar0, 0, Uint8Array.of(1, 2, 3, 4));
  device.read(RegionIndex.bar0, 0, bar);
  expect([...bar]).toEqual([0xff, 0xff, 0xff, 0xff]);
});

test.each([0x03, 0x05, 0x10, 0x13])(
  "a capability of ID %d whose registers lie behind what is described takes writes",
  (id) => {
    const image = readImage(readFileSync("images/nvme.json", "utf8"));
    const config = new Uint8Array(image.config);
    config.fill(0, 0x40, 0x100);
    config[0x34] = 0xfc;
    config[0xfc] = id;
    using device = new RecordedDevice({ ...image, config });
    device.write(RegionIndex.config, 0xf7, new Uint8Array(20).fill(0xff));
    const read = new Uint8Array(1);
    device.read(RegionIndex.config, 0xfc, read);
    expect(read[0]).toBe(id);
  },
);
