// DMA of a served device to memory that its client gives no descriptor of: what the server asks, in which order, and what it
// makes of the answers.
import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { join } from "node:path";
import { serveDevice, type DeviceServer, type ServerEvent } from "../../../src/device/vfio-user/index.ts";
import { Command, isError } from "../../../src/device/vfio-user/messages/header.ts";
import { bulkByte, bulkIova, bulkRegister, noOrder } from "../../support/bulk-device.ts";
import { joined, le32, le64, RawPeer, readU32, type RawMessage } from "../../support/raw-peer.ts";
import { Sandbox } from "../../support/sandbox.ts";

const iova = bulkIova;
const size = 2 ** 20;
const dmaTimeout = 400;
const module = new URL("../../support/bulk-device.ts", import.meta.url);

let box: Sandbox;
let server: DeviceServer;
let peer: RawPeer;
let events: ServerEvent[];

const connect = async (capabilities: object = {}): Promise<void> => {
  peer = new RawPeer(join(box.path, "socket"));
  await peer.hello(capabilities);
  await peer.ask(Command.dmaMap, joined(le32(32, 3), le64(0, iova, size)));
};
beforeEach(async () => {
  box = new Sandbox();
  events = [];
  const socket = join(box.path, "socket");
  // In a thread: the server waits for answers, and this is who gives them.
  server = serveDevice(module, { socket, dmaTimeout, onEvent: (event) => void events.push(event) });
  await server.ready;
  await connect();
});
afterEach(async () => {
  peer[Symbol.dispose]();
  await server.stop();
  box[Symbol.dispose]();
});

const access = (offset: number, count: number): Uint8Array => joined(le64(offset), le32(0, count));
/** Orders DMA. @returns the id of the write */
const order = (offset: number, bytes: number): number =>
  peer.send(Command.regionWrite, joined(access(offset, 4), le32(bytes)));
const next = async (): Promise<RawMessage> => {
  const message = await peer.receive();
  if (!message) throw new Error("the server has closed the connection");
  return message;
};
const address = ({ body }: RawMessage): number => Number(new DataView(body.buffer).getBigUint64(0, true));
const count = ({ body }: RawMessage): number => Number(new DataView(body.buffer).getBigUint64(8, true));
/** Answers a question of the server's. */
const answer = ({ id, command }: RawMessage, body: Uint8Array, error = 0): void =>
  void peer.send(command, body, { id, flags: error > 0 ? 1 + isError : 1, error });
const data = (bytes: number, start = 0): Uint8Array<ArrayBuffer> =>
  Uint8Array.from({ length: bytes }, (_, i) => start + i);
const left = async (): Promise<ServerEvent | undefined> => {
  for (let tries = 0; tries < 500 && events.at(-1)?.kind !== "client-left"; tries++) await Bun.sleep(2);
  return events.at(-1);
};
/** A register of the device; what else comes before the answer is of no interest. */
const register = async (offset: number): Promise<number> => {
  const id = peer.send(Command.regionRead, access(offset, 4));
  for (;;) {
    const message = await next();
    if (message.id === id && message.command === Command.regionRead) return readU32(message.body, 16);
  }
};
/** What the device has of its last order: the errno, how many bytes, and those at some places. */
const outcome = async (...places: number[]): Promise<number[]> => {
  const told = [await register(bulkRegister.errno), await register(bulkRegister.length)];
  for (const place of places) {
    await peer.ask(Command.regionWrite, joined(access(bulkRegister.place, 4), le32(place)));
    told.push((await register(bulkRegister.byte)) & 0xff);
  }
  return told;
};

describe("DMA_READ", () => {
  test("comes after the answer to the write that causes it, and its data reach the device", async () => {
    const id = order(bulkRegister.read, 8);
    expect(await next()).toMatchObject({ id, command: Command.regionWrite, error: 0 });
    const question = await next();
    expect([question.command, question.flags, address(question), count(question)]).toEqual([
      ...[Command.dmaRead, 0, iova, 8],
    ]);
    answer(question, joined(le64(iova, 8), data(8)));
    expect(await outcome(0, 7)).toEqual([0, 8, 0, 7]);
  });

  test("asks for 128 KiB at most, which is what QEMU answers as a whole", async () => {
    order(bulkRegister.read, 300 * 1024);
    await next();
    const asked: number[][] = [];
    for (const bytes of [128, 128, 44].map((kib) => kib * 1024)) {
      const question = await next();
      asked.push([address(question), count(question)]);
      answer(question, joined(le64(address(question), bytes), new Uint8Array(bytes).fill(asked.length)));
    }
    const [first, second] = [128 * 1024, 256 * 1024];
    expect(asked).toEqual([
      [iova, first],
      [iova + first, first],
      [iova + second, 44 * 1024],
    ]);
    expect(await outcome(0, first, second)).toEqual([0, 300 * 1024, 1, 2, 3]);
  });

  test("asks for no more than the client takes, and goes on behind an answer of less", async () => {
    peer[Symbol.dispose]();
    await connect({ max_data_xfer_size: 16 });
    order(bulkRegister.read, 24);
    await next();
    const first = await next();
    expect(count(first)).toBe(16);
    answer(first, joined(le64(iova, 4), data(4)));
    const second = await next();
    expect([address(second), count(second)]).toEqual([iova + 4, 16]);
    answer(second, joined(le64(iova + 4, 16), data(16, 4)));
    const third = await next();
    expect([address(third), count(third)]).toEqual([iova + 20, 4]);
    answer(third, joined(le64(iova + 20, 4), data(4, 20)));
    expect(await outcome(0, 3, 4, 19, 20, 23)).toEqual([0, 24, 0, 3, 4, 19, 20, 23]);
  });

  test("inside of a read is answered before the read is", async () => {
    const id = peer.send(Command.regionRead, access(bulkRegister.atRead, 4));
    const question = await next();
    expect(question.command).toBe(Command.dmaRead);
    answer(question, joined(le64(iova, 4), data(4, 1)));
    const reply = await next();
    expect([reply.id, reply.command]).toEqual([id, Command.regionRead]);
    expect([...reply.body]).toEqual([...access(bulkRegister.atRead, 4), 1, 2, 3, 4]);
  });

  test("that is refused fails the device's access, and nothing else", async () => {
    order(bulkRegister.read, 8);
    await next();
    answer(await next(), new Uint8Array(), 19);
    expect(await outcome()).toEqual([19, 0]);
  });

  test("that nobody answers fails after the time for it; what comes later is dropped", async () => {
    order(bulkRegister.read, 8);
    await next();
    const question = await next();
    await Bun.sleep(dmaTimeout + 100);
    answer(question, joined(le64(iova, 8), data(8)));
    expect(await outcome()).toEqual([110, 0]);
  });
});

describe("DMA_WRITE", () => {
  test("carries the data, as much as the client takes at once", async () => {
    order(bulkRegister.write, 8);
    await next();
    const question = await next();
    expect([question.command, address(question), count(question)]).toEqual([Command.dmaWrite, iova, 8]);
    expect([...question.body.slice(16)]).toEqual(Array(8).fill(bulkByte));
    answer(question, le64(iova, 8));
    expect(await outcome()).toEqual([0, 8]);
  });

  test("answered by a header alone, as by an older QEMU, is done", async () => {
    order(bulkRegister.write, 8);
    await next();
    answer(await next(), new Uint8Array());
    expect(await outcome()).toEqual([0, 8]);
  });
});

test("DMA_READ and DMA_WRITE go over the twin socket where the client has one", async () => {
  peer[Symbol.dispose]();
  peer = new RawPeer(join(box.path, "socket"));
  const { fds } = await peer.hello({ twin_socket: { supported: true } });
  using twin = new RawPeer(fds[0]!);
  await peer.ask(Command.dmaMap, joined(le32(32, 3), le64(0, iova, size)));
  for (const [offset, command] of [
    [bulkRegister.read, Command.dmaRead],
    [bulkRegister.write, Command.dmaWrite],
  ] as const) {
    order(offset, 4);
    const question = await twin.receive();
    expect(question?.command).toBe(command);
    twin.send(command, joined(le64(iova, 4), offset === bulkRegister.read ? data(4) : new Uint8Array()), {
      ...{ id: question!.id, flags: 1 },
    });
    expect((await next()).command).toBe(Command.regionWrite);
  }
  expect(await outcome()).toEqual([0, 4]);
});

test("while a DMA_READ waits, what else the client asks is answered", async () => {
  order(bulkRegister.read, 4);
  await next();
  const question = await next();
  const id = peer.send(Command.regionRead, access(0, 4));
  expect((await next()).id).toBe(id);
  const mapped = peer.send(Command.dmaMap, joined(le32(32, 3), le64(0, 2 * size, 4096)));
  expect(await next()).toMatchObject({ id: mapped, error: 0 });
  answer(question, joined(le64(iova, 4), data(4)));
  expect(await outcome(3)).toEqual([0, 4, 3]);
});

test("what a device is being written stays as it was while another write is done", async () => {
  order(bulkRegister.echo, 0x11111111);
  await next();
  const question = await next();
  const written = peer.send(Command.regionWrite, joined(access(bulkRegister.place, 4), le32(0x22222222)));
  expect((await next()).id).toBe(written);
  answer(question, joined(le64(iova, 1), data(1)));
  expect(await register(bulkRegister.echo)).toBe(0x11111111);
});

describe("an answer to DMA_READ that cannot be ends the connection, and the next client is served:", () => {
  test.each([
    ["of another command", Command.dmaWrite, (): Uint8Array => joined(le64(iova, 8), data(8))],
    ["of more bytes than were asked", Command.dmaRead, () => joined(le64(iova, 9), data(9))],
    ["of fewer bytes than it says", Command.dmaRead, () => joined(le64(iova, 8), data(4))],
    ["of no bytes", Command.dmaRead, () => le64(iova, 0)],
    ["of half a header", Command.dmaRead, () => le64(iova)],
  ] as const)("one %s", async (_, command, body) => {
    order(bulkRegister.read, 8);
    await next();
    const question = await next();
    answer({ ...question, command }, body());
    expect(await peer.receive()).toBeUndefined();
    expect(await left()).toMatchObject({
      kind: "client-left",
      reason: expect.stringContaining("a reply to DMA_READ"),
    });
    peer[Symbol.dispose]();
    await connect();
    expect((await outcome())[0]).not.toBe(noOrder);
  });
});

test("requests inside of requests end with the connection, before they end this process", async () => {
  // Each read makes the device ask; in place of an answer comes another read.
  for (let depth = 0; depth < 40; depth++) peer.send(Command.regionRead, access(bulkRegister.atRead, 4));
  for (let tries = 0; tries < 40 && (await peer.receive()); tries++);
  expect(await left()).toMatchObject({
    kind: "client-left",
    reason: expect.stringContaining("requests inside of requests have no end"),
  });
});
