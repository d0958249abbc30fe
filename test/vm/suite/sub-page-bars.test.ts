// machines: (arm-16k)
// takes: 10 s
// BARs smaller than a page, on a kernel of pages of 16 KiB: where Linux offers to map one, its page has nothing else in it.
import { read, type Pointer } from "bun:ffi";
import { afterAll, describe, expect, test } from "bun:test";
import { MemoryPlatform } from "../../../src/device/platforms/memory/memory-platform.ts";
import { VfioPciDevice } from "../../../src/device/passthrough/vfio-pci-device.ts";
import { pageSize } from "../../../src/ffi/page-size.ts";
import { memory } from "../../support/attached.ts";
import { open, ways } from "./support/apis.ts";
import { deviceMappings, ownDescriptors, take } from "./support/devices.ts";

const before = ownDescriptors();
afterAll(() => expect(ownDescriptors()).toEqual(before));

describe.each(ways.map((way) => [way.name, way] as const))("by %s", (_, way) => {
  test("pci-testdev's of 4 KiB is a page to the guest, which reads there what a trapped access reads", () => {
    const kernel = open(take("pci-testdev"), way);
    const info = kernel.regions[0]!;
    expect([pageSize(), info.size, info.mappable]).toEqual([0x4000, 0x1000, true]);
    using platform = new MemoryPlatform({ pageSize: pageSize() });
    {
      using device = VfioPciDevice.attach(kernel, platform);
      device.configWrite(0x04, 2, memory);
      const bar = device.describe().bars.find(({ region }) => region === 0)!;
      expect(bar.mapped).toMatchObject([{ offset: 0, size: 0x4000, gpa: bar.base! }]);
      const { hva } = bar.mapped[0]!;
      // The first of its tests, whose header it shows from then on.
      device.mmioWrite(bar.base!, Uint8Array.of(0));
      const trapped = new Uint8Array(32);
      for (let at = 0; at < 32; at++) device.mmioRead(bar.base! + at, trapped.subarray(at, at + 1));
      expect(trapped.some((byte) => byte !== 0)).toBe(true);
      expect(Uint8Array.from({ length: 32 }, (_, at) => read.u8(hva as Pointer, at))).toEqual(trapped);
      // Something else comes to be in the page, and leaves.
      const other = { kind: "mmio", base: bar.base! + 0x2000, size: 0x1000, region: 0 } as const;
      platform.bus.insert(other);
      expect(platform.state().slots.map(({ gpa }) => gpa)).not.toContain(bar.base!);
      platform.bus.remove(other);
      device.configWrite(0x04, 2, memory);
      expect(platform.state().slots.map(({ gpa }) => gpa)).toContain(bar.base!);
    }
    expect(platform.leaks()).toEqual([]);
    expect(deviceMappings()).toEqual([]);
  });
});
