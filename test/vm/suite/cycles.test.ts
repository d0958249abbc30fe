// machines: (intel, virtio, none) [arm]
// takes: 60 s
// A thousand times open, use, close: nothing grows.
import { expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { IrqIndex } from "../../../src/regs/vfio/irqs.ts";
import { RegionIndex } from "../../../src/regs/vfio/regions.ts";
import { AnonymousMemory } from "../../../src/ffi/anonymous-memory.ts";
import { isMapped, LiveMappings } from "../../support/live-mappings.ts";
import { descriptors, deviceMappings, take } from "./support/devices.ts";
import { open, ways } from "./support/apis.ts";

// A close takes the kernel 30 ms: all thousand are done on one machine of each architecture, and a hundred elsewhere.
const cycles = (["intel", "arm"].includes(process.env.BUN_VFIO_VM_MACHINE!) ? 1000 : 100) / ways.length;
const lockedPages = (): string => /VmLck:\s+(\d+)/.exec(readFileSync("/proc/self/status", "utf8"))![1]!;

for (const way of ways)
  test(`${way.name}: ${cycles} cycles leave descriptors, mappings and locked memory as they were`, () => {
    using memory = new AnonymousMemory(0x10000);
    const bdf = take("edu");
    // Opening and closing reset the device, and its bus takes 100 ms for that: not here.
    using resets = open(bdf, way);
    resets.resetMethods = [];
    resets[Symbol.dispose]();
    const use = (look?: () => void): void => {
      using device = open(bdf, way);
      device.iommu?.map({
        iova: 0x100000,
        size: 0x10000,
        hva: memory.address,
        readable: true,
        writable: true,
      });
      using buffer = device.dma?.allocate(0x3000);
      buffer?.bytes.fill(1);
      device.write(RegionIndex.config, 4, Uint8Array.of(6, 0));
      // Left to the device to unmap, as are the interrupts and the mapped memory.
      const bar = device.map(0, { offset: 0, size: 0x1000 });
      expect(bar.registers.read32(0)).toBe(0x010000ed);
      device.setIrqs({
        index: IrqIndex.msi,
        action: "trigger",
        start: 0,
        data: { kind: "eventfd", fds: [-1] },
      });
      look?.();
    };
    use();
    const state = () => ({ descriptors: descriptors(), mappings: deviceMappings(), locked: lockedPages() });
    const before = state();
    // Of all that the library maps, syscalls.test.ts shows that its own trace tells.
    using live = new LiveMappings();
    use(() => {
      // The BAR's page and, where there is DMA, the buffer's three: the kernel has them, too.
      expect(live.pages.length).toBe(way.api === "noiommu" ? 1 : 4);
      expect(live.pages.every(isMapped)).toBe(true);
    });
    const each = live.mapped;
    for (let i = 1; i < cycles; i++) use();
    expect(live.mapped).toBe(each * cycles);
    expect(live.pages).toEqual([]);
    expect(state()).toEqual(before);
    using last = open(bdf, way);
    last.resetMethods = ["default"];
  });
