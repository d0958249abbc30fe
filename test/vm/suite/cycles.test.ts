// machines: (intel)
// takes: 60 s
// A thousand times open, use, close: nothing grows.
import { expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { RegionIndex } from "../../../src/device/backend.ts";
import { AnonymousMemory } from "../../../src/ffi/anonymous-memory.ts";
import { descriptors, deviceMappings, take } from "./support/devices.ts";
import { open, ways } from "./support/apis.ts";

const cycles = 1000 / ways.length;
const lockedPages = (): string => /VmLck:\s+(\d+)/.exec(readFileSync("/proc/self/status", "utf8"))![1]!;

for (const way of ways)
  test(`${way.name}: ${cycles} cycles leave descriptors, mappings and locked memory as they were`, () => {
    using memory = new AnonymousMemory(0x10000);
    const bdf = take("edu");
    // Opening and closing reset the device, and its bus takes 100 ms for that: not here.
    using resets = open(bdf, way);
    resets.resetMethods = [];
    resets[Symbol.dispose]();
    const use = (): void => {
      using device = open(bdf, way);
      device.iommu?.map({
        iova: 0x100000,
        size: 0x10000,
        hva: memory.address,
        readable: true,
        writable: true,
      });
      device.write(RegionIndex.config, 4, Uint8Array.of(6, 0));
      // Left to the device to unmap, as are the interrupts and the mapped memory.
      const bar = device.map(0, { offset: 0, size: 0x1000 });
      expect(bar.registers.read32(0)).toBe(0x010000ed);
      device.setIrqs({ index: 1, action: "trigger", start: 0, data: { kind: "eventfd", fds: [-1] } });
    };
    use();
    const before = { descriptors: descriptors(), mappings: deviceMappings(), locked: lockedPages() };
    for (let i = 0; i < cycles; i++) use();
    expect({ descriptors: descriptors(), mappings: deviceMappings(), locked: lockedPages() }).toEqual(before);
    using last = open(bdf, way);
    last.resetMethods = ["default"];
  });
