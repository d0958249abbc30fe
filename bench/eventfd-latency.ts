// From a signal of an eventfd on another thread to the JavaScript that waits for it, by each way of waiting.
import { Eventfd, EventfdListener, waitReadable } from "../src/ffi/index.ts";
import { now } from "./clock.ts";
import type { SignallerRequest } from "./eventfd-signaller.ts";

export interface Latency {
  readonly way: "stream" | "worker" | "blocking";
  /** Half of the events, and 99 of 100, arrive within so many ns. */
  readonly p50: number;
  readonly p99: number;
}

/** Samples in turn for each way. @param count of each */
export async function eventfdLatencies(count: number): Promise<Latency[]> {
  using eventfd = new Eventfd();
  const shared = new SharedArrayBuffer(16);
  const turns = new Int32Array(shared, 0, 1);
  const stamp = new BigInt64Array(shared, 8, 1);
  const signaller = new Worker(new URL("./eventfd-signaller.ts", import.meta.url));
  const ready = new Promise((resolve) => signaller.addEventListener("message", resolve, { once: true }));
  signaller.postMessage({ fd: eventfd.fd, shared } satisfies SignallerRequest);
  await ready;
  const ask = (): void => {
    Atomics.add(turns, 0, 1);
    Atomics.notify(turns, 0);
  };
  const age = (): number => Number(now() - Atomics.load(stamp, 0));

  const byListener = async (via: "stream" | "worker"): Promise<number[]> => {
    const ages: number[] = [];
    let arrived = (): void => {};
    using _ = new EventfdListener(
      eventfd.fd,
      () => {
        ages.push(age());
        arrived();
      },
      { via },
    );
    for (let i = 0; i < count; i++)
      await new Promise<void>((resolve) => {
        arrived = resolve;
        ask();
      });
    return ages;
  };
  const byBlocking = (): number[] =>
    Array.from({ length: count }, () => {
      ask();
      if (!waitReadable(eventfd.fd, 10_000)) throw new Error("no signal came");
      const taken = age();
      eventfd.drain();
      return taken;
    });

  try {
    return [
      latency("stream", await byListener("stream")),
      latency("worker", await byListener("worker")),
      latency("blocking", byBlocking()),
    ];
  } finally {
    signaller.terminate();
  }
}

function latency(way: Latency["way"], ages: number[]): Latency {
  ages.sort((a, b) => a - b);
  const at = (share: number): number => ages[Math.min(ages.length - 1, Math.floor(ages.length * share))]!;
  return { way, p50: at(0.5), p99: at(0.99) };
}

export function printLatencies(latencies: readonly Latency[]): void {
  const blocking = latencies.find(({ way }) => way === "blocking")!;
  console.log("\nFrom an eventfd's signal on another thread to JavaScript:");
  for (const { way, p50, p99 } of latencies)
    console.log(
      `  ${way.padEnd(10)} p50 ${(p50 / 1000).toFixed(1)} us, p99 ${(p99 / 1000).toFixed(1)} us, ` +
        `p50 to blocking ${(p50 / blocking.p50).toFixed(2)}`,
    );
}

if (import.meta.main) printLatencies(await eventfdLatencies(3000));
