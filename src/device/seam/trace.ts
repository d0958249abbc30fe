// The one interface through which the model tells what happens: guest accesses and their answers, decisions with their
// reasons, calls of the backend, actions of the platform. Numbers alone, so that a recorder needs no object an entry.

import type { IrqInfo } from "../../regs/vfio/irqs.ts";
import type { RegionInfo } from "../../regs/vfio/regions.ts";

/** What an entry is about. The order is part of recorded traces: new kinds are added at the end. */
export const TraceKind = {
  configRead: 0,
  configWrite: 1,
  barRead: 2,
  barWrite: 3,
  unanswered: 4,
  event: 5,
  deviceRead: 6,
  deviceWrite: 7,
  deviceMap: 8,
  deviceIrqs: 9,
  deviceReset: 10,
  slotAdd: 11,
  slotRemove: 12,
  busInsert: 13,
  busRemove: 14,
  dmaMap: 15,
  dmaUnmap: 16,
  route: 17,
  withdraw: 18,
  intx: 19,
  failed: 20,
  msiGroup: 21,
  pending: 22,
  intxLine: 23,
  allocate: 24,
  reserve: 25,
  release: 26,
  endOfInterrupt: 27,
  reset: 28,
  snapshot: 29,
  detach: 30,
  presence: 31,
  keepFree: 32,
  giveWay: 33,
  afterReset: 34,
  configBecomes: 35,
} as const;
/** The name of a kind. */
export type TraceKindName = keyof typeof TraceKind;

/** The names of an entry's numbers, by kind, in their order; at most five. Those of one entry that are not named are 0. */
export const traceFields = {
  /** A guest's config read with its answer. `offset` and `width` in bytes. Comes after what it took. */
  configRead: ["offset", "width", "value"],
  /** A guest's config write. Comes before what it sets off. */
  configWrite: ["offset", "width", "value"],
  /** A guest's read of a BAR: `region` of `RegionIndex`, `value` and `high` the low and high 32 bits. After what it took. */
  barRead: ["region", "offset", "width", "value", "high"],
  /** A guest's write to a BAR, before what it sets off. */
  barWrite: ["region", "offset", "width", "value", "high"],
  /** A part of a guest's access that nothing answers: all ones, or dropped. `reason` and `access` index their tables below. */
  unanswered: ["reason", "access", "region", "offset", "width"],
  /** The model did less than was asked: the event's text. `event` indexes `DeviceEventKind`s in the order of `eventKinds`. */
  event: ["event"],
  /** A read of the backend: `value` and `high` are its first eight bytes. */
  deviceRead: ["region", "offset", "size", "value", "high"],
  /** A write to the backend, likewise. */
  deviceWrite: ["region", "offset", "size", "value", "high"],
  /** The backend maps an area into this process. */
  deviceMap: ["region", "offset", "size"],
  /** A SET_IRQS request: `index` of `IrqIndex`, `action` indexes `irqActions`, `eventfds` of them are not -1. */
  deviceIrqs: ["index", "action", "start", "count", "eventfds"],
  /** The backend resets the function. */
  deviceReset: [],
  /** The platform shows memory to the guest. */
  slotAdd: ["slot", "gpa", "size", "readOnly"],
  slotRemove: ["slot"],
  /** The platform has accesses to a range go to the device: `space` is 0 for memory, 1 for I/O ports. */
  busInsert: ["space", "base", "size", "region"],
  busRemove: ["space", "base", "size", "region"],
  /** The platform lets peers reach a range. */
  dmaMap: ["iova", "size", "writable"],
  dmaUnmap: ["iova", "size"],
  /** The platform routes a vector to the guest: address (low, high) and data of its message. */
  route: ["vector", "addressLow", "addressHigh", "data"],
  /** The platform takes a vector's route away. */
  withdraw: ["vector"],
  /** The platform's INTx line: connected (1) or not (0). */
  intx: ["connected"],
  /** A call of the backend or the platform failed, with the text why; `call` is its kind, of `TraceKind`. */
  failed: ["call"],
  /** The platform makes the messages of MSI or MSI-X, for so many vectors. */
  msiGroup: ["vectors"],
  /** The model asks whether an event waits for a vector that is not routed. */
  pending: ["vector", "waits"],
  /** The platform's line of an interrupt pin: `unmasking` indexes `lineKinds`. */
  intxLine: ["pin", "unmasking"],
  /** A window's highest free range: `window` indexes `windowNames`; `found` 0: there is none. */
  allocate: ["window", "size", "alignment", "found", "base"],
  /** A range of a window is to be taken; `taken` 0: it is another's. */
  reserve: ["window", "base", "size", "taken"],
  /** A range of a window is given back. */
  release: ["window", "base", "size"],
  /** The VMM says that the guest has handled an INTx interrupt. */
  endOfInterrupt: [],
  /** The VMM resets the device. */
  reset: [],
  /** The VMM takes a snapshot. */
  snapshot: [],
  /** The VMM detaches the device. */
  detach: [],
  /** The VMM asks whether the device is still there. */
  presence: [],
  /** The platform keeps the rest of a page free beside a BAR smaller than that; `kept` 0: something is there. */
  keepFree: ["base", "size", "kept"],
  /** Something else is to come to be where the platform kept a rest free. Before what it sets off. */
  giveWay: ["base", "size"],
  /** The device is as after a reset; `own` 1: what is its own alone, as on its way out of D3hot, and not what the model keeps. */
  afterReset: ["own"],
  /** What the guest reads there from now on, which it has not written. `offset` and `width` in bytes. */
  configBecomes: ["offset", "width", "value"],
} as const satisfies Readonly<Record<TraceKindName, readonly string[]>>;

/** Why nothing answers a guest's access. The order is part of recorded traces. */
export const unansweredReasons = [
  "no PCI host makes such an access",
  "config space ends before it",
  "the device does not answer",
  "no BAR decodes the address",
  "the BAR ends before it",
  "the device's own part of the BAR ends before it",
  "the region cannot be read",
  "the region cannot be written",
  "the PBA is read-only",
  "the device is detached",
  "the device is gone",
] as const;
/** One of them. */
export type UnansweredReason = (typeof unansweredReasons)[number];

/** What the guest tried, where nothing answers. */
export const unansweredAccesses = ["read", "write"] as const;

/** Actions of a SET_IRQS request, as an entry numbers them. */
export const irqActions = ["trigger", "mask", "unmask"] as const;

/** Windows of guest addresses, as an entry numbers them. */
export const windowNames = ["mmio32", "mmio64", "io"] as const;

/** How a platform's INTx line is unmasked, as an entry numbers them; `none`: the platform has no such line. */
export const lineKinds = ["none", "resample", "notified", "access"] as const;

/** What was attached, for a recording that is to be replayed. */
export interface TracedDevice {
  /** The backend's. */
  readonly name: string;
  /** By region index. */
  readonly regions: readonly RegionInfo[];
  /** By interrupt index. */
  readonly irqs: readonly IrqInfo[];
  /** As the backend said. */
  readonly resettable: boolean;
  /** Config space as read at attach. */
  readonly config: Uint8Array;
  /** Of the platform, in bytes. */
  readonly pageSize: number;
  /** The platform's windows, in the order of `windowNames`; undefined: it has no such window. In bytes. */
  readonly windows: readonly ({ readonly base: number; readonly size: number } | undefined)[];
  /** Whether the platform lets peers reach BARs. */
  readonly peers: boolean;
  /** Whether the platform keeps rests of pages free. */
  readonly keepsFree: boolean;
  /** How it was attached: options that JSON can hold. */
  readonly options: Readonly<Record<string, unknown>>;
}

/**
 * What hears a trace. It is called in the middle of what it hears of, so it must not call the device, and must not throw.
 * One call is one entry.
 */
export interface Tracer {
  /**
   * Hears one entry.
   * @param kind of `TraceKind`
   * @param a to `e`: what `traceFields` names for the kind, 0 for the rest. Numbers as they were given: of a guest's access they may be any
   * @param text of an event or a failure; undefined otherwise
   */
  record(kind: number, a: number, b: number, c: number, d: number, e: number, text?: string): void;
  /** Hears what the entries so far, and all that follow, are about. */
  attached?(device: TracedDevice): void;
}

/** Up to four bytes from `start`, little-endian, as an unsigned number: what an entry has of data. Missing ones count as 0. */
export function littleEndian(data: Uint8Array, start = 0): number {
  let value = 0;
  for (let i = Math.min(start + 4, data.length) - 1; i >= start; i--) value = value * 256 + data[i]!;
  return value;
}
