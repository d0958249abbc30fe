// The kernel's asynchronous I/O of one thread (io_setup(2)): one context for all that is waited for, since ending one takes
// the kernel tens of milliseconds. It lasts as long as the thread.
import { read, type Pointer } from "bun:ffi";
import { Arena } from "./arena.ts";
import { systemCalls, systemError } from "./system-calls.ts";

/** Requests that may be under way at once. */
const maxRequests = 1024;
/** struct io_event of linux/aio_abi.h: `data` of the request, its address, two results; in bytes. */
const eventSize = 32;
const resultAt = 16;
const maxEvents = 64;
const again = 11;

/** Hears of a request's end: its first result, which is -errno where it failed. */
type OnEnd = (result: number) => void;
/** By the `data` of the request. */
const waiting = new Map<number, OnEnd>();
/** What the kernel has given back, and nobody has heard of yet. */
let ended: { readonly data: number; readonly result: number }[] = [];
let nextData = 1;
let context: { readonly id: number; readonly events: Pointer } | undefined;

function shared(): NonNullable<typeof context> {
  if (context) return context;
  const arena = new Arena(4096, "AIO events");
  const id = arena.take(8);
  const result = systemCalls().io_setup(maxRequests, id.address as Pointer);
  if (result < 0) {
    arena[Symbol.dispose]();
    throw systemError("io_setup", -result, "an AIO context", {
      hint: "The host's limit of AIO requests is /proc/sys/fs/aio-max-nr.",
    });
  }
  const events = arena.take(eventSize * maxEvents).address as Pointer;
  return (context = { id: Number(arena.view.getBigUint64(id.offset, true)), events });
}

/** A number by which `onEnd` is called, for the `data` of requests. @param data of one that is under way: hears instead */
export function registerAio(onEnd: OnEnd, data = nextData++): number {
  waiting.set(data, onEnd);
  return data;
}

/** Nobody hears of the requests of a number any more. */
export function forgetAio(data: number): void {
  waiting.delete(data);
}

/** @param submission address of the address of a struct iocb @throws VfioError */
export function submitAio(submission: number): void {
  const { id } = shared();
  for (let tries = 0; ; tries++) {
    const result = systemCalls().io_submit(id, 1, submission as Pointer);
    if (result === 1) return;
    // A ring that is full, as of requests that were cancelled. Who waits for others hears as always.
    if (result === -again && tries === 0) while (take(0) === maxEvents);
    else throw systemError("io_submit", -result, "an AIO request");
  }
}

/** Ends a request that is under way, and forgets who waits. @param request address of its struct iocb */
export function cancelAio(data: number, request: number): void {
  waiting.delete(data);
  const { id, events } = shared();
  systemCalls().io_cancel(id, request as Pointer, events);
  collectAio();
}

/** Empties the ring of what has ended, and tells who waits for it. */
export function collectAio(): void {
  while (take(0) === maxEvents);
  tell(() => true);
}

/** Waits until something has ended, and tells who waits, if they are wanted; the others hear by the next `collectAio`. */
export function waitAio(isWanted: (data: number) => boolean): void {
  if (!ended.some(({ data }) => isWanted(data))) take(1);
  tell(isWanted);
}

/** @param least to wait for @returns how many there were */
function take(least: number): number {
  const { id, events } = shared();
  const count = systemCalls().io_getevents(id, least, maxEvents, events, null);
  for (let i = 0; i < count; i++) {
    const at = i * eventSize;
    // Results are of 32 bits, in a word of 64.
    ended.push({ data: read.u32(events, at), result: read.i32(events, at + resultAt) });
  }
  return count;
}

function tell(isWanted: (data: number) => boolean): void {
  const now = ended.filter(({ data }) => isWanted(data));
  ended = ended.filter(({ data }) => !isWanted(data));
  for (const { data, result } of now) call(data, result);
}

function call(data: number, result: number): void {
  try {
    waiting.get(data)?.(result);
  } catch (error) {
    // Others still have to hear of theirs.
    queueMicrotask(() => {
      throw error;
    });
  }
}
