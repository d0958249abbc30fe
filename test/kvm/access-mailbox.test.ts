// Accesses from a vCPU's thread to the devices': every width and address, and what is found where nobody answers.
import { expect, test } from "bun:test";
import { AccessMailbox } from "../../src/kvm/access-mailbox.ts";
import type { Access, Asking } from "../support/asking-thread.ts";

type Kind = Access["kind"];

/** A thread that makes these accesses. @returns what it has in its bytes after each */
async function asking(
  mailbox: AccessMailbox,
  vcpu: number,
  accesses: readonly Access[],
): Promise<readonly (readonly number[])[]> {
  const worker = new Worker(new URL("../support/asking-thread.ts", import.meta.url).href);
  try {
    return await new Promise((resolve, reject) => {
      worker.onmessage = ({ data }) => resolve(data as number[][]);
      worker.onerror = ({ message }) => reject(new Error(message));
      worker.postMessage({ buffer: mailbox.buffer, vcpu, accesses } satisfies Asking);
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
