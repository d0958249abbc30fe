import type { AddressSpace, GuestBus, TrappedRange } from "../../seam/platform.ts";
import { contains, formatRange, intersects, toAddress, toRange } from "../../address/range.ts";
import { type Journal, refuse } from "./journal.ts";

const describe = (range: TrappedRange): string =>
  `${range.kind} ${formatRange(range)} (region ${range.region})`;

/** Guest addresses that leave to devices; none belongs to two. */
export class Bus implements GuestBus {
  readonly #journal: Journal;
  #ranges: TrappedRange[] = [];

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
  }
}
