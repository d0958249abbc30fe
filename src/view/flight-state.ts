// What a recording says of a device at one of its entries: folded from what came before. A recording is not trusted, so
// all that it can make grow is bounded.
import { msixTableEntry } from "../regs/maps/msix.ts";
import type { FlightEntry } from "../device/replay/flight-format.ts";
import { TraceKind } from "../device/seam/trace.ts";
import { RegionIndex } from "../regs/vfio/regions.ts";
import type { MsixGeometry } from "../device/pci/msix-geometry.ts";

/**
 * How the value of a config byte is known. `read`: it was read, or put there by the model; `written`: not read since; `reset`: not
 * read since the device was reset. What the device itself makes of a write or a reset is known only once it is read; what of the
 * byte is the model's own is known at any time.
 */
export const Seen = { attach: 0, read: 1, written: 2, reset: 3 } as const;

/** A range of guest addresses whose accesses go to the device. In bytes. */
export interface BusRange {
  /** 0: memory, 1: I/O ports. */
  readonly space: number;
  readonly base: number;
  readonly size: number;
  readonly region: number;
}
/** Memory that the guest reaches without the VMM. In bytes. */
export interface SlotRange {
  readonly gpa: number;
  readonly size: number;
  readonly readOnly: boolean;
}
/** The message of a vector that is routed to the guest. */
export interface Route {
  readonly address: number;
  readonly data: number;
}

/** What a state begins with. */
export interface FlightStart {
  /** What the guest reads after the attach, a byte for each of config space. */
  readonly config: Uint8Array;
  /** Bits that are the model's own and not the device's, bits that a write stores, and bits that a 1 clears, likewise. */
  readonly emulated: Uint8Array;
  readonly write: Uint8Array;
  readonly clear: Uint8Array;
  /** As the guest finds them. */
  readonly msix: MsixGeometry | undefined;
}

const maxRanges = 64;
const maxSlots = 512;
const vectors = 2048;
const { at: maskByte, mask: maskBit } = msixTableEntry.field("vectorControl.masked").byte;

function put<Key, Value>(map: Map<Key, Value>, key: Key, value: Value, most: number): void {
  if (map.size < most || map.has(key)) map.set(key, value);
}

/** A device at one entry of a recording. */
export class FlightState {
  readonly start: FlightStart;
  /** What the guest reads there, as far as it is known; `seen` says how, of `Seen`. */
  readonly config: Uint8Array;
  readonly seen: Uint8Array;
  readonly ranges: Map<string, BusRange>;
  readonly slots: Map<number, SlotRange>;
  /** Sizes of what peers reach, by IOVA. */
  readonly peers: Map<number, number>;
  readonly routes: Map<number, Route>;
  /** Times that each vector was routed, and that an event waited for it when it was not. */
  readonly routed: Uint32Array;
  readonly waited: Uint32Array;
  /** The mask bits of the MSI-X table. */
  readonly masked: Uint8Array;
  intx = false;
  detached = false;

  constructor(start: FlightStart, from?: FlightState) {
    this.start = start;
    this.config = (from?.config ?? start.config).slice();
    this.seen = from?.seen.slice() ?? new Uint8Array(start.config.length);
    this.ranges = new Map(from?.ranges);
    this.slots = new Map(from?.slots);
    this.peers = new Map(from?.peers);
    this.routes = new Map(from?.routes);
    this.routed = from?.routed.slice() ?? new Uint32Array(vectors);
    this.waited = from?.waited.slice() ?? new Uint32Array(vectors);
    this.masked = from?.masked.slice() ?? new Uint8Array(vectors).fill(1);
    this.intx = from?.intx ?? false;
    this.detached = from?.detached ?? false;
  }

  clone(): FlightState {
    return new FlightState(this.start, this);
  }

  /** Goes on by one entry: the next one of the recording. */
  apply({ kind, numbers }: FlightEntry): void {
    const [a, b, c, d] = numbers as [number, number, number, number, number];
    switch (kind) {
      case TraceKind.configRead:
      case TraceKind.configBecomes:
        return this.#read(a, b, c);
      case TraceKind.deviceRead:
        return this.#deviceRead(a, b, c, d, numbers[4]!);
      case TraceKind.deviceWrite:
        return this.#deviceWrite(a, b, c, d, numbers[4]!);
      case TraceKind.configWrite:
        return this.#write(a, b, c);
      case TraceKind.barWrite:
        return this.#barWrite(a, b, c, d, numbers[4]!);
      case TraceKind.busInsert:
        return put(this.ranges, `${a} ${b} ${c} ${d}`, { space: a, base: b, size: c, region: d }, maxRanges);
      case TraceKind.busRemove:
        return void this.ranges.delete(`${a} ${b} ${c} ${d}`);
      case TraceKind.slotAdd:
        return put(this.slots, a, { gpa: b, size: c, readOnly: d !== 0 }, maxSlots);
      case TraceKind.slotRemove:
        return void this.slots.delete(a);
      case TraceKind.dmaMap:
        return put(this.peers, a, b, maxSlots);
      case TraceKind.dmaUnmap:
        return void this.peers.delete(a);
      case TraceKind.route:
        put(this.routes, a, { address: c * 2 ** 32 + b, data: d }, vectors);
        if (a in this.routed) this.routed[a]!++;
        return;
      case TraceKind.withdraw:
        return void this.routes.delete(a);
      case TraceKind.pending:
        if (b !== 0 && a in this.waited) this.waited[a]!++;
        return;
      case TraceKind.intx:
        this.intx = a !== 0;
        return;
      case TraceKind.afterReset:
        return this.#reset(a !== 0);
      case TraceKind.detach:
        this.detached = true;
        return;
    }
  }

  #fits(offset: number, width: number): boolean {
    return (
      (width === 1 || width === 2 || width === 4) &&
      Number.isInteger(offset) &&
      offset >= 0 &&
      offset + width <= this.config.length
    );
  }

  #read(offset: number, width: number, value: number): void {
    if (!this.#fits(offset, width)) return;
    for (let i = 0; i < width; i++) {
      this.config[offset + i] = value >>> (8 * i);
      this.seen[offset + i] = Seen.read;
    }
  }

  /** What the model asks the device for, a guest would find there. */
  #deviceRead(region: number, offset: number, size: number, value: number, high: number): void {
    this.#deviceBytes(region, offset, size, value, high, (at, byte) => {
      const emulated = this.start.emulated[at]!;
      this.config[at] = (byte & ~emulated) | (this.config[at]! & emulated);
      this.seen[at] = Seen.read;
    });
  }

  /** What the device makes of a write is known once it is read: until then it is taken for what a register does with it. */
  #deviceWrite(region: number, offset: number, size: number, value: number, high: number): void {
    this.#deviceBytes(region, offset, size, value, high, (at, byte) =>
      this.#stored(at, byte, ~this.start.emulated[at]! & 0xff),
    );
  }

  #deviceBytes(
    region: number,
    offset: number,
    size: number,
    value: number,
    high: number,
    take: (at: number, byte: number) => void,
  ): void {
    // What is longer was read at the attach.
    const isKnown = size >= 1 && size <= 8 && Number.isInteger(offset) && Number.isInteger(size);
    if (region !== RegionIndex.config || !isKnown || offset < 0 || offset + size > this.config.length) return;
    for (let i = 0; i < size; i++)
      if (this.start.emulated[offset + i] !== 0xff)
        take(offset + i, ((i < 4 ? value : high) >>> (8 * (i & 3))) & 0xff);
  }

  #write(offset: number, width: number, value: number): void {
    if (!this.#fits(offset, width)) return;
    for (let i = 0; i < width; i++)
      this.#stored(offset + i, (value >>> (8 * i)) & 0xff, this.start.emulated[offset + i]!);
  }

  /** Writes the bits of `mask` of a byte. */
  #stored(at: number, byte: number, mask: number): void {
    const stored = this.start.write[at]! & mask;
    const cleared = this.start.clear[at]! & mask;
    if ((stored | cleared) === 0) return;
    this.config[at] = ((this.config[at]! & ~stored) | (byte & stored)) & ~(cleared & byte);
    this.seen[at] = Seen.written;
  }

  /** A write to the MSI-X table: of a vector's mask bit. */
  #barWrite(region: number, offset: number, width: number, value: number, high: number): void {
    const table = this.start.msix?.table;
    if (table?.region !== region) return;
    const from = offset - table.offset;
    const size = msixTableEntry.size;
    const vector = Math.floor(from / size);
    const at = maskByte - (from % size);
    if (from < 0 || from >= table.size || vector >= vectors || at < 0 || at >= width || at >= 8) return;
    const byte = at < 4 ? value >>> (8 * at) : high >>> (8 * (at - 4));
    this.masked[vector] = byte & maskBit;
  }

  /** What is the device's own is as after the attach, for all that is known. @param own and the model keeps its own */
  #reset(own: boolean): void {
    const { config, emulated } = this.start;
    for (let at = 0; at < config.length; at++) {
      if (emulated[at] === 0xff) continue;
      this.config[at] = (config[at]! & ~emulated[at]!) | (this.config[at]! & emulated[at]!);
      this.seen[at] = Seen.reset;
    }
    if (!own) this.masked.fill(1);
  }
}
