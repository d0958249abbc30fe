// What is refused just where something was to be put right: nothing stays mapped of a device that does not decode, no vector is lost.
import { expect, test } from "bun:test";
import { VfioError } from "../../../src/ffi/errors.ts";
import { RegionIndex } from "../../../src/regs/vfio/regions.ts";
import { attach, memory, writeVector } from "../../support/attached.ts";
import { at } from "../../support/synthetic-image.ts";

const bar = { 0: { size: 0x4000 } };
const eio = (): VfioError => new VfioError("refused by the test", { code: "EIO", errno: 5 });

test("a guest's reset that is refused, and then COMMAND too: the device stays stopped, and nothing of it is mapped", () => {
  using guest = attach({ bars: bar, pcie: true });
  const { device, platform, recorded } = guest;
  device.configWrite(4, 2, memory);
  expect(platform.state().slots).toHaveLength(1);
  const write = recorded.write.bind(recorded);
  let stopped = false;
  recorded.write = (region, offset, data) => {
    if (region === RegionIndex.config && stopped) throw eio();
    stopped ||= region === RegionIndex.config && offset === 4 && data[0] === 0;
    write(region, offset, data);
  };
  device.configWrite(at.pcie + 8, 2, 0x8000);
  recorded.write = write;
  expect(platform.state().slots).toEqual([]);
  device.configWrite(4, 2, memory);
  expect(platform.state().slots).toHaveLength(1);
});

test("a snapshot that finds the device gone leaves nothing of it mapped", () => {
  using guest = attach({ bars: bar });
  const { device, platform, recorded } = guest;
  device.configWrite(4, 2, memory);
  recorded.unplug();
  expect(() => device.snapshot()).toThrow();
  expect(platform.state().slots).toEqual([]);
  expect(guest.eventsOf("device-gone")).toHaveLength(1);
});

test("vectors that the platform refuses one after another keep no other from being routed", () => {
  const vectors = 16;
  using guest = attach({ bars: bar, msix: { vectors, table: [0, 0x1000], pba: [0, 0x2000] } });
  const { device, platform } = guest;
  device.configWrite(4, 2, memory);
  const { base } = device.describe().bars[0]!;
  for (let vector = 0; vector < vectors; vector++) writeVector(device, base! + 0x1000, vector, 0x40 + vector);
  const heal = platform.failOn((action) => action.kind === "irqfd-on" && action.vector < 6, eio());
  device.configWrite(at.msix + 2, 2, 0x8000);
  heal();
  const { routed } = device.describe().interrupts;
  expect(routed).toEqual([6, 7, 8, 9, 10, 11, 12, 13, 14, 15]);
});

test("a PBA in a BAR of I/O ports costs the PBA, not what the ports hold", () => {
  using guest = attach(
    {
      bars: { 0: { size: 0x4000 }, 2: { size: 0x20, kind: "io" } },
      msix: { vectors: 2, table: [0, 0x1000], pba: [2, 0] },
    },
    { attach: { msixRelocation: "never" } },
  );
  const { device, backend } = guest;
  device.configWrite(4, 2, 3);
  const { base } = device.describe().bars.find(({ region }) => region === 2)!;
  const before = backend.calls.length;
  const data = new Uint8Array(new ArrayBuffer(4));
  expect(device.ioRead(base!, data)).toBe(true);
  expect(backend.calls.length).toBeGreaterThan(before);
});
