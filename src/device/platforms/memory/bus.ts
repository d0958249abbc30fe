import type { AddressSpace, GuestBus, TrappedRange } from "../../seam/platform.ts";
import { contains, formatRange, intersects, toAddress, toRange, type Range } from "../../address/range.ts";
import { YieldingRanges } from "../../address/yielding-ranges.ts";
import { type Journal, refuse } from "./journal.ts";

const describe = (range: TrappedRange): string =>
  `${range.kind} ${formatRange(range)} (region ${range.region})`;

/** Guest addresses that leave to devices; none belongs to two. */
export class Bus implements GuestBus {
  readonly #journal: Journal;
  #ranges: TrappedRange[] = [];
  /** Rests of pages that memory slots show. */
  readonly #kept = new YieldingRanges();

  constructor(journal: Journal) {
    this.#journal = journal;
  }

  insert({ kind, base, size, region }: TrappedRange): void {
    const range = { kind, base, size, region };
    if (kind !== "mmio" && kind !== "io")
      throw new RangeError(`kind must be "mmio" or "io", not ${String(kind)}`);
    toRange(base, size, "trapped range");
    toAddress(region, "region");
    if (size === 0) throw new RangeError("size of the trapped range must not be 0");
    if (kind === "io" && base + size > 0x1_0000)
      throw new RangeError(`trapped range ${describe(range)} is not within the 65536 I/O ports`);
    const other = this.#ranges.find((one) => one.kind === kind && intersects(one, range));
    if (other) throw refuse("EEXIST", `trapped range ${describe(range)} overlaps ${describe(other)}`);
    const stays = kind === "mmio" ? this.#kept.makeWay(range) : undefined;
    if (stays)
      throw refuse(
        "EEXIST",
        `trapped range ${describe(range)} is in a page that a memory slot shows: ${formatRange(stays)}`,
      );
    this.#journal.perform({ kind: "bus-insert", space: kind, base, size, region }, () =>
      this.#ranges.push(range),
    );
  }

  remove({ kind, base, size, region }: TrappedRange): void {
    this.#journal.check();
    const at = this.#ranges.findIndex(
      (one) => one.kind === kind && one.base === base && one.size === size && one.region === region,
    );
    if (at < 0)
      throw refuse("ENOENT", `there is no trapped range ${describe({ kind, base, size, region })} to remove`);
    this.#journal.perform({ kind: "bus-remove", space: kind, base, size, region }, () =>
      this.#ranges.splice(at, 1),
    );
  }

  keepFree(rest: Range, giveWay: () => boolean): Disposable | undefined {
    this.#journal.check();
    toRange(rest.base, rest.size, "rest of a page");
    const isTaken = this.#ranges.some((one) => one.kind === "mmio" && intersects(one, rest));
    return isTaken ? undefined : this.#kept.keep(rest, giveWay);
  }

  /** What is kept free, by address. */
  kept(): Range[] {
    return [...this.#kept].sort((a, b) => a.base - b.base);
  }

  /** Who gets a guest's access: the range that holds all of it. */
  find(kind: AddressSpace, address: number, size: number): TrappedRange | undefined {
    return this.#ranges.find((range) => range.kind === kind && contains(range, address, size));
  }

  /** Memory first, then I/O, each by address. */
  state(): TrappedRange[] {
    const order = (kind: AddressSpace): number => (kind === "mmio" ? 0 : 1);
    return [...this.#ranges].sort((a, b) => order(a.kind) - order(b.kind) || a.base - b.base);
  }

  clear(): void {
    this.#ranges = [];
    this.#kept.clear();
  }
}
