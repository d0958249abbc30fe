// The kernel's asynchronous I/O of one thread (io_setup(2)): one context for all that is waited for, since ending one takes
// the kernel tens of milliseconds. It lasts as long as the thread.
import { read, type Pointer } from "bun:ffi";
import { Arena } from "./arena.ts";
import { systemCalls, systemError } from "./system-calls.ts";

/** Requests that may be under way at once. */
const maxRequests = 1024;
/** struct io_event of linux/aio_abi.h: `data` of the request, its address, two results; in bytes. */
const eventSize = 32;
const maxEvents = 64;
const again = 11;

/** Who hears of a request's end, by the `data` of the request. */
const waiting = new Map<number, () => void>();
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

/** A number by which `onEnd` is called, for the `data` of a request. */
export function registerAio(onEnd: () => void): number {
  const data = nextData++;
  waiting.set(data, onEnd);
  return data;
}

/** @param submission address of the address of a struct iocb @throws VfioError */
export function submitAio(submission: number): void {
  const { id } = shared();
  for (let tries = 0; ; tries++) {
    const result = systemCalls().io_submit(id, 1, submission as Pointer);
    if (result === 1) return;
    // A ring that is full of requests that were cancelled.
    if (result === -again && tries === 0) collectAio();
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
  const { id, events } = shared();
  for (;;) {
    const count = systemCalls().io_getevents(id, 0, maxEvents, events, null);
    if (count <= 0) return;
    const ended: number[] = [];
    for (let i = 0; i < count; i++) ended.push(read.u32(events, i * eventSize));
    for (const data of ended) tell(data);
    if (count < maxEvents) return;
  }
}

function tell(data: number): void {
  try {
    waiting.get(data)?.();
  } catch (error) {
    // Others still have to hear of theirs.
    queueMicrotask(() => {
      throw error;
    });
  }
}
