import { describe, expect, test } from "bun:test";
import { MemoryPlatform } from "../../../../src/device/platforms/memory/memory-platform.ts";
import { Irqchip } from "../../../../src/device/platforms/memory/irqchip.ts";
import { codeOf, kinds, message, signal } from "./support.ts";

describe("MSI groups", () => {
  test("an update takes irqfds off, sets the table once, and puts irqfds on, in this order", () => {
    using platform = new MemoryPlatform();
    using group = platform.interrupts.createMsiGroup(4);
    for (const vector of [0, 1, 2, 3]) group.eventfd(vector);
    group.update([
      { vector: 0, message: message(0x20) },
      { vector: 1, message: message(0x21) },
    ]);
    platform.clearRecord();
    group.update([
      { vector: 2, message: message(0x22) },
      { vector: 0, message: undefined },
      { vector: 1, message: message(0x31) },
      { vector: 3, message: message(0x23) },
    ]);
    expect(platform.actions).toEqual([
      { kind: "irqfd-off", group: 0, vector: 0 },
      { kind: "set-routing", routes: 3 },
      { kind: "irqfd-on", group: 0, vector: 2 },
      { kind: "irqfd-on", group: 0, vector: 3 },
    ]);
    const { routes, irqfds } = platform.state();
    expect(routes).toEqual([
      { group: 0, vector: 1, message: message(0x31) },
      { group: 0, vector: 2, message: message(0x22) },
      { group: 0, vector: 3, message: message(0x23) },
    ]);
    expect(irqfds).toEqual(routes.map(({ group: of, vector }) => ({ group: of, vector })));
  });

  test("an update that changes nothing does nothing", () => {
    using platform = new MemoryPlatform();
    using group = platform.interrupts.createMsiGroup(2);
    group.update([{ vector: 0, message: message(1) }]);
    platform.clearRecord();
    group.update([]);
    group.update([
      { vector: 0, message: message(1) },
      { vector: 1, message: undefined },
    ]);
    expect(platform.actions).toEqual([]);
  });

  test("a full table refuses before anything has changed, counting all groups", () => {
    using platform = new MemoryPlatform({ maxRoutes: 3 });
    using a = platform.interrupts.createMsiGroup(2);
    using b = platform.interrupts.createMsiGroup(3);
    a.update([0, 1].map((vector) => ({ vector, message: message(vector) })));
    b.update([{ vector: 0, message: message(8) }]);
    const before = platform.state();
    platform.clearRecord();
    const two = [1, 2].map((vector) => ({ vector, message: message(vector) }));
    expect(codeOf(() => b.update([{ vector: 0, message: undefined }, ...two]))).toBe("ENOSPC");
    expect(platform.actions).toEqual([]);
    expect(platform.state()).toEqual(before);
    // One goes, one comes: that fits.
    b.update([
      { vector: 0, message: undefined },
      { vector: 1, message: message(9) },
    ]);
    expect(platform.state().routes).toHaveLength(3);
  });

  test("vectors run out where the platform says so, and come back", () => {
    using platform = new MemoryPlatform({ maxVectors: 4 });
    const a = platform.interrupts.createMsiGroup(3);
    expect(codeOf(() => platform.interrupts.createMsiGroup(2))).toBe("ENOSPC");
    a[Symbol.dispose]();
    using b = platform.interrupts.createMsiGroup(4);
    expect(() => b.eventfd(4)).toThrow(RangeError);
    for (const bad of [0, -1, 2049, 1.5])
      expect(() => platform.interrupts.createMsiGroup(bad)).toThrow(RangeError);
  });

  test("an eventfd is made when first asked for, once", () => {
    using platform = new MemoryPlatform();
    using group = platform.interrupts.createMsiGroup(4);
    const fd = group.eventfd(3);
    expect(group.eventfd(3)).toBe(fd);
    expect(group.eventfd(2)).not.toBe(fd);
    expect(kinds(platform)).toEqual(["msi-create", "eventfd-create", "eventfd-create"]);
    group.update([{ vector: 3, message: message(1) }]);
    expect(group.eventfd(3)).toBe(fd);
  });

  test("a signal through the bare file descriptor is delivered with the route's message, once for all", () => {
    using platform = new MemoryPlatform();
    using group = platform.interrupts.createMsiGroup(2);
    group.update([{ vector: 1, message: message(0x41) }]);
    signal(group.eventfd(1), 3n);
    signal(group.eventfd(1));
    const expected = { requesterId: 0x0100, group: 0, vector: 1, message: message(0x41) };
    expect(platform.deliver()).toEqual([expected]);
    expect(platform.deliver()).toEqual([]);
    expect(platform.delivered).toEqual([expected]);
  });

  test("an event of a vector without a route waits as its pending bit, and comes with the next route", () => {
    using platform = new MemoryPlatform();
    using group = platform.interrupts.createMsiGroup(2);
    group.update([{ vector: 0, message: message(0x41) }]);
    group.update([{ vector: 0, message: undefined }]);
    expect(group.pending(0)).toBe(false);
    group.signal(0);
    expect(group.pending(0)).toBe(true);
    expect(group.pending(0)).toBe(true);
    expect(platform.deliver()).toEqual([]);
    group.update([{ vector: 0, message: message(0x42) }]);
    expect(group.pending(0)).toBe(false);
    expect(platform.delivered.map(({ message: { data } }) => data)).toEqual([0x42]);
    expect(platform.deliver()).toHaveLength(1);
    expect(platform.deliver()).toEqual([]);
    expect(group.pending(1)).toBe(false);
  });

  test("an event that came before its route changed has the old message, even if nobody looked", () => {
    using platform = new MemoryPlatform();
    using group = platform.interrupts.createMsiGroup(2);
    group.update([0, 1].map((vector) => ({ vector, message: message(vector) })));
    group.signal(0);
    group.signal(1);
    group.update([
      { vector: 0, message: message(0x50) },
      { vector: 1, message: undefined },
    ]);
    expect(platform.deliver().map(({ message: { data } }) => data)).toEqual([0, 1]);
    expect(group.pending(1)).toBe(false);
  });

  test("closing takes irqfds off, sets the table once and closes the eventfds; twice is once", () => {
    using platform = new MemoryPlatform();
    const group = platform.interrupts.createMsiGroup(3);
    group.update([0, 2].map((vector) => ({ vector, message: message(vector) })));
    platform.clearRecord();
    group[Symbol.dispose]();
    group[Symbol.dispose]();
    expect(platform.actions).toEqual([
      { kind: "irqfd-off", group: 0, vector: 0 },
      { kind: "irqfd-off", group: 0, vector: 2 },
      { kind: "set-routing", routes: 0 },
      { kind: "msi-close", group: 0 },
    ]);
    expect(platform.leaks()).toEqual([]);
    for (const use of [
      () => group.eventfd(0),
      () => group.pending(0),
      () => group.signal(0),
      () => group.update([{ vector: 0, message: undefined }]),
    ])
      expect(codeOf(use)).toBe("ECLOSED");
  });

  test("bad changes are refused before anything has changed", () => {
    using platform = new MemoryPlatform();
    using group = platform.interrupts.createMsiGroup(2);
    const good = { vector: 0, message: message(1) };
    platform.clearRecord();
    for (const bad of [
      { vector: 2, message: message(1) },
      { vector: -1, message: undefined },
      { vector: 0.5, message: undefined },
      { vector: 0, message: message(2) },
      { vector: 1, message: message(2 ** 32) },
      { vector: 1, message: message(-1) },
    ])
      expect(() => group.update([good, bad])).toThrow(RangeError);
    expect(() => group.update([{ vector: "1" as unknown as number, message: undefined }])).toThrow(TypeError);
    expect(() =>
      group.update([{ vector: 1, message: { ...message(1), data: 1n as unknown as number } }]),
    ).toThrow(TypeError);
    expect(platform.actions).toEqual([]);
    expect(platform.state().routes).toEqual([]);
  });

  test("the table refuses to leave an irqfd without a route", () => {
    const chip = new Irqchip(4);
    const route = { group: 0, vector: 0, message: message(1) };
    expect(codeOf(() => chip.irqfdOn(0))).toBe("EINVAL");
    chip.setRouting(new Map([[0, route]]));
    chip.irqfdOn(0);
    expect(codeOf(() => chip.irqfdOn(0))).toBe("EBUSY");
    expect(
      codeOf(() =>
        chip.setRouting(
          new Map([
            [1, route],
            [0, undefined],
          ]),
        ),
      ),
    ).toBe("EINVAL");
    expect(chip.routes).toBe(1);
    chip.irqfdOff(0);
    expect(codeOf(() => chip.irqfdOff(0))).toBe("ENOENT");
    chip.setRouting(new Map([[0, undefined]]));
    expect(chip.state()).toEqual({ routes: [], irqfds: [] });
  });
});
