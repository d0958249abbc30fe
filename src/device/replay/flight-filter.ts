// What of a recording is looked for: of each thing that the guest or the VMM did, with what it set off.
import { irqName } from "../../regs/vfio/irqs.ts";
import { barName } from "../pci/bars.ts";
import { traceFields, TraceKind } from "../seam/trace.ts";
import type { FlightEntry } from "./flight-format.ts";
import type { FlightGroup } from "./flight-groups.ts";

/** All that is given must hold. */
export interface FlightFilter {
  /** Accesses to config space alone. */
  readonly config?: boolean | undefined;
  /** What has to do with this BAR: a region index. */
  readonly bar?: number | undefined;
  /** What has to do with this vector. */
  readonly vector?: number | undefined;
  /** What took as many seconds at least, from its first entry to its last. */
  readonly slow?: number | undefined;
  /** Where nothing answered, something failed, or the model did less than was asked. */
  readonly why?: boolean | undefined;
}

/** Whether every part of a filter takes it. */
export function isWanted({ cause, entries }: FlightGroup, filter: FlightFilter): boolean {
  const { config, bar, vector, slow, why } = filter;
  if (config && cause?.kind !== TraceKind.configRead && cause?.kind !== TraceKind.configWrite) return false;
  if (bar !== undefined && !entries.some((entry) => isOfBar(entry, bar))) return false;
  if (vector !== undefined && !entries.some((entry) => isOfVector(entry, vector))) return false;
  if (why && !entries.some(({ kind }) => unexpected.has(kind))) return false;
  return slow === undefined || entries.at(-1)!.seconds - entries[0]!.seconds >= slow;
}

const unexpected: ReadonlySet<number> = new Set([TraceKind.unanswered, TraceKind.failed, TraceKind.event]);
const fieldsOf: readonly (readonly string[])[] = Object.values(traceFields);

/** What an entry has under a name; undefined where its kind has nothing of that name. */
function numberOf({ kind, numbers }: FlightEntry, name: string): number | undefined {
  const index = fieldsOf[kind]?.indexOf(name) ?? -1;
  return index < 0 ? undefined : numbers[index];
}

/** An event is text alone, which names the BAR. */
function isOfBar(entry: FlightEntry, bar: number): boolean {
  if (entry.kind !== TraceKind.event) return numberOf(entry, "region") === bar;
  return new RegExp(`\\b${barName(bar)}\\b`).test(entry.text ?? "");
}

function isOfVector(entry: FlightEntry, vector: number): boolean {
  if (entry.kind !== TraceKind.deviceIrqs) return numberOf(entry, "vector") === vector;
  const [index, , start, count] = entry.numbers as [number, number, number, number];
  return irqName(index).startsWith("MSI") && vector >= start && vector < start + count;
}
