import { afterEach, describe, expect, test } from "bun:test";
import { chmodSync, mkdirSync, readFileSync, readdirSync, statSync } from "node:fs";
import { join } from "node:path";
import {
  acceptUnix,
  AioPoll,
  Arena,
  connectUnix,
  Eventfd,
  FileDescriptor,
  getLimit,
  listenUnix,
  maxDescriptors,
  MemoryFile,
  MessageSocket,
  messageSocketOverhead,
  peerCredentials,
  setSocketTimeout,
  setSoftLimit,
  shutdownSocket,
  unixPair,
  type ArenaPiece,
} from "../../src/ffi/index.ts";
import { Sandbox } from "../support/sandbox.ts";

const openFiles = (): number => readdirSync("/proc/self/fd").length;
const closeOnExec = 0o2000000;
const again = -11;
const brokenPipe = -32;
const room = 2 ** 20;

/** Two ends of a connection, each with an arena. */
class Pair implements Disposable {
  readonly #fds = unixPair("a test");
  readonly #arena = new Arena(2 * room + 2 * messageSocketOverhead, "a test");
  readonly a = new MessageSocket(this.#fds[0].fd, this.#arena);
  readonly b = new MessageSocket(this.#fds[1].fd, this.#arena);
  readonly out: ArenaPiece = this.#arena.take(room);
  readonly in: ArenaPiece = this.#arena.take(room);

  /** Sends `bytes` from a to b. */
  send(bytes: readonly number[], fds: readonly number[] = []): number {
    this.#arena.bytes.set(bytes, this.out.offset);
    return this.a.send(this.out, 0, bytes.length, fds);
  }
  /** What b takes, as bytes. */
  take(size = room): number[] {
    const count = this.b.receive(this.in, 0, size, false);
    return count < 0 ? [count] : [...this.#arena.bytes.subarray(this.in.offset, this.in.offset + count)];
  }
  close(which: 0 | 1): void {
    this.#fds[which][Symbol.dispose]();
  }
  [Symbol.dispose](): void {
    for (const fd of this.#fds) fd[Symbol.dispose]();
    this.#arena[Symbol.dispose]();
  }
}

let before = 0;
afterEach(async () => {
  // Bun closes its own copy of an eventfd a moment later.
  for (let tries = 0; tries < 100 && openFiles() > before; tries++) await Bun.sleep(2);
  expect(openFiles()).toBeLessThanOrEqual(before);
});

describe("a message socket", () => {
  test("carries bytes and descriptors, which are close-on-exec", () => {
    before = openFiles();
    using pair = new Pair();
    using file = new MemoryFile({ size: 4096, name: "file" });
    file.writeAt(0, Uint8Array.of(42));
    expect(pair.send([1, 2, 3], [file.fd, file.fd])).toBe(0);
    expect(pair.take()).toEqual([1, 2, 3]);
    expect(pair.b.received).toHaveLength(2);
    const read = new Uint8Array(1);
    using mine = new FileDescriptor(pair.b.received.shift()!, "received");
    mine.readAt(0, read);
    expect(read[0]).toBe(42);
    const flags = /^flags:\s*(\d+)$/m.exec(readFileSync(`/proc/self/fdinfo/${mine.fd}`, "utf8"))![1]!;
    expect(parseInt(flags, 8) & closeOnExec).toBe(closeOnExec);
    pair.b.closeReceived();
  });

  test("ends a read behind bytes with descriptors: they belong to the last message that begins in it", () => {
    before = openFiles();
    using pair = new Pair();
    using file = new Eventfd();
    pair.send([1]);
    pair.send([2, 2], [file.fd]);
    pair.send([3]);
    pair.send([4], [file.fd, file.fd]);
    expect([pair.take(), pair.b.received.length]).toEqual([[1, 2, 2], 1]);
    pair.b.closeReceived();
    expect([pair.take(), pair.b.received.length]).toEqual([[3, 4], 2]);
    pair.b.closeReceived();
  });

  test("says what it could not do: nothing there, the peer gone", () => {
    before = openFiles();
    using pair = new Pair();
    expect(pair.take()).toEqual([again]);
    pair.send([7]);
    pair.close(0);
    expect([pair.take(), pair.take()]).toEqual([[7], []]);
    pair.close(1);
    using other = new Pair();
    other.close(1);
    expect(other.send([1])).toBe(brokenPipe);
  });

  test("carries 253 descriptors in one message, and refuses 254", () => {
    before = openFiles();
    using pair = new Pair();
    using file = new Eventfd();
    const many = Array.from({ length: maxDescriptors }, () => file.fd);
    expect(pair.send([1], many)).toBe(0);
    expect([pair.take(), pair.b.received.length]).toEqual([[1], maxDescriptors]);
    pair.b.closeReceived();
    expect(() => pair.send([1], [...many, file.fd])).toThrow("253 descriptors at most, not 254");
  });

  test("throws where descriptors are lost to the limit of open files, and keeps none of them", () => {
    before = openFiles();
    using pair = new Pair();
    using file = new Eventfd();
    pair.send([1], [file.fd, file.fd, file.fd, file.fd]);
    const { soft } = getLimit("NOFILE");
    const highest = Math.max(...readdirSync("/proc/self/fd").map(Number));
    using gaps = new DisposableStack();
    let last = -1;
    while (last < highest) last = gaps.use(new Eventfd()).fd;
    try {
      // Room for two of them.
      setSoftLimit("NOFILE", last + 3);
      expect(() => pair.take()).toThrow(expect.objectContaining({ code: "ETOOMANYREFS" }));
    } finally {
      setSoftLimit("NOFILE", soft);
    }
    expect(pair.b.received).toEqual([]);
  });

  test("gives up in time, both ways", () => {
    before = openFiles();
    using pair = new Pair();
    setSocketTimeout(pair.b.fd, "receive", 20);
    setSocketTimeout(pair.a.fd, "send", 20);
    expect(pair.b.receive(pair.in, 0, 1, true)).toBe(again);
    expect(pair.a.send(pair.out, 0, room)).toBe(again);
  });
});

describe("sockets with a path", () => {
  test("have the mode asked for from the start, and know who connects", () => {
    before = openFiles();
    using box = new Sandbox();
    const path = join(box.path, "socket");
    using listening = listenUnix(path, 1, 0o600);
    expect(statSync(path).mode & 0o777).toBe(0o600);
    using client = connectUnix(path);
    using server = acceptUnix(listening)!;
    expect(peerCredentials(server.fd)).toEqual({
      pid: process.pid,
      uid: process.getuid!(),
      gid: process.getgid!(),
    });
    expect(client.fd).not.toBe(server.fd);
    expect(() => listenUnix(path, 1, 0o600)).toThrow("EADDRINUSE");
  });

  test("that are shut down accept nobody any more", () => {
    before = openFiles();
    using box = new Sandbox();
    using listening = listenUnix(join(box.path, "socket"), 1, 0o600);
    shutdownSocket(listening.fd);
    expect(acceptUnix(listening)).toBeUndefined();
  });

  test("that cannot be are refused with the path", () => {
    before = openFiles();
    using box = new Sandbox();
    expect(() => connectUnix(join(box.path, "none"))).toThrow(/none: connect fails with ENOENT/);
    expect(() => connectUnix("x".repeat(108))).toThrow(RangeError);
    expect(() => connectUnix("a\0b")).toThrow(RangeError);
    mkdirSync(join(box.path, "closed"));
    chmodSync(join(box.path, "closed"), 0o700);
    expect(() => listenUnix(join(box.path, "missing", "socket"), 1, 0o600)).toThrow("ENOENT");
  });
});

describe("an AIO poll", () => {
  test("calls back once for each time that it is armed", async () => {
    before = openFiles();
    using pair = new Pair();
    let calls = 0;
    let heard = (): void => {};
    using poll = new AioPoll(pair.b.fd, () => {
      calls++;
      heard();
    });
    const next = (): Promise<void> => new Promise((resolve) => (heard = resolve));
    poll.arm();
    poll.arm();
    pair.send([1]);
    await next();
    pair.send([2]);
    await Bun.sleep(20);
    expect(calls).toBe(1);
    poll.arm();
    await next();
    expect(calls).toBe(2);
    expect(pair.take()).toEqual([1, 2]);
  });

  test('for "closed" hears nothing of bytes, and of the end at once', async () => {
    before = openFiles();
    using pair = new Pair();
    const ended = Promise.withResolvers<void>();
    let calls = 0;
    using poll = new AioPoll(
      pair.b.fd,
      () => {
        calls++;
        ended.resolve();
      },
      "closed",
    );
    poll.arm();
    pair.send([1]);
    await Bun.sleep(20);
    expect(calls).toBe(0);
    pair.close(0);
    await ended.promise;
    expect(calls).toBe(1);
  });

  test("that is disposed of while it waits calls nobody, and leaves nothing", async () => {
    before = openFiles();
    using pair = new Pair();
    const polls = Array.from({ length: 8 }, () => new AioPoll(pair.b.fd, () => expect.unreachable()));
    for (const poll of polls) poll.arm();
    for (const poll of polls) poll[Symbol.dispose]();
    pair.send([1]);
    await Bun.sleep(20);
  });
});

test("an arena hands out pieces that do not overlap, until it has none left", () => {
  before = openFiles();
  using arena = new Arena(4096, "a small arena");
  const first = arena.take(10);
  const second = arena.take(100, 64);
  expect([first.offset, second.offset, second.address - first.address]).toEqual([0, 64, 64]);
  expect(() => arena.take(4096)).toThrow("a small arena has no 4096 bytes left of 4096");
  arena.view.setUint32(second.offset, 7, true);
  expect(arena.bytes[64]).toBe(7);
});
