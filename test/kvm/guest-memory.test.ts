import { describe, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { VfioError } from "../../src/ffi/errors.ts";
import { GuestMemory, type MemoryPlace } from "../../src/kvm/guest-memory.ts";
import type { KvmMemorySlots, KvmSlotRequest } from "../../src/kvm/memory-slots.ts";
import { openDescriptors } from "../support/descriptors.ts";

const places: readonly MemoryPlace[] = [
  { gpa: 0, size: 2 ** 21 },
  { gpa: 2 ** 32, size: 2 ** 21 },
];

/** Memory slots of a machine whose kernel keeps those that it is told to. */
class Slots {
  readonly slots = new Map<number, KvmSlotRequest>();
  readonly kept = new Set<number>();
  readonly removed: number[] = [];
  limit = 8;

  add(request: KvmSlotRequest): number {
    const slot = this.slots.size;
    if (slot === this.limit) throw new VfioError("no slot is left", { code: "ENOSPC" });
    this.slots.set(slot, request);
    return slot;
  }
  remove(slot: number): void {
    if (this.kept.has(slot)) throw new VfioError(`KVM keeps slot ${slot}`, { code: "ENOMEM" });
    expect(this.slots.delete(slot)).toBe(true);
    this.removed.push(slot);
  }
  /** What stands in for a machine's. */
  get all(): KvmMemorySlots {
    return this as unknown as KvmMemorySlots;
  }
}

/** Whether a page is mapped into this process, with the rights of memory. */
function isMapped(address: number): boolean {
  return readFileSync("/proc/self/maps", "latin1")
    .split("\n")
    .some((line) => {
      const [, from, to, rights] = /^([0-9a-f]+)-([0-9a-f]+) (\S+)/.exec(line) ?? [];
      return rights?.startsWith("rw") && parseInt(from!, 16) <= address && address < parseInt(to!, 16);
    });
}

describe.each(["transparent", undefined] as const)("memory of pages %p", (hugePages) => {
  test("goes with its slots, and takes no second call amiss", () => {
    const before = openDescriptors();
    const slots = new Slots();
    const memory = new GuestMemory(slots.all, { places, hugePages });
    expect(memory.parts.map(({ mapping }) => isMapped(mapping.address))).toEqual([true, true]);
    const addresses = memory.parts.map(({ mapping }) => mapping.address);
    memory[Symbol.dispose]();
    memory[Symbol.dispose]();
    expect([slots.removed, addresses.map(isMapped)]).toEqual([
      [1, 0],
      [false, false],
    ]);
    expect(openDescriptors()).toEqual(before);
  });

  test.each([[[0]], [[1]], [[0, 1]]])(
    "stays mapped under slots %p that KVM keeps, and is tried again",
    (kept) => {
      const before = openDescriptors();
      const slots = new Slots();
      const memory = new GuestMemory(slots.all, { places, hugePages });
      const addresses = memory.parts.map(({ mapping }) => mapping.address);
      for (const slot of kept) slots.kept.add(slot);
      for (let time = 0; time < 2; time++) {
        expect(() => memory[Symbol.dispose]()).toThrow(expect.objectContaining({ code: "ENOMEM" }));
        expect([...slots.slots.keys()]).toEqual(kept);
        expect(addresses.map(isMapped)).toEqual([kept.includes(0), kept.includes(1)]);
      }
      slots.kept.clear();
      memory[Symbol.dispose]();
      expect([slots.slots.size, addresses.map(isMapped)]).toEqual([0, [false, false]]);
      expect(openDescriptors()).toEqual(before);
    },
  );

  test("of which a part cannot be made leaves nothing; but what KVM keeps, mapped", () => {
    const before = openDescriptors();
    for (const kept of [false, true]) {
      const slots = new Slots();
      slots.limit = 1;
      if (kept) slots.kept.add(0);
      expect(() => new GuestMemory(slots.all, { places, hugePages })).toThrow(
        expect.objectContaining({ code: "ENOSPC" }),
      );
      expect([...slots.slots.values()].map(({ hva }) => isMapped(hva))).toEqual(kept ? [true] : []);
      if (!kept) expect(openDescriptors()).toEqual(before);
    }
  });
});
