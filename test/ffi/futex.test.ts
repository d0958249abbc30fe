import { expect, test } from "bun:test";
import { futexTimeout, futexWait, futexWake } from "../../src/ffi/futex.ts";

const word = (): Int32Array => new Int32Array(new SharedArrayBuffer(64), 32, 1);

test("who waits for another value than there is does not sleep; otherwise its time runs out", () => {
  const cell = word();
  cell[0] = -5;
  expect(futexWait(cell, 5, futexTimeout(1e12))).toBe(true);
  const begin = performance.now();
  expect(futexWait(cell, -5, futexTimeout(20e6))).toBe(false);
  expect(performance.now() - begin).toBeGreaterThanOrEqual(19);
  futexWake(cell);
});

test("a time is seconds and nanoseconds", () => {
  expect([...futexTimeout(0), ...futexTimeout(2_500_000_001)]).toEqual([0n, 0n, 2n, 500_000_001n]);
});

test("a thread that sleeps is woken by another", async () => {
  const cell = word();
  const source = `
    import { futexTimeout, futexWait } from ${JSON.stringify(new URL("../../src/ffi/futex.ts", import.meta.url).href)};
    onmessage = ({ data }) => {
      const cell = new Int32Array(data, 32, 1);
      postMessage("sleeps");
      postMessage(futexWait(cell, 0, futexTimeout(30e9)));
    };
  `;
  const url = URL.createObjectURL(new Blob([source], { type: "application/typescript" }));
  const worker = new Worker(url);
  const heard: unknown[] = [];
  const woken = new Promise<void>((resolve, reject) => {
    worker.onerror = ({ message }) => reject(new Error(message));
    worker.onmessage = ({ data }) => {
      heard.push(data);
      if (data !== "sleeps") resolve();
    };
  });
  worker.postMessage(cell.buffer);
  while (heard.length < 2) {
    await Bun.sleep(5);
    // The value stays: only waking ends its sleep.
    if (heard.length === 1) futexWake(cell);
  }
  await woken;
  expect(heard).toEqual(["sleeps", true]);
  worker.terminate();
  URL.revokeObjectURL(url);
});
