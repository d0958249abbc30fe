import { describe, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import {
  holdSignal,
  kickSignal,
  signalBit,
  signalThread,
  takeSignal,
  threadId,
} from "../../src/ffi/signals.ts";

/** The signals that this thread blocks, 64 bits. */
const blocked = (): bigint =>
  BigInt(`0x${/SigBlk:\s+(\w+)/.exec(readFileSync(`/proc/self/task/${threadId()}/status`, "utf8"))![1]!}`);
const isBlocked = (): boolean => (blocked() & signalBit(kickSignal)) !== 0n;

test("the main thread's number is the process's", () => {
  expect(threadId()).toBe(process.pid);
});

describe("a held signal", () => {
  test("waits until it is taken, and is gone with the last holder", () => {
    const before = blocked();
    using first = holdSignal(kickSignal);
    using second = holdSignal(kickSignal);
    expect([first.before, second.before]).toEqual([before, before]);
    expect(takeSignal(kickSignal)).toBe(false);
    expect(signalThread(threadId(), kickSignal)).toBe(true);
    expect([takeSignal(kickSignal), takeSignal(kickSignal)]).toEqual([true, false]);
    first[Symbol.dispose]();
    first[Symbol.dispose]();
    expect(isBlocked()).toBe(true);
    // Not taken by anybody: it must not end the process when it is unblocked.
    signalThread(threadId(), kickSignal);
    second[Symbol.dispose]();
    expect(blocked()).toBe(before);
    expect(isBlocked()).toBe(false);
  });
});

test("a thread that has ended is no error, one that never was is", () => {
  // The highest number that Linux can give a thread, 2^22, is never in use on its own.
  expect(signalThread(2 ** 22, kickSignal)).toBe(false);
  for (const thread of [0, -1, 1.5, 2 ** 32 + threadId(), NaN])
    expect(() => signalThread(thread, kickSignal)).toThrow(expect.objectContaining({ code: "ESRCH" }));
});
