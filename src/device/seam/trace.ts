// The one interface through which the model tells what happens: guest accesses and their answers, decisions with their
// reasons, calls of the backend, actions of the platform. Numbers alone, so that a recorder needs no object an entry.

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
} as const;
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
  /** A read of the backend: `value` is the first four bytes. */
  deviceRead: ["region", "offset", "size", "value"],
  /** A write to the backend: `value` is the first four bytes. */
  deviceWrite: ["region", "offset", "size", "value"],
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
] as const;
export type UnansweredReason = (typeof unansweredReasons)[number];

/** What the guest tried, where nothing answers. */
export const unansweredAccesses = ["read", "write"] as const;

/** Actions of a SET_IRQS request, as an entry numbers them. */
export const irqActions = ["trigger", "mask", "unmask"] as const;

/**
 * What hears a trace. It is called in the middle of what it hears of, so it must not call the device, and must not throw.
 * One call is one entry.
 */
export interface Tracer {
  /**
   * @param kind of `TraceKind`
   * @param a to `e`: what `traceFields` names for the kind, 0 for the rest. Numbers as they were given: of a guest's access they may be any
   * @param text of an event or a failure; undefined otherwise
   */
  record(kind: number, a: number, b: number, c: number, d: number, e: number, text?: string): void;
}

/** Up to four bytes from `start`, little-endian, as an unsigned number: what an entry has of data. Missing ones count as 0. */
export function littleEndian(data: Uint8Array, start = 0): number {
  let value = 0;
  for (let i = Math.min(start + 4, data.length) - 1; i >= start; i--) value = value * 256 + data[i]!;
  return value;
}
