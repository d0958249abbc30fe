// The thread of `EpollLoop`: waits, and says which descriptors are ready. It reads none, since only the thread that owns
// them knows which are still open.
import { epollEvents, epollValues } from "./epoll-event.ts";
import { lastErrno, libc, systemError } from "./libc.ts";

declare const self: Worker;

const interrupted = 4;
const most = 64;

/** Of the event that ends the loop. */
const stop = 0;

self.onmessage = ({ data: epoll }: MessageEvent<number>): void => {
  const events = epollEvents(most);
  for (;;) {
    const count = libc().epoll_wait(epoll, events, most, -1);
    if (count < 0) {
      const errno = lastErrno();
      if (errno === interrupted) continue;
      throw systemError("epoll_wait", errno, "the epoll thread");
    }
    const values = epollValues(events, count);
    if (values.includes(stop)) return process.exit();
    postMessage(values);
  }
};
