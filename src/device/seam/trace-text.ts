// Entries of a trace as data and as text: what people and programs see of the numbers that a `Tracer` hears.
import { irqName } from "../../regs/vfio/irqs.ts";
import { regionName } from "../../regs/vfio/regions.ts";
import { hex } from "../address/range.ts";
import { eventKinds } from "./events.ts";
import { noRegion } from "./guest-answers.ts";
import {
  irqActions,
  lineKinds,
  traceFields,
  TraceKind,
  unansweredAccesses,
  unansweredReasons,
  windowNames,
  type TraceKindName,
  type Tracer,
} from "./trace.ts";

/** An entry as plain data: its kind, its numbers by the names of `traceFields`, indexes of tables as their words. */
export interface TraceEntry {
  /** What it is about. */
  readonly kind: TraceKindName;
  /** By name; see `traceFields`. */
  readonly [field: string]: number | string | undefined;
  /** Of an event or a failure. */
  readonly text?: string | undefined;
}

const kindNames = Object.keys(TraceKind) as TraceKindName[];

/** Fields that stand for words of a table. */
const words: Readonly<Record<string, (value: number) => string | number>> = {
  reason: (value) => unansweredReasons[value] ?? value,
  access: (value) => unansweredAccesses[value] ?? value,
  window: (value) => windowNames[value] ?? value,
  unmasking: (value) => lineKinds[value] ?? value,
  action: (value) => irqActions[value] ?? value,
  event: (value) => eventKinds[value] ?? value,
  call: (value) => kindNames[value] ?? value,
};

/** An entry as data. @throws RangeError for a kind that this version does not know */
export function traceEntry(kind: number, numbers: readonly number[], text?: string): TraceEntry {
  const name = kindNames[kind];
  if (name === undefined) throw new RangeError(`"kind" must be a trace entry's, not ${kind}`);
  const entry: Record<string, number | string> = { kind: name };
  for (const [index, field] of traceFields[name].entries()) {
    const value = numbers[index]!;
    entry[field] = words[field]?.(value) ?? value;
  }
  if (text !== undefined) entry["text"] = text;
  return entry as unknown as TraceEntry;
}

/** A tracer that hands each entry on as data: for a log, not for a hot path. */
export const traceListener = (listener: (entry: TraceEntry) => void): Tracer => ({
  record(kind, a, b, c, d, e, text) {
    listener(traceEntry(kind, [a, b, c, d, e], text));
  },
});

const value = (entry: TraceEntry, width: number): string => {
  const low = Number(entry["value"] ?? 0);
  const wide = width > 4 ? BigInt(low) | (BigInt(Number(entry["high"] ?? 0)) << 32n) : BigInt(low);
  return hex(wide, 2 * Math.min(width, 8));
};
const at = (offset: unknown): string => hex(Number(offset), 3);
const range = ({ base, size }: TraceEntry): string =>
  `${hex(Number(base))}-${hex(Number(base) + Number(size) - 1)}`;
const region = (entry: TraceEntry): string => regionName(Number(entry["region"]));

const texts: Readonly<Record<TraceKindName, (entry: TraceEntry) => string>> = {
  configRead: (e) => `config read  ${at(e["offset"])} ${e["width"]} = ${value(e, Number(e["width"]))}`,
  configWrite: (e) => `config write ${at(e["offset"])} ${e["width"]} = ${value(e, Number(e["width"]))}`,
  barRead: (e) => `${region(e)} read  ${at(e["offset"])} ${e["width"]} = ${value(e, Number(e["width"]))}`,
  barWrite: (e) => `${region(e)} write ${at(e["offset"])} ${e["width"]} = ${value(e, Number(e["width"]))}`,
  unanswered: (e) =>
    `  ${e["access"] === "read" ? "all ones" : "dropped"}: ${Number(e["region"]) === noRegion ? "address" : region(e)} ${at(e["offset"])} ${e["width"]}: ${e["reason"]}`,
  event: (e) => `  event ${e["event"]}: ${e.text ?? ""}`,
  deviceRead: (e) =>
    `  device read  ${region(e)} ${at(e["offset"])} ${e["size"]} = ${value(e, Number(e["size"]))}`,
  deviceWrite: (e) =>
    `  device write ${region(e)} ${at(e["offset"])} ${e["size"]} = ${value(e, Number(e["size"]))}`,
  deviceMap: (e) => `  device map ${region(e)} ${at(e["offset"])} ${hex(Number(e["size"]))}`,
  deviceIrqs: (e) =>
    `  device irqs ${irqName(Number(e["index"]))} ${e["action"]} start ${e["start"]} count ${e["count"]}, ${e["eventfds"]} eventfds`,
  deviceReset: () => "  device reset",
  slotAdd: (e) =>
    `  slot ${e["slot"]} shows ${range({ ...e, base: e["gpa"] })}${e["readOnly"] ? " read-only" : ""}`,
  slotRemove: (e) => `  slot ${e["slot"]} is taken away`,
  busInsert: (e) => `  bus ${e["space"] ? "io" : "mmio"} ${range(e)} to ${region(e)}`,
  busRemove: (e) => `  bus ${e["space"] ? "io" : "mmio"} ${range(e)} from ${region(e)}`,
  dmaMap: (e) => `  peers reach ${range({ ...e, base: e["iova"] })}${e["writable"] ? "" : " read-only"}`,
  dmaUnmap: (e) => `  peers leave ${range({ ...e, base: e["iova"] })}`,
  route: (e) =>
    `  vector ${e["vector"]} routed to ${hex(Number(e["addressHigh"]) * 2 ** 32 + Number(e["addressLow"]))} data ${hex(Number(e["data"]))}`,
  withdraw: (e) => `  vector ${e["vector"]} not routed`,
  intx: (e) => `  INTx line ${e["connected"] ? "connected" : "disconnected"}`,
  msiGroup: (e) => `  ${e["vectors"]} vectors on the platform`,
  pending: (e) => `  vector ${e["vector"]} ${e["waits"] ? "has an event that waits" : "has no event"}`,
  intxLine: (e) =>
    `  INTx line of pin ${e["pin"]}: ${e["unmasking"] === "none" ? "none" : `unmasked by ${e["unmasking"]}`}`,
  allocate: (e) => `  ${e["window"]} gives ${e["found"] ? range(e) : `no ${hex(Number(e["size"]))} bytes`}`,
  reserve: (e) => `  ${e["window"]} ${e["taken"] ? "keeps" : "does not have"} ${range(e)}`,
  release: (e) => `  ${e["window"]} gets back ${range(e)}`,
  endOfInterrupt: () => "end of interrupt",
  reset: () => "reset by the VMM",
  snapshot: () => "snapshot by the VMM",
  detach: () => "detached by the VMM",
  presence: () => "asked by the VMM whether it is there",
  keepFree: (e) => `  bus ${e["kept"] ? "keeps free" : "has something in"} ${range(e)}`,
  afterReset: (e) => `  ${e["own"] ? "the device's own registers are" : "the device is"} as after a reset`,
  configBecomes: (e) => `  config becomes ${at(e["offset"])} ${e["width"]} = ${value(e, Number(e["width"]))}`,
  giveWay: (e) => `something else comes to ${range(e)}`,
  failed: (e) => `  failed ${e["call"]}: ${e.text ?? ""}`,
};

/** One line, without its end. Entries that a guest's access set off are indented under it. */
export const formatTraceEntry = (entry: TraceEntry): string => texts[entry.kind](entry);
