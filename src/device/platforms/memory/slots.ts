import type { MemorySlots, SlotRequest } from "../../seam/platform.ts";
import { formatRange, intersects, isAligned, toRange } from "../../address/range.ts";
import { type Journal, refuse } from "./journal.ts";

/** A memory slot, as a test finds it. */
export interface SlotState extends SlotRequest {
  /** The platform's number for it. */
  readonly slot: number;
}

/** @throws TypeError, RangeError where a range is empty, not page-aligned, or ends at or above 2^53 */
export function checkPages(base: number, size: number, name: string, pageSize: number): void {
  toRange(base, size, name);
  if (size === 0) throw new RangeError(`size of the ${name} must not be 0`);
  if (!isAligned(base, pageSize) || !isAligned(size, pageSize))
    throw new RangeError(
      `${name} ${formatRange({ base, size })} is not aligned to the page size ${pageSize}`,
    );
}

/** Memory slots as KVM keeps them: page-aligned, none over another, the lowest free number next. */
export class Slots implements MemorySlots {
  readonly #journal: Journal;
  readonly #pageSize: number;
  readonly #max: number;
  readonly #slots = new Map<number, SlotState>();

  constructor(journal: Journal, pageSize: number, max: number) {
    this.#journal = journal;
    this.#pageSize = pageSize;
    this.#max = max;
  }

  add({ gpa, size, hva, readOnly }: SlotRequest): number {
    checkPages(gpa, size, "memory slot", this.#pageSize);
    checkPages(hva, size, "memory of the slot", this.#pageSize);
    if (hva === 0) throw new RangeError("hva of a memory slot must not be 0");
    if (typeof readOnly !== "boolean")
      throw new TypeError(`readOnly must be a boolean, not ${typeof readOnly}`);
    const range = { base: gpa, size };
    for (const other of this.#slots.values())
      if (intersects(range, { base: other.gpa, size: other.size }))
        throw refuse(
          "EEXIST",
          `memory slot ${formatRange(range)} overlaps slot ${other.slot} at ${formatRange({ base: other.gpa, size: other.size })}`,
        );
    let slot = 0;
    while (this.#slots.has(slot)) slot++;
    if (slot >= this.#max) throw refuse("ENOSPC", `all ${this.#max} memory slots are in use`);
    const state: SlotState = { slot, gpa, size, hva, readOnly };
    this.#journal.perform({ kind: "slot-add", ...state }, () => this.#slots.set(slot, state));
    return slot;
  }

  remove(slot: number): void {
    this.#journal.check();
    if (!this.#slots.has(slot)) throw refuse("ENOENT", `there is no memory slot ${slot} to remove`);
    this.#journal.perform({ kind: "slot-remove", slot }, () => this.#slots.delete(slot));
  }

  /** By number. */
  state(): SlotState[] {
    return [...this.#slots.values()].sort((a, b) => a.slot - b.slot);
  }

  clear(): void {
    this.#slots.clear();
  }
}
