import { describe, expect, test } from "bun:test";
import { ptr } from "bun:ffi";
import { cString } from "../../src/ffi/c-string.ts";
import { epollEvents } from "../../src/ffi/epoll-event.ts";
import { readAt } from "../../src/ffi/file-io.ts";
import { MemoryFile } from "../../src/ffi/index.ts";
import { lastErrno, libc } from "../../src/ffi/libc.ts";

const badDescriptor = 9;
const invalid = 22;
const notTty = 25;
const isTty = 0x5401; // TCGETS, asm-generic/ioctls.h.
const openFiles = 7;

describe("errno", () => {
  /** Two calls that fail differently, in turn. @returns how often errno was another's */
  const wrongReads = (rounds: number, between: (round: number) => void): number => {
    const limit = new BigUint64Array(new ArrayBuffer(16));
    let wrong = 0;
    for (let i = 0; i < rounds; i++) {
      if (libc().close(-1) >= 0 || lastErrno() !== badDescriptor) wrong++;
      between(i);
      if (libc().getrlimit(-1, limit) >= 0 || lastErrno() !== invalid) wrong++;
    }
    return wrong;
  };

  test("is that of the call just before, in compiled code", () => {
    expect(wrongReads(200_000, () => {})).toBe(0);
  });

  test("is that of the call just before, under garbage collection and allocation", () => {
    const kept: unknown[] = [];
    const allocate = (round: number): void => {
      kept[round % 64] = { array: new Uint8Array(round % 5000), text: `${round}`.repeat(20) };
      if (round % 1000 === 0) Bun.gc(true);
    };
    expect(wrongReads(20_000, allocate)).toBe(0);
    expect(kept.length).toBe(64);
  });

  test("of a Worker is its own", async () => {
    const source = `
      const { lastErrno, libc } = require(${JSON.stringify(require.resolve("../../src/ffi/libc.ts"))});
      let wrong = 0;
      for (let i = 0; i < 100000; i++) if (libc().close(-1) >= 0 || lastErrno() !== ${badDescriptor}) wrong++;
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
    for (let i = 0; i < 100_000; i++)
      if (libc().getrlimit(-1, limit) >= 0 || lastErrno() !== invalid) wrong++;
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

describe("calls", () => {
  test("ioctl takes a struct or a number, and a request with the top bit set", () => {
    using file = new MemoryFile({ size: 4096, name: "file" });
    const memory = new Uint8Array(new ArrayBuffer(64));
    expect([libc().ioctl(file.fd, isTty, memory), lastErrno()]).toEqual([-1, notTty]);
    expect([libc().ioctl(file.fd, 0xc0345678, memory), lastErrno()]).toEqual([-1, notTty]);
    expect([libc().ioctlInteger(file.fd, 0xc0345678, 5), lastErrno()]).toEqual([-1, notTty]);
    expect([libc().ioctl(-1, isTty, null), lastErrno()]).toEqual([-1, badDescriptor]);
  });

  test("getrlimit and prlimit agree", () => {
    const one = new BigUint64Array(new ArrayBuffer(16));
    const other = new BigUint64Array(new ArrayBuffer(16));
    expect([libc().getrlimit(openFiles, one), libc().prlimit(0, openFiles, null, other)]).toEqual([0, 0]);
    expect(one[0]).toBeGreaterThan(0n);
    expect(other).toEqual(one);
  });
});
