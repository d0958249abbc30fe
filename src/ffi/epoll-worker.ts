// The thread of `EpollLoop`: waits, and says which descriptors are ready. It reads none, since only the thread that owns
// them knows which are still open.
import { epollEvents, epollValues } from "./epoll-event.ts";
import { systemCalls, systemError } from "./system-calls.ts";

declare const self: Worker;

const interrupted = 4;
const maxEvents = 64;

/** Of the event that ends the loop. */
const stop = 0;

self.onmessage = ({ data: epoll }: MessageEvent<number>): void => {
  const events = epollEvents(maxEvents);
  for (;;) {
    const count = systemCalls().epoll_pwait(epoll, events, maxEvents, -1, null, 0);
    if (count === -interrupted) continue;
    if (count < 0) throw systemError("epoll_pwait", -count, "the epoll thread");
    const values = epollValues(events, count);
    if (values.includes(stop)) return process.exit();
    postMessage(values);
  }
};
