import { describe, expect, test } from "bun:test";
import { ptr, read, type Pointer } from "bun:ffi";
import { cString } from "../../src/ffi/c-string.ts";
import { mapFlag, protection } from "../../src/ffi/constants.ts";
import { epollEvents } from "../../src/ffi/epoll-event.ts";
import { readAt } from "../../src/ffi/file-io.ts";
import { MemoryFile } from "../../src/ffi/index.ts";
import { callsByCode, callsByLibc, systemCalls, type SystemCalls } from "../../src/ffi/system-calls.ts";

const noFile = 2;
const noThread = 3;
const badDescriptor = 9;
const again = 11;
const invalid = 22;
const notTty = 25;
const isTty = 0x5401; // TCGETS, asm-generic/ioctls.h.
const openFiles = 7;

const ways: Record<string, () => SystemCalls> = {
  "machine code": () => callsByCode()!,
  "the C library, where a host allows no code of ours": callsByLibc,
};

describe.each(Object.entries(ways))("by %s", (_, make) => {
  const calls = make();
  /** Two calls that fail differently, in turn. @returns how often a result was another's */
  const wrongResults = (rounds: number, between: (round: number) => void): number => {
    const limit = new BigUint64Array(new ArrayBuffer(16));
    let wrong = 0;
    for (let i = 0; i < rounds; i++) {
      if (calls.close(-1) !== -badDescriptor) wrong++;
      between(i);
      if (calls.prlimit64(0, -1, null, limit) !== -invalid) wrong++;
    }
    return wrong;
  };

  test("a call that fails returns minus its errno, in compiled code", () => {
    expect(wrongResults(200_000, () => {})).toBe(0);
  });

  test("a call that fails returns minus its errno, under garbage collection and allocation", () => {
    const kept: unknown[] = [];
    const allocate = (round: number): void => {
      kept[round % 64] = { array: new Uint8Array(round % 5000), text: `${round}`.repeat(20) };
      if (round % 1000 === 0) Bun.gc(true);
    };
    expect(wrongResults(20_000, allocate)).toBe(0);
    expect(kept.length).toBe(64);
  });

  test("ioctl takes a struct or a number, and a request with the top bit set", () => {
    using file = new MemoryFile({ size: 4096, name: "file" });
    const memory = new Uint8Array(new ArrayBuffer(64));
    expect(calls.ioctl(file.fd, isTty, memory)).toBe(-notTty);
    expect(calls.ioctl(file.fd, 0xc0345678, memory)).toBe(-notTty);
    expect(calls.ioctlInteger(file.fd, 0xc0345678, 5)).toBe(-notTty);
    expect(calls.ioctl(-1, isTty, null)).toBe(-badDescriptor);
  });

  test("six arguments arrive, and an address comes back", () => {
    using file = new MemoryFile({ size: 3 * 4096, name: "file" });
    file.writeAt(2 * 4096, Uint8Array.of(7));
    const { READ } = protection;
    const address = Number(calls.mmap(0, 4096, READ, mapFlag.SHARED, file.fd, 2 * 4096));
    expect(address).toBeGreaterThan(2 ** 20);
    expect(read.u8(address as Pointer, 0)).toBe(7);
    expect(calls.munmap(address, 4096)).toBe(0);
    expect(Number(calls.mmap(0, 4096, READ, mapFlag.SHARED, -1, 0))).toBe(-badDescriptor);
    expect(Number(calls.mmap(0, 4096, READ, mapFlag.SHARED, file.fd, 1))).toBe(-invalid);
  });

  test("offsets above 4 GiB arrive", () => {
    using file = new MemoryFile({ size: 2 ** 33, name: "file" });
    const data = Uint8Array.of(1, 2, 3);
    const read = new Uint8Array(new ArrayBuffer(3));
    expect(calls.pwrite(file.fd, data, 3, 2 ** 32 + 5)).toBe(3);
    expect(calls.pread(file.fd, read, 3, 2 ** 32 + 5)).toBe(3);
    expect(read).toEqual(data);
    expect(calls.pread(file.fd, read, 3, 5)).toBe(3);
    expect(read).toEqual(new Uint8Array(3));
  });

  test("every other call reaches the kernel that it is named for", () => {
    const memory = new Uint8Array(new ArrayBuffer(128));
    const none = 2 ** 30;
    const [one, other] = [new BigUint64Array(new ArrayBuffer(16)), new BigUint64Array(new ArrayBuffer(16))];
    expect(calls.gettid()).toBe(process.pid);
    expect(calls.tgkill(process.pid, process.pid, 0)).toBe(0);
    expect(calls.tgkill(process.pid, none, 0)).toBe(-noThread);
    expect(calls.prlimit64(0, openFiles, null, one)).toBe(0);
    expect(calls.prlimit64(process.pid, openFiles, null, other)).toBe(0);
    expect(one[0]).toBeGreaterThan(0n);
    expect(other).toEqual(one);
    expect(calls.openat(-100, cString("/none"), 0, 0)).toBe(-noFile);
    expect(calls.memfd_create(cString("x"), none)).toBe(-invalid);
    expect(calls.fcntl(none, 1, 0)).toBe(-badDescriptor);
    expect(calls.ftruncate(none, 0)).toBe(-badDescriptor);
    expect(calls.read(none, memory, 1)).toBe(-badDescriptor);
    expect(calls.write(none, memory, 1)).toBe(-badDescriptor);
    expect(calls.madvise(1, 1, 0)).toBe(-invalid);
    expect(calls.rt_sigprocmask(99, memory, null, 8)).toBe(-invalid);
    expect(calls.rt_sigprocmask(0, null, memory, 8)).toBe(0);
    expect(calls.rt_sigtimedwait(memory, null, memory.subarray(16), 8)).toBe(-again);
    expect(calls.eventfd2(0, 1 << 20)).toBe(-invalid);
    expect(calls.epoll_create1(1)).toBe(-invalid);
    expect(calls.socket(1, 99, 0)).toBe(-invalid);
    expect(calls.connect(none, memory, 110)).toBe(-badDescriptor);
    expect(calls.bind(none, memory, 110)).toBe(-badDescriptor);
    expect(calls.listen(none, 1)).toBe(-badDescriptor);
    expect(calls.accept4(0, null, null, 1)).toBe(-invalid);
    expect(calls.sendto(none, memory, 1, 0, null, 0)).toBe(-badDescriptor);
    expect(calls.sendmsg(none, memory, 0)).toBe(-badDescriptor);
    expect(calls.recvmsg(none, memory, 0)).toBe(-badDescriptor);
    expect(calls.shutdown(none, 2)).toBe(-badDescriptor);
    const pair = new Int32Array(new ArrayBuffer(8));
    expect(calls.socketpair(1, 1, 0, pair)).toBe(0);
    expect(calls.setsockopt(pair[0]!, 1, 20, memory, 16)).toBe(0);
    expect(calls.getsockopt(pair[0]!, 1, 17, memory, Int32Array.of(12))).toBe(0);
    expect(calls.shutdown(pair[0]!, 9)).toBe(-invalid);
    for (const fd of pair) expect(calls.close(fd)).toBe(0);
    expect(calls.fstat(none, memory)).toBe(-badDescriptor);
    expect(calls.fchmod(none, 0o600)).toBe(-badDescriptor);
    const context = new BigUint64Array(new ArrayBuffer(8));
    expect(calls.io_setup(0, context)).toBe(-invalid);
    expect(calls.io_setup(1, context)).toBe(0);
    expect(calls.io_getevents(Number(context[0]), 0, 1, memory, null)).toBe(0);
    expect(calls.io_submit(Number(context[0]), 0, null)).toBe(0);
    expect(calls.io_cancel(Number(context[0]), memory, memory.subarray(64))).toBe(-invalid);
    const epoll = calls.epoll_create1(0);
    expect(calls.epoll_ctl(epoll, 1, none, memory)).toBe(-badDescriptor);
    expect(calls.epoll_pwait(epoll, epollEvents(1), 1, 0, null, 0)).toBe(0);
    expect(calls.ppoll(memory.subarray(64), 0, memory.subarray(16), null, 0)).toBe(0);
    expect(calls.close(epoll)).toBe(0);
  });
});

describe("the calls of this process", () => {
  test("are machine code", () => {
    expect(callsByCode()).toBeDefined();
    expect(String(systemCalls().close)).not.toBe(String(callsByLibc().close));
  });

  test("of a Worker return their own failures", async () => {
    const source = `
      const { systemCalls } = require(${JSON.stringify(require.resolve("../../src/ffi/system-calls.ts"))});
      let wrong = 0;
      for (let i = 0; i < 100000; i++) if (systemCalls().close(-1) !== -${badDescriptor}) wrong++;
      postMessage(wrong);
    `;
    const url = URL.createObjectURL(new Blob([source]));
    const worker = new Worker(url);
    const answer = new Promise((resolve, reject) => {
      worker.onmessage = ({ data }: MessageEvent<number>) => resolve(data);
      worker.onerror = ({ message }) => reject(new Error(message));
    });
    // This thread fails otherwise meanwhile.
    const limit = new BigUint64Array(new ArrayBuffer(16));
    let wrong = 0;
    for (let i = 0; i < 100_000; i++) if (systemCalls().prlimit64(0, -1, null, limit) !== -invalid) wrong++;
    expect([await answer, wrong]).toEqual([0, 0]);
    worker.terminate();
    URL.revokeObjectURL(url);
  });
});

describe("memory for the kernel", () => {
  test("a small typed array moves when its buffer is looked at: passed as a view, it is filled all the same", () => {
    using file = new MemoryFile({ size: 4096, name: "file" });
    file.writeAt(
      0,
      Uint8Array.from({ length: 64 }, (_, i) => i + 1),
    );
    for (let i = 0; i < 1000; i++) {
      const small = new Uint8Array(8);
      const before = ptr(small);
      readAt(file.fd, 8, small, "file");
      const { buffer } = small;
      expect(ptr(small)).not.toBe(before);
      readAt(file.fd, 16, small.subarray(4), "file");
      expect([small.toHex(), new Uint8Array(buffer).toHex()]).toEqual([
        "090a0b0c11121314",
        "090a0b0c11121314",
      ]);
    }
  });

  test("of the library's own stays where it is", () => {
    for (const own of [cString("/dev/vfio/vfio"), epollEvents(1)]) {
      const before = ptr(own);
      expect(own.buffer.byteLength).toBe(own.byteLength);
      expect(ptr(own)).toBe(before);
    }
  });

  test("text ends with a NUL and holds none", () => {
    expect(cString("é").toHex()).toBe("c3a900");
    expect(() => cString("a\0b")).toThrow(RangeError);
  });
});
