// What a guest sees where nothing answers: reads give all ones, writes are dropped, as on a PCI bus without the device.
// Decided here alone; each such answer is an entry of the trace with its reason.
import type { DeviceEventKind, ReportEvent } from "./events.ts";
import { TraceKind, unansweredAccesses, unansweredReasons } from "./trace.ts";
import type { Tracer, UnansweredReason } from "./trace.ts";

/** All ones in `width` bytes, 1, 2 or 4: what a PCI host answers where no device does. Unsigned. */
export const allOnes = (width: number): number => (width === 1 ? 0xff : width === 2 ? 0xffff : 0xffffffff);

/** Fills what a guest reads where nothing answers. @param from to `to`: bytes of `data`, to its end unless given */
export function fillOnes(data: Uint8Array, from = 0, to: number = data.length): void {
  data.fill(0xff, from, to);
}

type Access = (typeof unansweredAccesses)[number];

/** A part of a guest's access that nothing answers. */
export interface Unanswered {
  readonly access: Access;
  /** Of `RegionIndex`; undefined for an address that no BAR decodes. */
  readonly region: number | undefined;
  /** Byte offset in the region; the guest's address where there is no region. */
  readonly offset: number;
  /** In bytes. */
  readonly width: number;
}

const reasonIds = new Map<UnansweredReason, number>(unansweredReasons.map((reason, id) => [reason, id]));

/** Region of an entry about an address that no BAR decodes; above every region index. */
export const noRegion = 0xffff;

/** Tells a trace that nothing answers a guest's access. One that is undefined hears nothing. */
export function traceUnanswered(
  trace: Tracer | undefined,
  { access, region = noRegion, offset, width }: Unanswered,
  reason: UnansweredReason,
): void {
  trace?.record(
    TraceKind.unanswered,
    reasonIds.get(reason)!,
    unansweredAccesses.indexOf(access),
    region,
    offset,
    width,
  );
}

/** The answers of one device. */
export class GuestAnswers {
  readonly #report: ReportEvent;
  readonly #trace: Tracer | undefined;

  constructor(report: ReportEvent, trace: Tracer | undefined) {
    this.#report = report;
    this.#trace = trace;
  }

  /** Nothing answers, and that is how PCI has it: an entry of the trace, no event. */
  silent(unanswered: Unanswered, reason: UnansweredReason): void {
    traceUnanswered(this.#trace, unanswered, reason);
  }

  /** Nothing answers, and somebody should know. @param where what was accessed, for the event's message */
  failed(
    kind: DeviceEventKind,
    where: string,
    unanswered: Unanswered,
    reason: UnansweredReason,
    cause?: unknown,
  ): void {
    this.silent(unanswered, reason);
    this.#report(kind, `${where}: ${unanswered.access === "read" ? "all ones" : "dropped"}`, cause);
  }
}
