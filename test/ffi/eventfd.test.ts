import { describe, expect, test } from "bun:test";
import { closeSync, openSync, readdirSync } from "node:fs";
import { errnoName } from "../../src/ffi/errno.ts";
import { Eventfd, drainEventfd, isReadable, signalEventfd } from "../../src/ffi/eventfd.ts";
import { VfioError } from "../../src/ffi/errors.ts";

const open = (): number => readdirSync("/proc/self/fd").length;

describe("eventfds", () => {
  test("count what is signalled, and are empty once drained", () => {
    using eventfd = new Eventfd();
    expect([eventfd.isReady(), eventfd.drain()]).toEqual([false, 0]);
    eventfd.signal();
    eventfd.signal(4);
    expect([eventfd.isReady(), eventfd.isReady()]).toEqual([true, true]);
    expect([eventfd.drain(), eventfd.isReady()]).toEqual([5, false]);
  });

  test("a full counter keeps its events", () => {
    using eventfd = new Eventfd();
    eventfd.signal(2 ** 52);
    for (let i = 0; i < 10_000; i++) eventfd.signal(2 ** 52);
    expect(eventfd.isReady()).toBe(true);
    expect(eventfd.drain()).toBeGreaterThan(2 ** 62);
  });

  test("take counts from 1 to 2^53 - 1, and no other descriptor for one above 32 bits", () => {
    using eventfd = new Eventfd();
    for (const count of [0, -1, 0.5, NaN, 2 ** 53, 2 ** 64 + 4096])
      expect(() => eventfd.signal(count)).toThrow(RangeError);
    for (const count of ["1", 1n, null] as never[]) expect(() => eventfd.signal(count)).toThrow(TypeError);
    for (const fd of [2 ** 32 + eventfd.fd, eventfd.fd + 0.5, NaN])
      for (const use of [signalEventfd, drainEventfd, isReadable]) expect(() => use(fd)).toThrow(RangeError);
    expect(eventfd.isReady()).toBe(false);
    eventfd.signal(Number.MAX_SAFE_INTEGER);
    expect(eventfd.drain()).toBe(Number.MAX_SAFE_INTEGER);
  });

  test("are closed once, and refuse use afterwards", () => {
    const before = open();
    const eventfd = new Eventfd();
    expect(open()).toBe(before + 1);
    eventfd[Symbol.dispose]();
    eventfd[Symbol.dispose]();
    expect(open()).toBe(before);
    for (const use of [
      () => eventfd.fd,
      () => eventfd.signal(),
      () => eventfd.drain(),
      () => eventfd.isReady(),
    ])
      expect(use).toThrow("closed");
  });

  test("one of one's own for a counter that is there outlives the other descriptor", () => {
    const first = new Eventfd();
    using second = new Eventfd(first.fd);
    expect(second.fd).not.toBe(first.fd);
    first.signal(3);
    first[Symbol.dispose]();
    second.signal();
    expect(second.drain()).toBe(4);
  });

  test("a descriptor that is closed, or of something else, is refused and not kept", () => {
    const before = open();
    expect(() => new Eventfd(999_999)).toThrow("descriptor 999999: fcntl fails with EBADF");
    const file = openSync("/dev/null", "r");
    expect(() => new Eventfd(file)).toThrow("is not an eventfd");
    closeSync(file);
    expect(open()).toBe(before);
  });

  test("a failing call names itself, its descriptor and its errno", () => {
    expect(() => signalEventfd(999_999)).toThrow("eventfd 999999: write fails with EBADF");
    expect(isReadable(999_999)).toBe(false);
    let error: unknown;
    try {
      signalEventfd(999_999);
    } catch (thrown) {
      error = thrown;
    }
    expect(error).toBeInstanceOf(VfioError);
    expect(error).toMatchObject({ code: "EBADF", errno: 9, syscall: "write" });
    expect([errnoName(16), errnoName(200)]).toEqual(["EBUSY", "E200"]);
  });

  test("a thousand come and go without a trace", () => {
    const before = open();
    for (let i = 0; i < 1000; i++) {
      using eventfd = new Eventfd();
      eventfd.signal();
    }
    expect(open()).toBe(before);
  });
});
