import { describe, expect, test } from "bun:test";
import { MemoryPlatform } from "../../../../src/device/platforms/memory/memory-platform.ts";
import { codeOf, kinds, message, slot } from "./support.ts";

describe("faults", () => {
  test("the next action of a kind fails once, before it takes effect", () => {
    using platform = new MemoryPlatform();
    platform.failNext("slot-add");
    platform.failNext("dma-map", new TypeError("mine"));
    expect(codeOf(() => platform.memory.add(slot))).toBe("EIO");
    const mapping = { iova: 0, size: 0x1000, hva: 0x1000, readable: true, writable: false };
    expect(() => platform.dma!.map(mapping)).toThrow("mine");
    expect(platform.actions).toEqual([]);
    expect(platform.leaks()).toEqual([]);
    expect(platform.memory.add(slot)).toBe(0);
    platform.dma!.map(mapping);
    expect(kinds(platform)).toEqual(["slot-add", "dma-map"]);
  });

  test("several queue up", () => {
    using platform = new MemoryPlatform();
    platform.failNext("slot-add", new Error("one"));
    platform.failNext("slot-add", new Error("two"));
    expect(() => platform.memory.add(slot)).toThrow("one");
    expect(() => platform.memory.add(slot)).toThrow("two");
    expect(platform.memory.add(slot)).toBe(0);
  });

  test("a refusal by state or argument does not use one up", () => {
    using platform = new MemoryPlatform();
    platform.failNext("slot-remove");
    platform.failNext("address-free");
    platform.failNext("bus-remove");
    expect(codeOf(() => platform.memory.remove(0))).toBe("ENOENT");
    expect(() => platform.addresses.mmio32.free(0xc000_0000, 1)).toThrow(RangeError);
    const base = platform.addresses.mmio32.allocate(16, 16)!;
    expect(codeOf(() => platform.addresses.mmio32.free(base, 16))).toBe("EIO");
    expect(platform.state().addresses.mmio32).toEqual([{ base, size: 16 }]);
  });

  test("a predicate sees the action and holds until it is taken away", () => {
    using platform = new MemoryPlatform();
    const stop = platform.failOn((action) => action.kind === "slot-add" && action.gpa === slot.gpa);
    platform.memory.add({ ...slot, gpa: 0 });
    for (let i = 0; i < 2; i++)
      expect(() => platform.memory.add(slot)).toThrow(
        `fault injected by the test: slot-add slot 1 gpa ${slot.gpa}`,
      );
    stop();
    expect(platform.memory.add(slot)).toBe(1);
  });

  /** One of each action that can fail by itself. */
  const everything = (platform: MemoryPlatform): void => {
    platform.memory.remove(platform.memory.add(slot));
    const mapping = { iova: 0, size: 0x1000, hva: 0x1000, readable: true, writable: true };
    platform.dma!.map(mapping);
    platform.dma!.unmap(0, 0x1000);
    const range = { kind: "mmio", base: 0, size: 16, region: 0 } as const;
    platform.bus.insert(range);
    platform.bus.remove(range);
    const { mmio32 } = platform.addresses;
    mmio32.free(mmio32.allocate(16, 16)!, 16);
    mmio32.reserve(mmio32.base, 16);
    mmio32.free(mmio32.base, 16);
    using line = platform.interrupts.createIntx(1)!;
    line.connect();
    using group = platform.interrupts.createMsiGroup(1);
    group.signal(0);
    group.update([{ vector: 0, message: message(1) }]);
  };

  test("every kind of action can fail, and then is not recorded", async () => {
    using clean = new MemoryPlatform();
    everything(clean);
    const all = [...new Set(clean.actions.map(({ kind }) => kind))];
    expect(all).toHaveLength(20);
    // The page that VMM authors read names each.
    const page = await Bun.file(new URL("../../../../docs/memory-platform.md", import.meta.url)).text();
    for (const kind of all) expect(page).toContain(`\`${kind}\``);
    for (const kind of all) {
      using platform = new MemoryPlatform();
      const wanted = new Error(`no ${kind}`);
      platform.failOn((action) => action.kind === kind, wanted);
      let thrown: unknown;
      try {
        everything(platform);
      } catch (error) {
        thrown = error;
      }
      expect(thrown).toBe(wanted);
      expect(platform.actionsOf(kind)).toEqual([]);
    }
  });

  test("an update that fails half-way takes back what it had done", () => {
    for (const kind of ["irqfd-off", "set-routing", "irqfd-on"] as const) {
      using platform = new MemoryPlatform();
      using group = platform.interrupts.createMsiGroup(4);
      group.update([0, 1].map((vector) => ({ vector, message: message(vector) })));
      const before = platform.state();
      platform.clearRecord();
      // The second of its kind where there are two.
      let left = kind === "set-routing" ? 0 : 1;
      const stop = platform.failOn((action) => action.kind === kind && left-- === 0);
      const changes = [
        { vector: 0, message: undefined },
        { vector: 1, message: undefined },
        { vector: 2, message: message(7) },
        { vector: 3, message: message(8) },
      ];
      expect(codeOf(() => group.update(changes))).toBe("EIO");
      expect(platform.state()).toEqual(before);
      stop();
      group.update(changes);
      expect(platform.state().irqfds.map(({ vector }) => vector)).toEqual([2, 3]);
    }
  });

  test("a group whose closing failed goes on with what is left", () => {
    using platform = new MemoryPlatform();
    const group = platform.interrupts.createMsiGroup(2);
    group.update([0, 1].map((vector) => ({ vector, message: message(vector) })));
    for (const kind of ["irqfd-off", "set-routing", "msi-close"] as const) {
      platform.failNext(kind);
      expect(codeOf(() => group[Symbol.dispose]())).toBe("EIO");
      expect(platform.leaks()).not.toEqual([]);
    }
    group[Symbol.dispose]();
    expect(platform.leaks()).toEqual([]);
    expect(platform.actionsOf("irqfd-off")).toHaveLength(2);
    expect(platform.actionsOf("set-routing").map(({ routes }) => routes)).toEqual([2, 0]);
  });
});
