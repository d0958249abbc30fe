// What is used beside a device, as by the server of one, a recorder or a run loop: programs for refusals.ts.
import { unlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { AioPoll } from "../../src/ffi/aio-poll.ts";
import { AnonymousMemory } from "../../src/ffi/anonymous-memory.ts";
import { Arena } from "../../src/ffi/arena.ts";
import { Eventfd, waitReadable } from "../../src/ffi/eventfd.ts";
import { EventfdListener } from "../../src/ffi/eventfd-listener.ts";
import { FileDescriptor } from "../../src/ffi/file-descriptor.ts";
import { fileStatus, sealAgainstShrinking } from "../../src/ffi/file-status.ts";
import { futexWait, futexWake } from "../../src/ffi/futex.ts";
import { getLimit, setSoftLimit } from "../../src/ffi/limits.ts";
import { MemoryFile } from "../../src/ffi/memory-file.ts";
import { MessageSocket, messageSocketOverhead } from "../../src/ffi/message-socket.ts";
import { pageSize } from "../../src/ffi/page-size.ts";
import { PollSet } from "../../src/ffi/poll.ts";
import { holdSignal, kickSignal, signalThread, takeSignal, threadId } from "../../src/ffi/signals.ts";
import {
  acceptUnix,
  connectUnix,
  listenUnix,
  peerCredentials,
  setSocketTimeout,
  shutdownSocket,
  unixPair,
} from "../../src/ffi/unix-socket.ts";
import type { Program } from "./refusals.ts";

const page = pageSize();

/** Sockets, with messages and a descriptor that goes with one. */
const sockets: Program = {
  name: "sockets",
  run(owned) {
    const path = join(tmpdir(), `bun-vfio-${process.pid}.socket`);
    const listening = owned.use(listenUnix(path, 1, 0o600));
    owned.use({ [Symbol.dispose]: () => unlinkSync(path) });
    const client = owned.use(connectUnix(path));
    owned.use(acceptUnix(listening)!);
    peerCredentials(client.fd);
    setSocketTimeout(client.fd, "receive", 100);
    const [one, other] = unixPair("a pair").map((socket) => owned.use(socket)) as [
      FileDescriptor,
      FileDescriptor,
    ];
    const arena = owned.use(new Arena(page + 2 * messageSocketOverhead, "messages"));
    const [from, to] = [new MessageSocket(one.fd, arena), new MessageSocket(other.fd, arena)];
    const piece = arena.take(64);
    const must = (result: number): void => {
      if (result < 0) throw Object.assign(new Error("not sent or received"), { code: `errno ${-result}` });
    };
    must(from.send(piece, 0, 16, [one.fd]));
    try {
      must(to.receive(piece, 0, 16, false));
    } finally {
      to.closeReceived();
    }
    must(from.send(piece, 0, 16));
    must(to.receive(piece, 0, 16, false));
    shutdownSocket(one.fd);
  },
};

/** Memory, and files of it. */
const memory: Program = {
  name: "memory",
  run(owned) {
    const file = owned.use(new MemoryFile({ size: page, name: "every call" }));
    const copy = owned.use(FileDescriptor.duplicate(file.fd, "a copy"));
    copy.writeAt(0, Uint8Array.of(1, 2, 3, 4));
    copy.readAt(0, new Uint8Array(new ArrayBuffer(4)));
    fileStatus(copy.fd, "a copy");
    sealAgainstShrinking(copy.fd);
    owned.use(file.map());
    owned.use(new AnonymousMemory(page)).clear();
    setSoftLimit("NOFILE", getLimit("NOFILE").soft);
  },
};

/** Waits that end at once. */
const waits: Program = {
  name: "waits",
  run(owned) {
    const eventfd = owned.use(new Eventfd());
    eventfd.signal();
    waitReadable(eventfd.fd, 0);
    const set = new PollSet(1);
    set.set(eventfd.fd);
    set.wait(0);
    eventfd.drain();
    const word = new Int32Array(new SharedArrayBuffer(4));
    futexWait(word, 1, null);
    futexWake(word);
  },
};

/** A signal to this thread, which holds it. */
const signals: Program = {
  name: "signals",
  run(owned) {
    owned.use(holdSignal(kickSignal));
    signalThread(threadId(), kickSignal);
    takeSignal(kickSignal);
  },
};

/** A wait on the event loop without a thread. */
const asynchronous: Program = {
  name: "asynchronous I/O",
  async run(owned) {
    const eventfd = owned.use(new Eventfd());
    const ready = Promise.withResolvers<void>();
    const poll = owned.use(new AioPoll(eventfd.fd, () => ready.resolve()));
    poll.arm();
    eventfd.signal();
    await Promise.race([ready.promise, Bun.sleep(200)]);
  },
  // Bun closes what its stream has opened a moment later.
  settles: true,
};

/** A wait by a thread of its own, until that has ended. What an event itself does is the event loop's, which would tell of it. */
const listening: Program = {
  name: "a listener's thread",
  run(owned) {
    const eventfd = owned.use(new Eventfd());
    owned.use(new EventfdListener(eventfd.fd, () => {}, { via: "worker", keepAlive: false }));
  },
  settles: true,
};

export const programs: readonly Program[] = [sockets, memory, waits, signals, asynchronous, listening];
