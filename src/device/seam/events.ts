import { EventCounts } from "./event-counts.ts";
import { TraceKind, type Tracer } from "./trace.ts";
import { messageOf } from "../../regs/message-of.ts";

/** Kinds of events: why the model did less than the guest or the VMM asked. The order is part of recorded traces. */
export const eventKinds = [
  /** The device could not be reset at attach or on request. */
  "reset-failed",
  /** A guest access that no PCI host would make: crossing a dword, outside of 4096 bytes, of an odd width. */
  "bad-access",
  /** The device did not answer: the guest read all ones, or its write was dropped. */
  "access-failed",
  /** A capability list or BAR of the device is malformed. */
  "malformed",
  /** A BAR cannot be where the guest put it: it decodes nothing until the guest moves it. */
  "bar-unplaced",
  /** The platform failed to reserve a BAR's address: it may be handed to another device. */
  "address-unreserved",
  /** An area of a BAR is not mapped: the guest's accesses to it trap. */
  "area-trapped",
  /** Peers cannot reach this device's BAR. */
  "peer-unavailable",
  /** The host or the platform refused an interrupt. */
  "interrupt-failed",
  /** The MSI-X table cannot be used or moved as asked. */
  "msix",
  /** Something could not be taken back, at detach or when a BAR left its place; there it is tried again. */
  "teardown",
  /** The device is not there any more: it was taken out, or fell off the bus. Told once; nothing answers from then on. */
  "device-gone",
] as const;
/** Why the model did less than the guest or the VMM asked; what it did instead is in the message. */
export type DeviceEventKind = (typeof eventKinds)[number];

/** Something that the model could not do as asked. It goes to `onEvent`; nothing is thrown then. */
export interface DeviceEvent {
  /** Which of the things that can be less than was asked. */
  readonly kind: DeviceEventKind;
  /** The backend's name. */
  readonly device: string;
  /** What the model did instead, where, and why: the cause is in it. */
  readonly message: string;
  /**
   * Events of this kind so far, this one included. Of each kind the first 100 are told, then those whose count is a power
   * of two: a guest can cause any number. A number that is left out is an event that was not told.
   */
  readonly count: number;
  /** What was thrown; undefined where nothing was. */
  readonly cause?: unknown;
}

export type ReportEvent = (kind: DeviceEventKind, message: string, cause?: unknown) => void;

/**
 * Tells a listener of one device's events, thinned as `DeviceEvent.count` says. What the listener throws is no business of
 * the guest access that it was called from: it is thrown again as a microtask, where it is an uncaught error. A trace has
 * every event.
 */
export function eventReporter(
  device: string,
  listener: ((event: DeviceEvent) => void) | undefined,
  trace?: Tracer,
): ReportEvent {
  const counts = new EventCounts();
  return (kind, what, cause) => {
    const message = withCause(what, cause);
    trace?.record(TraceKind.event, eventKinds.indexOf(kind), 0, 0, 0, 0, message);
    const count = counts.next(kind);
    if (count === undefined) return;
    try {
      listener?.({ kind, device, message, count, cause });
    } catch (error) {
      queueMicrotask(() => {
        throw error;
      });
    }
  };
}

/** A log and a recording have the message alone. */
function withCause(what: string, cause: unknown): string {
  if (cause === undefined) return what;
  const why = messageOf(cause);
  return what.endsWith(why) ? what : `${what}: ${why}`;
}
