// What it costs a vCPU's thread to have an access answered: by the thread of the devices, by a write that is not waited for, by a
// device in its own thread; and by two C threads with futexes, in turns. No KVM: two threads and the mailbox between them.
import { AccessMailbox } from "../src/kvm/access-mailbox.ts";
import type { AccessHandlers } from "../src/kvm/run-loop.ts";
import { compilePeer, compiler } from "./compile.ts";
import type { ExitOrder, ExitTimes } from "./exits-thread.ts";

/** Ways in which an access is answered. */
export const exitWays = ["asked", "posted", "own"] as const;
export type ExitWay = (typeof exitWays)[number];

export const median = (times: readonly number[]): number =>
  times.toSorted((a, b) => a - b)[times.length >> 1] ?? NaN;

const devices: AccessHandlers = {
  ioRead: (port, data) => void data.fill(port & 0xff),
  ioWrite: () => {},
  mmioRead: (address, data) => void data.fill(address & 0xff),
  mmioWrite: () => {},
};

/** A thread that asks as a vCPU's would. */
class Asking implements Disposable {
  readonly #mailbox: AccessMailbox;
  readonly #vcpu: number;
  readonly #worker = new Worker(new URL("./exits-thread.ts", import.meta.url).href);

  constructor(mailbox: AccessMailbox, vcpu: number) {
    this.#mailbox = mailbox;
    this.#vcpu = vcpu;
  }

  /** So many accesses, or as many as there is time for. @returns how long each took, in ns */
  ask(order: Pick<ExitOrder, "count" | "milliseconds" | "way">): Promise<ExitTimes> {
    return new Promise((resolve, reject) => {
      this.#worker.onmessage = ({ data }: MessageEvent<ExitTimes>) => resolve(data);
      this.#worker.onerror = ({ message }) => reject(new Error(message));
      const { buffer } = this.#mailbox;
      this.#worker.postMessage({ buffer, vcpu: this.#vcpu, ...order } satisfies ExitOrder);
    });
  }

  [Symbol.dispose](): void {
    this.#worker.terminate();
  }
}

/** Answers until all have asked what they were told. */
async function serve(
  mailbox: AccessMailbox,
  asking: readonly Promise<ExitTimes>[],
): Promise<readonly ExitTimes[]> {
  let ended = false;
  const all = Promise.all(asking).finally(() => {
    ended = true;
    mailbox.ring();
  });
  await mailbox.serve(devices, () => ended);
  return all;
}

/**
 * Each way in turn, for some rounds.
 * @param count accesses of a round @returns for each way the median of its rounds' medians, in ns; none of C without a compiler
 */
export async function exitTimes(
  rounds: number,
  count: number,
): Promise<Readonly<Record<ExitWay, number>> & { readonly C?: number }> {
  const by = compiler();
  const peer =
    by === null
      ? undefined
      : compilePeer(by, "futex-peer.c", {
          peer_round_trips: { args: ["ptr", "u32"], returns: "i32" },
        } as const);
  const mailbox = new AccessMailbox(1);
  using asking = new Asking(mailbox, 0);
  for (const way of exitWays) await serve(mailbox, [asking.ask({ way, count })]);
  const c: number[] = [];
  const times: Record<ExitWay, number[]> = { asked: [], posted: [], own: [] };
  for (let round = 0; round < rounds; round++) {
    if (peer) {
      const each = new Float64Array(new ArrayBuffer(8 * count));
      if (peer.peer_round_trips(each, count) < 0) throw new Error("no thread in C");
      c.push(median([...each]));
    }
    for (const way of exitWays) {
      const [result] = await serve(mailbox, [asking.ask({ way, count })]);
      times[way].push(median(result!.times));
    }
  }
  const [asked, posted, own] = exitWays.map((way) => median(times[way]));
  return { asked: asked!, posted: posted!, own: own!, ...(peer ? { C: median(c) } : {}) };
}

/** What was had of the thread of the devices in a time. */
export interface Fairness {
  /** Answers, of each vCPU. */
  readonly answered: readonly number[];
  /** How often a timer of 1 ms fired, and how late at worst, in ms. */
  readonly turns: number;
  readonly latest: number;
  /** The slowest answer, in ns. */
  readonly slowest: number;
}

/** So many vCPUs at once, each asking all the time. */
export async function fairness(vcpus: number, milliseconds: number): Promise<Fairness> {
  const mailbox = new AccessMailbox(vcpus);
  using all = new DisposableStack();
  const threads = Array.from({ length: vcpus }, (_, vcpu) => all.use(new Asking(mailbox, vcpu)));
  await serve(
    mailbox,
    threads.map((thread) => thread.ask({ way: "asked", count: 10 })),
  );
  let latest = 0;
  let turns = 0;
  let last = performance.now();
  const timer = setInterval(() => {
    const time = performance.now();
    turns++;
    latest = Math.max(latest, time - last - 1);
    last = time;
  }, 1);
  const answers = await serve(
    mailbox,
    threads.map((thread) => thread.ask({ way: "asked", milliseconds })),
  );
  clearInterval(timer);
  return {
    answered: answers.map(({ times }) => times.length),
    ...{ turns, latest },
    slowest: Math.max(...answers.flatMap(({ times }) => [...times].sort((a, b) => b - a).slice(0, 1))),
  };
}

/** The lines of the report. @param count accesses of a round @param milliseconds with 8 vCPUs */
export async function exitsReport(rounds: number, count: number, milliseconds: number): Promise<string[]> {
  const { C: c, ...times } = await exitTimes(rounds, count);
  const us = (time: number): string => `${(time / 1000).toFixed(3)} us`;
  const lines = Object.entries(times).map(
    ([way, time]) =>
      `exit ${way}: ${us(time)}${c === undefined ? "" : `, ${(time / c).toFixed(2)} of two C threads`}`,
  );
  const { answered, latest, slowest } = await fairness(8, milliseconds);
  const [least, most] = [Math.min(...answered), Math.max(...answered)];
  return [
    ...(c === undefined ? [] : [`two C threads with futexes: ${us(c)}`]),
    ...lines,
    `8 vCPUs at once: ${least} to ${most} answers each, the slowest ${(slowest / 1e6).toFixed(1)} ms; timer of 1 ms at most ${latest.toFixed(1)} ms late`,
  ];
}

if (import.meta.main) for (const line of await exitsReport(9, 20_000, 2000)) console.log(line);
