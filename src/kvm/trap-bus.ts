import type { AddressSpace, GuestBus, TrappedRange } from "../device/seam/platform.ts";
import { contains, formatRange, toRange, type Range } from "../device/address/range.ts";
import { YieldingRanges } from "../device/address/yielding-ranges.ts";
import { RangeTable } from "../device/address/range-table.ts";
import { fillOnes, traceUnanswered } from "../device/seam/guest-answers.ts";
import type { Tracer } from "../device/seam/trace.ts";
import { VfioError } from "../ffi/errors.ts";
import type { AccessHandlers } from "./run-loop.ts";

/** What answers accesses at addresses; `VfioPciDevice` is one. What a read leaves in `data` the guest gets. */
export interface TrapTarget {
  /** It answers nothing any more, wherever a range of it is left: what its platform did not take back. */
  readonly closed?: boolean;
  /** A read of `data.length` bytes at a guest physical address. */
  mmioRead?(address: number, data: Uint8Array): unknown;
  /** A write of `data` to a guest physical address. */
  mmioWrite?(address: number, data: Uint8Array): unknown;
  /** A read of `data.length` bytes from a port. */
  ioRead?(port: number, data: Uint8Array): unknown;
  /** A write of `data` to a port. */
  ioWrite?(port: number, data: Uint8Array): unknown;
}

interface Entry extends Range {
  readonly name: string;
  readonly region: number | undefined;
  readonly target: () => TrapTarget | undefined;
}

/** A passed-through device's part of the bus, for its platform. */
export interface DeviceBus extends GuestBus {
  /** Where its accesses go: to be set once it is attached. Until then reads give all ones and writes are dropped. */
  device: TrapTarget | undefined;
}

/** Who answers a guest's accesses to memory addresses and ports. Nobody: reads give all ones, writes are dropped. */
export class TrapBus implements AccessHandlers {
  readonly #tables: Readonly<Record<AddressSpace, RangeTable<Entry>>> = {
    mmio: new RangeTable(),
    io: new RangeTable(),
  };
  /** Rests of pages that devices' memory slots show. */
  readonly #kept = new YieldingRanges();
  /** Told of accesses that nobody answers. */
  readonly #onMissing: ((kind: AddressSpace, address: number, width: number) => void) | undefined;

  /** Who answers what nobody here does. */
  readonly #otherwise: AccessHandlers | undefined;
  readonly #trace: Tracer | undefined;

  /**
   * An empty bus.
   * @param onMissing told of each access that nobody answers; `width` is in bytes
   * @param otherwise gets those accesses: a bus of fewer devices before one of all
   * @param trace hears of each of them that is answered here, with the reason
   */
  constructor(
    onMissing?: (kind: AddressSpace, address: number, width: number) => void,
    otherwise?: AccessHandlers,
    trace?: Tracer,
  ) {
    this.#onMissing = onMissing;
    this.#otherwise = otherwise;
    this.#trace = trace;
  }

  /**
   * Gives a range to something of the VMM's own.
   * @param name for messages
   * @returns disposing of it gives the range back
   * @throws VfioError EEXIST where another has part of it; RangeError
   */
  insert(kind: AddressSpace, base: number, size: number, name: string, target: TrapTarget): Disposable {
    const entry = this.#insert(kind, { base, size, name, region: undefined, target: () => target });
    let there = true;
    return {
      [Symbol.dispose]: () => {
        if (there) this.#tables[kind].delete([entry]);
        there = false;
      },
    };
  }

  /** A device's part. @param name for messages */
  forDevice(name: string): DeviceBus {
    const bus: DeviceBus = {
      device: undefined,
      insert: ({ kind, base, size, region }) => {
        this.#insert(kind, { base, size, name, region, target });
      },
      remove: (range) => this.#remove(range, name, target),
      keepFree: (rest, giveWay) =>
        this.#tables.mmio.overlap(rest) ? undefined : this.#kept.keep(rest, giveWay),
    };
    const target = (): TrapTarget | undefined => bus.device;
    return bus;
  }

  #insert(kind: AddressSpace, entry: Entry): Entry {
    toRange(entry.base, entry.size, "trapped range");
    const table = this.#tables[kind];
    const there = table.overlap(entry);
    if (there)
      throw new VfioError(
        `${kind} ${formatRange(entry)} of ${entry.name} overlaps ${formatRange(there)} of ${there.name}`,
        { code: "EEXIST" },
      );
    const stays = kind === "mmio" ? this.#kept.makeWay(entry) : undefined;
    if (stays)
      throw new VfioError(
        `${kind} ${formatRange(entry)} of ${entry.name} is in a page that a memory slot shows: ${formatRange(stays)}`,
        { code: "EEXIST" },
      );
    table.insert(entry);
    return entry;
  }

  #remove({ kind, base, size, region }: TrappedRange, name: string, target: Entry["target"]): void {
    const entry = this.#tables[kind].overlap({ base, size });
    const same =
      entry?.base === base && entry.size === size && entry.region === region && entry.target === target;
    if (!same)
      throw new VfioError(`${name} does not own ${kind} ${formatRange({ base, size })}`, { code: "ENOENT" });
    this.#tables[kind].delete([entry]);
  }

  /** Who has an address, for messages. */
  nameAt(kind: AddressSpace, address: number): string | undefined {
    return this.#tables[kind].overlap({ base: address, size: 1 })?.name;
  }

  /** What has all of an access. One that reaches over the end of a range is nobody's. */
  #find(
    kind: AddressSpace,
    address: number,
    width: number,
    access: "read" | "write",
  ): TrapTarget | undefined {
    const entry = this.#tables[kind].overlap({ base: address, size: 1 });
    const target = entry && contains(entry, address, width) ? entry.target() : undefined;
    if (target && !target.closed) return target;
    this.#onMissing?.(kind, address, width);
    if (this.#trace !== undefined && !this.#otherwise)
      traceUnanswered(
        this.#trace,
        { access, region: undefined, offset: address, width },
        target ? "the device is detached" : "no BAR decodes the address",
      );
    return undefined;
  }

  mmioRead(address: number, data: Uint8Array): void {
    const target = this.#find("mmio", address, data.length, "read");
    if (!target && this.#otherwise) return this.#otherwise.mmioRead(address, data);
    fillOnes(data);
    target?.mmioRead?.(address, data);
  }
  mmioWrite(address: number, data: Uint8Array): void {
    const target = this.#find("mmio", address, data.length, "write");
    if (!target) return this.#otherwise?.mmioWrite(address, data);
    target.mmioWrite?.(address, data);
  }
  ioRead(port: number, data: Uint8Array): void {
    const target = this.#find("io", port, data.length, "read");
    if (!target && this.#otherwise) return this.#otherwise.ioRead(port, data);
    fillOnes(data);
    target?.ioRead?.(port, data);
  }
  ioWrite(port: number, data: Uint8Array): void {
    const target = this.#find("io", port, data.length, "write");
    if (!target) return this.#otherwise?.ioWrite(port, data);
    target.ioWrite?.(port, data);
  }
}
