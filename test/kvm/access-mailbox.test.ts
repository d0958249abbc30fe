// Accesses from a vCPU's thread to the devices': every width and address, and what is found where nobody answers.
import { describe, expect, test } from "bun:test";
import { fairness } from "../../bench/exits.ts";
import { AccessMailbox } from "../../src/kvm/access-mailbox.ts";
import { TrapBus } from "../../src/kvm/trap-bus.ts";
import type { PostedRange } from "../../src/kvm/posted-writes.ts";
import type { Access, Asking } from "../support/asking-thread.ts";

type Kind = Access["kind"];

/** A thread that makes these accesses. @returns what it has in its bytes after each */
async function asking(
  mailbox: AccessMailbox,
  vcpu: number,
  accesses: readonly Access[],
  posted: readonly PostedRange[] = [],
): Promise<readonly (readonly number[])[]> {
  const worker = new Worker(new URL("../support/asking-thread.ts", import.meta.url).href);
  try {
    return await new Promise((resolve, reject) => {
      worker.onmessage = ({ data }) => resolve(data as number[][]);
      worker.onerror = ({ message }) => reject(new Error(message));
      worker.postMessage({ buffer: mailbox.buffer, vcpu, accesses, posted } satisfies Asking);
    });
  } finally {
    worker.terminate();
  }
}

/** Serves until all threads have ended. @returns what was heard, in order */
async function serve(
  mailbox: AccessMailbox,
  threads: readonly Promise<unknown>[],
  answer: (access: Access, data: Uint8Array) => void = () => {},
): Promise<Access[]> {
  const heard: Access[] = [];
  const hear = (kind: Kind) => (address: number, data: Uint8Array) => {
    const access = { kind, address, data: [...data] };
    heard.push(access);
    answer(access, data);
  };
  let ended = false;
  void Promise.allSettled(threads).then(() => {
    ended = true;
    mailbox.ring();
  });
  const handlers = {
    ioRead: hear("ioRead"),
    ioWrite: hear("ioWrite"),
    mmioRead: hear("mmioRead"),
    mmioWrite: hear("mmioWrite"),
  };
  await mailbox.serve(handlers, () => ended);
  return heard;
}

test("every kind, width and address arrives; reads bring back what the handler filled in", async () => {
  const mailbox = new AccessMailbox(1);
  const writes = [1, 2, 4, 8].map((width): Access => {
    const data = Array.from({ length: width }, (_, i) => 0xf0 + i);
    return { kind: width === 8 ? "mmioWrite" : "ioWrite", address: 0x8000_0000 + width, data };
  });
  const far = 2 ** 52 + 2 ** 31 + 5;
  const reads: Access[] = [
    { kind: "ioRead", address: 0xcfc, data: [0, 0] },
    { kind: "mmioRead", address: far, data: [0, 0, 0, 0, 0, 0, 0, 0] },
  ];
  const thread = asking(mailbox, 0, [...writes, ...reads]);
  const heard = await serve(mailbox, [thread], ({ kind }, data) => {
    if (kind.endsWith("Read")) data.forEach((_, i) => (data[i] = i + 1));
  });
  // Who reads and gets no answer finds all ones.
  const asked = reads.map((read) => ({ ...read, data: read.data.map(() => 0xff) }));
  expect(heard).toEqual([...writes, ...asked]);
  expect(await thread).toEqual([...writes.map(({ data }) => data), [1, 2], [1, 2, 3, 4, 5, 6, 7, 8]]);
});

test("three vCPUs at once: each gets its own answers, in its own order", async () => {
  const mailbox = new AccessMailbox(3);
  const accesses = (vcpu: number): Access[] =>
    Array.from({ length: 300 }, (_, i) => ({ kind: "mmioRead", address: 2 ** 40 * vcpu + i, data: [0, 0] }));
  const threads = [0, 1, 2].map((vcpu) => asking(mailbox, vcpu, accesses(vcpu)));
  await serve(mailbox, threads, ({ address }, data) => {
    data[0] = address % 256;
    data[1] = Math.floor(address / 2 ** 40);
  });
  const answers = await Promise.all(threads);
  expect(answers).toEqual([0, 1, 2].map((vcpu) => Array.from({ length: 300 }, (_, i) => [i % 256, vcpu])));
});

test("a handler that throws ends serving, and the thread that asked goes on", async () => {
  const mailbox = new AccessMailbox(1);
  const thread = asking(mailbox, 0, [
    { kind: "ioRead", address: 1, data: [0] },
    { kind: "ioRead", address: 2, data: [0] },
  ]);
  const failure = await serve(mailbox, [thread], () => {
    throw new Error("a broken device");
  }).catch((error: unknown) => error);
  expect(failure).toEqual(new Error("a broken device"));
  mailbox.close();
  expect(await thread).toEqual([[0xff], [0xff]]);
});

test("closed: who waits goes on, and so does who asks later; what they read is all ones", async () => {
  const mailbox = new AccessMailbox(2);
  const access: Access = { kind: "mmioRead", address: 0, data: [0, 0, 0, 0] };
  const waits = asking(mailbox, 0, [access]);
  // The bell rings once it waits.
  await Atomics.waitAsync(new Int32Array(mailbox.buffer), 0, 0).value;
  mailbox.close();
  expect(await waits).toEqual([[0xff, 0xff, 0xff, 0xff]]);
  expect(await asking(mailbox, 1, [access])).toEqual([[0xff, 0xff, 0xff, 0xff]]);
});

describe("writes that are posted", () => {
  const ports: PostedRange = { kind: "io", base: 0x3f8, size: 8 };
  const write = (address: number, value: number, kind: Kind = "ioWrite"): Access => ({
    kind,
    address,
    data: [value],
  });
  const read: Access = { kind: "ioRead", address: 0x3fd, data: [0] };

  test("are not waited for, and are heard in order; one beside them, or half in them, is waited for", async () => {
    const mailbox = new AccessMailbox(2);
    // In this thread, in which nobody serves yet: what waited would wait for ever.
    const posting = mailbox.ofVcpu(0, [ports, { kind: "mmio", base: 2 ** 40, size: 4 }]);
    const far: Access = { kind: "mmioWrite", address: 2 ** 40, data: [1, 2, 3, 4] };
    const posted = [write(0x3f8, 1), write(0x3ff, 2), far, write(0x3f8, 3)];
    for (const { kind, address, data } of posted) posting[kind](address, Uint8Array.from(data));
    expect(await serve(mailbox, [])).toEqual(posted);
    const waited: Access[] = [
      write(0x400, 1),
      write(0x3f7, 2),
      { kind: "ioWrite", address: 0x3fe, data: [1, 2, 3, 4] },
      write(0x3f8, 3, "mmioWrite"),
    ];
    const thread = asking(mailbox, 1, waited, [ports]);
    const states = new Int32Array(mailbox.buffer);
    while (Atomics.load(states, 0) === 0) await Bun.sleep(1);
    expect(await serve(mailbox, [thread])).toEqual(waited);
  });

  test("come before what any vCPU asks afterwards", async () => {
    const mailbox = new AccessMailbox(3);
    const posting = mailbox.ofVcpu(2, [ports]);
    posting.ioWrite(0x3f8, Uint8Array.of(7));
    const thread = asking(mailbox, 0, [read]);
    expect(await serve(mailbox, [thread])).toEqual([write(0x3f8, 7), { ...read, data: [0xff] }]);
  });

  test("more than there is room for: none is lost, none changes places, and a read comes after all", async () => {
    const mailbox = new AccessMailbox(2);
    const accesses = (vcpu: number): Access[] =>
      Array.from({ length: 1000 }, (_, i) => write(0x3f8 + 4 * vcpu + (i % 4), i % 251));
    const reads = [read, read].map((one, vcpu) => ({ ...one, address: 0x3f8 + 4 * vcpu }));
    const threads = [0, 1].map((vcpu) => asking(mailbox, vcpu, [...accesses(vcpu), reads[vcpu]!], [ports]));
    const last = [0, 0];
    const heard = await serve(mailbox, threads, ({ kind, address, data }, bytes) => {
      const vcpu = (address - 0x3f8) >> 2;
      if (kind === "ioRead") bytes[0] = last[vcpu]!;
      else last[vcpu] = data[0]!;
    });
    expect(heard.length).toBe(2 * 1001);
    for (const answers of await Promise.all(threads)) expect(answers.at(-1)).toEqual([999 % 251]);
    const one = new AccessMailbox(1);
    expect(await serve(one, [asking(one, 0, [...accesses(0), read], [ports])])).toEqual([
      ...accesses(0),
      { ...read, data: [0xff] },
    ]);
  });

  test("whose handler throws end serving; the next one goes on with the rest", async () => {
    const mailbox = new AccessMailbox(1);
    const posting = mailbox.ofVcpu(0, [ports]);
    for (const value of [1, 2]) posting.ioWrite(0x3f8, Uint8Array.of(value));
    const failure = await serve(mailbox, [], ({ data }) => {
      if (data[0] === 1) throw new Error("a broken device");
    }).catch((error: unknown) => error);
    expect(failure).toEqual(new Error("a broken device"));
    expect(await serve(mailbox, [])).toEqual([write(0x3f8, 2)]);
  });
});

test("8 vCPUs at once: none is starved, nor is the event loop", async () => {
  const { answered, turns } = await fairness(8, 500);
  // Each ask is answered once in each round over the boxes; how often a thread gets to ask is the scheduler's, with nine of them on
  // few cores.
  expect(Math.min(...answered)).toBeGreaterThan(Math.max(...answered) / 40);
  expect(turns).toBeGreaterThan(10);
}, 20_000);

test("an idle thread of the devices uses no processor", async () => {
  const mailbox = new AccessMailbox(1);
  let ended = false;
  await asking(mailbox, 0, []);
  const thread = asking(mailbox, 0, [{ kind: "ioRead", address: 1, data: [0] }]);
  const served = mailbox.serve(new TrapBus(), () => ended);
  await thread;
  const before = process.cpuUsage();
  await Bun.sleep(500);
  const { user, system } = process.cpuUsage(before);
  expect(user + system).toBeLessThan(250_000);
  ended = true;
  mailbox.ring();
  await served;
});
