import { describe, expect, test } from "bun:test";
import { fstatSync } from "node:fs";
import { MemoryPlatform } from "../../../../src/device/platforms/memory/memory-platform.ts";
import { codeOf, message, slot } from "./support.ts";

describe("memory slots", () => {
  test("are recorded, kept, and their numbers used again", () => {
    using platform = new MemoryPlatform();
    const first = platform.memory.add(slot);
    const second = platform.memory.add({ ...slot, gpa: 0xc000_1000, readOnly: true });
    platform.memory.remove(first);
    expect(platform.memory.add(slot)).toBe(first);
    expect(platform.actions).toEqual([
      { kind: "slot-add", slot: 0, ...slot },
      { kind: "slot-add", slot: 1, ...slot, gpa: 0xc000_1000, readOnly: true },
      { kind: "slot-remove", slot: 0 },
      { kind: "slot-add", slot: 0, ...slot },
    ]);
    expect(platform.state().slots.map(({ slot: number }) => number)).toEqual([first, second]);
  });

  test("may not overlap, nor go away twice", () => {
    using platform = new MemoryPlatform();
    platform.memory.add({ ...slot, size: 0x4000 });
    for (const gpa of [0xc000_0000, 0xc000_3000, 0xbfff_f000])
      expect(codeOf(() => platform.memory.add({ ...slot, gpa, size: 0x2000 }))).toBe("EEXIST");
    platform.memory.add({ ...slot, gpa: 0xc000_4000 });
    platform.memory.remove(0);
    expect(codeOf(() => platform.memory.remove(0))).toBe("ENOENT");
    expect(codeOf(() => platform.memory.remove(7))).toBe("ENOENT");
    expect(platform.state().slots).toHaveLength(1);
  });

  test("are whole pages of the host", () => {
    using platform = new MemoryPlatform({ pageSize: 0x1_0000 });
    const good = { ...slot, size: 0x1_0000 };
    for (const bad of [
      { gpa: 0xc000_1000 },
      { size: 0x1000 },
      { hva: 0x7f00_0000_1000 },
      { hva: 0 },
      { size: 0 },
      { gpa: 2 ** 53 },
      { gpa: -0x1_0000 },
      { gpa: 2 ** 53 - 0x1_0000, size: 0x2_0000 },
    ])
      expect(() => platform.memory.add({ ...good, ...bad })).toThrow(RangeError);
    expect(() => platform.memory.add({ ...good, readOnly: 1 as unknown as boolean })).toThrow(TypeError);
    expect(platform.actions).toEqual([]);
    expect(platform.memory.add(good)).toBe(0);
  });

  test("run out", () => {
    using platform = new MemoryPlatform({ maxSlots: 1 });
    platform.memory.add(slot);
    expect(codeOf(() => platform.memory.add({ ...slot, gpa: 0 }))).toBe("ENOSPC");
    platform.memory.remove(0);
    expect(platform.memory.add({ ...slot, gpa: 0 })).toBe(0);
  });
});

describe("DMA mappings", () => {
  const mapping = { iova: 0xc000_0000, size: 0x2000, hva: 0x7f00_0000_0000, readable: true, writable: true };

  test("are recorded, and taken back exactly as they were made", () => {
    using platform = new MemoryPlatform();
    const dma = platform.dma!;
    dma.map(mapping);
    expect(platform.state().dma).toEqual([mapping]);
    for (const [iova, size] of [
      [0xc000_0000, 0x1000],
      [0xc000_1000, 0x1000],
      [0, 0x1000],
    ] as const)
      expect(codeOf(() => dma.unmap(iova, size))).toBe("ENOENT");
    dma.unmap(0xc000_0000, 0x2000);
    expect(platform.actions).toEqual([
      { kind: "dma-map", ...mapping },
      { kind: "dma-unmap", iova: 0xc000_0000, size: 0x2000 },
    ]);
    expect(platform.state().dma).toEqual([]);
  });

  test("may not overlap, are whole pages, and serve for something", () => {
    using platform = new MemoryPlatform();
    const dma = platform.dma!;
    dma.map(mapping);
    expect(codeOf(() => dma.map({ ...mapping, iova: 0xc000_1000 }))).toBe("EEXIST");
    dma.map({ ...mapping, iova: 0xc000_2000 });
    const free = { ...mapping, iova: 0x1_0000_0000 };
    for (const bad of [
      { iova: 1 },
      { size: 1 },
      { hva: 1 },
      { hva: 0 },
      { readable: false, writable: false },
    ])
      expect(() => dma.map({ ...free, ...bad })).toThrow(RangeError);
    expect(() => dma.map({ ...free, writable: undefined as unknown as boolean })).toThrow(TypeError);
    expect(platform.state().dma.map(({ iova }) => iova)).toEqual([0xc000_0000, 0xc000_2000]);
  });

  test("are absent where there is no IOMMU", () => {
    using platform = new MemoryPlatform({ dma: false });
    expect(platform.dma).toBeUndefined();
    expect(platform.state().dma).toEqual([]);
  });
});

describe("trapped ranges", () => {
  const bar = { kind: "mmio", base: 0xfebf_0000, size: 0x4000, region: 0 } as const;

  test("lead a guest's access to its region", () => {
    using platform = new MemoryPlatform();
    const ports = { kind: "io", base: 0xc000, size: 0x20, region: 4 } as const;
    platform.bus.insert(ports);
    platform.bus.insert(bar);
    expect(platform.find("mmio", 0xfebf_3ffc, 4)).toEqual(bar);
    expect(platform.find("mmio", 0xfebf_3ffd, 4)).toBeUndefined();
    expect(platform.find("mmio", 0xc000, 1)).toBeUndefined();
    expect(platform.find("io", 0xc01f, 1)).toEqual(ports);
    expect(platform.state().trapped).toEqual([bar, ports]);
    expect(platform.actions[1]).toEqual({
      kind: "bus-insert",
      space: "mmio",
      base: 0xfebf_0000,
      size: 0x4000,
      region: 0,
    });
  });

  test("may not overlap in one space; a memory address is no port", () => {
    using platform = new MemoryPlatform();
    platform.bus.insert({ ...bar, base: 0x1000 });
    expect(codeOf(() => platform.bus.insert({ ...bar, base: 0x4fff, size: 1, region: 2 }))).toBe("EEXIST");
    platform.bus.insert({ ...bar, kind: "io", base: 0x1000, region: 2 });
    expect(platform.state().trapped).toHaveLength(2);
  });

  test("go only as they came: base, size, kind and region", () => {
    using platform = new MemoryPlatform();
    platform.bus.insert(bar);
    for (const other of [{ base: 0xfebf_1000 }, { size: 0x2000 }, { region: 1 }, { kind: "io" as const }])
      expect(codeOf(() => platform.bus.remove({ ...bar, ...other }))).toBe("ENOENT");
    platform.bus.remove(bar);
    expect(codeOf(() => platform.bus.remove(bar))).toBe("ENOENT");
    expect(platform.state().trapped).toEqual([]);
  });

  test("refuses what is no range", () => {
    using platform = new MemoryPlatform();
    for (const bad of [
      { size: 0 },
      { base: 2 ** 53 - 1 },
      { kind: "io" as const, base: 0xffff, size: 2 },
      { kind: "pci" as unknown as "io" },
      { region: -1 },
    ])
      expect(() => platform.bus.insert({ ...bar, ...bad })).toThrow(RangeError);
    expect(platform.actions).toEqual([]);
  });
});

describe("addresses", () => {
  test("come from the windows, and every taking and giving back is recorded", () => {
    using platform = new MemoryPlatform({ windows: { mmio32: { base: 0xe000_0000, size: 0x1000_0000 } } });
    const { mmio32, mmio64, io } = platform.addresses;
    expect(mmio32.allocate(0x4000, 0x4000)).toBe(0xefff_c000);
    expect(mmio64.allocate(0x4000, 0x4000)).toBe(2 ** 41 - 0x4000);
    expect(io!.allocate(0x20, 0x20)).toBe(0xffe0);
    expect(mmio32.allocate(0x1000_0000, 1)).toBeUndefined();
    expect(mmio32.reserve(0xe000_0000, 0x1000)).toBe(true);
    expect(mmio32.reserve(0xe000_0000, 0x1000)).toBe(false);
    expect(() => mmio32.free(0xe000_0000, 0x2000)).toThrow(RangeError);
    mmio32.free(0xefff_c000, 0x4000);
    expect(platform.actions).toEqual([
      { kind: "address-allocate", window: "mmio32", base: 0xefff_c000, size: 0x4000 },
      { kind: "address-allocate", window: "mmio64", base: 2 ** 41 - 0x4000, size: 0x4000 },
      { kind: "address-allocate", window: "io", base: 0xffe0, size: 0x20 },
      { kind: "address-reserve", window: "mmio32", base: 0xe000_0000, size: 0x1000 },
      { kind: "address-free", window: "mmio32", base: 0xefff_c000, size: 0x4000 },
    ]);
    expect(platform.state().addresses).toEqual({
      mmio32: [{ base: 0xe000_0000, size: 0x1000 }],
      mmio64: [{ base: 2 ** 41 - 0x4000, size: 0x4000 }],
      io: [{ base: 0xffe0, size: 0x20 }],
    });
  });

  test("a machine may have no ports", () => {
    using platform = new MemoryPlatform({ windows: { io: false } });
    expect(platform.addresses.io).toBeUndefined();
    expect(platform.state().addresses.io).toEqual([]);
  });
});

test("options that cannot be are refused", () => {
  for (const bad of [
    { pageSize: 2048 },
    { pageSize: 5000 },
    { maxRoutes: -1 },
    { maxSlots: 1.5 },
    { windows: { mmio32: { base: 0xf000_0000, size: 0x1000_0001 } } },
    { windows: { io: { base: 0xff00, size: 0x101 } } },
    { windows: { mmio64: { base: 0, size: 0 } } },
    { windows: { mmio64: { base: 0xd000_0000, size: 2 ** 32 } } },
  ])
    expect(() => new MemoryPlatform(bad)).toThrow(RangeError);
  expect(() => new MemoryPlatform({ maxRoutes: "1" as unknown as number })).toThrow(TypeError);
});

test("what shows host memory is named, to be asked for before that is unmapped", () => {
  using platform = new MemoryPlatform();
  platform.memory.add({ ...slot, size: 0x2000 });
  platform.dma!.map({ iova: 0x8000, size: 0x1000, hva: slot.hva, readable: true, writable: false });
  expect(platform.usersOf(slot.hva, 0x1000)).toEqual([
    "memory slot 0: 0xc0000000-0xc0001fff",
    "DMA mapping: 0x8000-0x8fff",
  ]);
  expect(platform.usersOf(slot.hva + 0x1fff, 1)).toEqual(["memory slot 0: 0xc0000000-0xc0001fff"]);
  expect(platform.usersOf(slot.hva + 0x2000, 0x1000)).toEqual([]);
  expect(platform.usersOf(slot.hva - 0x1000, 0x1000)).toEqual([]);
  expect(() => platform.usersOf(-1, 1)).toThrow(RangeError);
  expect(() => platform.usersOf("0" as unknown as number, 1)).toThrow(TypeError);
});

describe("the end", () => {
  test("leaks names all that is still held", () => {
    using platform = new MemoryPlatform();
    platform.memory.add(slot);
    platform.dma!.map({ iova: 0x1000, size: 0x1000, hva: 0x1000, readable: true, writable: true });
    platform.bus.insert({ kind: "io", base: 0xc000, size: 0x20, region: 4 });
    platform.addresses.io!.reserve(0xc000, 0x20);
    platform.interrupts.createIntx(2);
    platform.interrupts.createMsiGroup(8).update([{ vector: 5, message: message(1) }]);
    expect(platform.leaks()).toEqual([
      "memory slot 0: 0xc0000000-0xc0000fff",
      "MSI group 0: 8 vectors, 1 eventfds",
      "route: group 0 vector 5",
      "irqfd: group 0 vector 5",
      "INTx line 0: INTB",
      "DMA mapping: 0x1000-0x1fff",
      "trapped io range: 0xc000-0xc01f (region 4)",
      "io address: 0xc000-0xc01f",
    ]);
  });

  test("disposing closes every eventfd, forgets all and refuses what comes after", () => {
    const platform = new MemoryPlatform();
    const group = platform.interrupts.createMsiGroup(2);
    const line = platform.interrupts.createIntx(1)!;
    group.update([{ vector: 0, message: message(1) }]);
    platform.memory.add(slot);
    platform.addresses.mmio64.allocate(16, 16);
    platform.dma!.map({ iova: 0, size: 0x1000, hva: 0x1000, readable: true, writable: false });
    platform.bus.insert({ kind: "mmio", base: 0, size: 16, region: 0 });
    const fds = [group.eventfd(0), group.eventfd(1), line.eventfd, line.resample!];
    for (const fd of fds) fstatSync(fd);
    const recorded = platform.actions.length;
    platform[Symbol.dispose]();
    platform[Symbol.dispose]();
    for (const fd of fds) expect(() => fstatSync(fd)).toThrow("EBADF");
    expect(platform.leaks()).toEqual([]);
    group[Symbol.dispose]();
    line[Symbol.dispose]();
    expect(platform.actions).toHaveLength(recorded);
    for (const use of [
      () => platform.memory.add(slot),
      () => platform.interrupts.createMsiGroup(1),
      () => platform.interrupts.createIntx(1),
      () => platform.memory.remove(0),
      () => platform.addresses.mmio32.allocate(16, 16),
      () => platform.addresses.mmio32.free(0xc000_0000, 16),
      () => platform.dma!.unmap(0, 0x1000),
      () => platform.bus.remove({ kind: "mmio", base: 0, size: 16, region: 0 }),
      () => platform.deliver(),
      () => group.eventfd(0),
      () => line.connect(),
    ])
      expect(codeOf(use)).toBe("ECLOSED");
  });
});
