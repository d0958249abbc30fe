// Peers that nobody trusts: mutated conversations with each end of vfio-user. Nothing crashes, nothing is left open, and the
// next peer is served. `BUN_VFIO_MUTATIONS=1000000` for a million messages a side.
import { expect, setDefaultTimeout, test } from "bun:test";
import { readFileSync } from "node:fs";
import { connectDevice, type VfioUserClient } from "../../src/device/vfio-user/index.ts";
import { Command } from "../../src/device/vfio-user/messages/header.ts";
import { ServerCore } from "../../src/device/vfio-user/server/server-core.ts";
import {
  Arena,
  Eventfd,
  type FileDescriptor,
  MemoryFile,
  MessageSocket,
  messageSocketOverhead,
  unixPair,
  VfioError,
  type ArenaPiece,
} from "../../src/ffi/index.ts";
import { doable, message, utterance } from "../support/conversation.ts";
import { openDescriptors } from "../support/descriptors.ts";
import { mutated } from "../support/mutated-bytes.ts";
import { seededRandom, type Random } from "../support/random.ts";
import { joined, le32, le64, versionBody } from "../support/raw-peer.ts";
import { SocketDevice } from "../support/socket-device.ts";

setDefaultTimeout(600_000);

const messages = Number(process.env["BUN_VFIO_MUTATIONS"] ?? (process.env["CI"] ? 100_000 : 10_000));
/** How often each command succeeds at the least: 1,000 times of 100,000. */
const atLeast = messages / 100;
const mapped = (): number => readFileSync("/proc/self/maps", "latin1").split("memfd:mutations").length;
const room = 2 ** 21;

/** An end of a connection in this thread, which sends and takes without waiting. */
class Speaker implements Disposable {
  readonly #socket: FileDescriptor;
  readonly #arena = new Arena(2 * room + messageSocketOverhead, "a speaker");
  readonly #messages: MessageSocket;
  readonly #in: ArenaPiece;
  readonly #out: ArenaPiece;

  constructor(socket: FileDescriptor) {
    this.#socket = socket;
    this.#messages = new MessageSocket(socket.fd, this.#arena);
    this.#in = this.#arena.take(room);
    this.#out = this.#arena.take(room);
  }

  say(bytes: Uint8Array, fds: readonly number[] = []): void {
    this.#arena.bytes.set(bytes, this.#out.offset);
    this.#messages.send(this.#out, 0, bytes.length, fds);
  }

  /** The answers that have come: which command succeeded or failed. */
  heard(): { command: number; error: boolean }[] {
    const answers: { command: number; error: boolean }[] = [];
    const { view } = this.#arena;
    for (;;) {
      const count = this.#messages.receive(this.#in, 0, room, false);
      this.#messages.closeReceived();
      if (count <= 0) return answers;
      for (let at = this.#in.offset; at + 16 <= this.#in.offset + count; at += view.getUint32(at + 4, true))
        if ((view.getUint32(at + 8, true) & 0xf) === 1)
          answers.push({
            command: view.getUint16(at + 2, true),
            error: (view.getUint32(at + 8, true) & 0x20) !== 0,
          });
    }
  }

  [Symbol.dispose](): void {
    this.#socket[Symbol.dispose]();
    this.#arena[Symbol.dispose]();
  }
}

const inConversation = 40;

test(`a server survives ${messages} messages of clients, most of them right`, () => {
  const random = seededRandom(15);
  using file = new MemoryFile({ size: 8 * 4096, name: "mutations" });
  using eventfd = new Eventfd();
  const [listening, other] = unixPair("listening");
  using _other = other;
  using core = new ServerCore(
    (environment) => new SocketDevice(environment),
    { socket: listening.fd, dmaTimeout: 1 },
    {
      after: () => ({ [Symbol.dispose]: () => {} }),
      watch: () => ({ [Symbol.dispose]: () => {} }),
    },
  );
  const done = new Map<number, number>();
  let protocolErrors = 0;
  const open = openDescriptors().length;
  const maps = mapped();

  const converse = (said: number): void => {
    const [mine, theirs] = unixPair("a conversation");
    using speaker = new Speaker(mine);
    const client = core.begin(theirs)!;
    let reason: unknown;
    try {
      speaker.say(message(Command.version, versionBody()));
      for (let i = 0; i < said; i++) {
        const { bytes, fds } = utterance(random, { file: file.fd, eventfd: eventfd.fd }, i);
        speaker.say(bytes, fds);
        // Mostly one at a time, sometimes a batch.
        if (random.below(4) === 0) continue;
        if (client.connection.fill(false) === "closed") break;
        client.session.serve();
        for (const { command, error } of speaker.heard())
          if (!error) done.set(command, (done.get(command) ?? 0) + 1);
      }
    } catch (error) {
      // A client that is against the protocol loses its connection; anything else is a fault of the server.
      if (!(error instanceof VfioError)) throw error;
      expect(["EPROTO", "EPIPE", "ETIMEDOUT", "ETOOMANYREFS"]).toContain(error.code);
      protocolErrors++;
      reason = error;
    }
    core.end(client, reason);
  };

  for (let said = 0, round = 0; said < messages; said += inConversation, round++) {
    converse(inConversation);
    if (round % 100 !== 0) continue;
    expect(openDescriptors().length).toBeLessThanOrEqual(open);
    expect(mapped()).toBe(maps);
  }
  expect(protocolErrors).toBeGreaterThan(messages / 1000);
  const few = doable.filter((command) => (done.get(command) ?? 0) < atLeast);
  expect(few.map((command) => [command, done.get(command)])).toEqual([]);
  // The next client finds the device as it should be.
  const [mine, theirs] = unixPair("the next");
  using speaker = new Speaker(mine);
  const client = core.begin(theirs)!;
  speaker.say(message(Command.version, versionBody()));
  speaker.say(message(Command.regionRead, joined(le64(0), le32(0, 4))));
  client.connection.fill(false);
  client.session.serve();
  expect(speaker.heard().filter(({ error }) => !error)).toHaveLength(2);
  core.end(client, undefined);
});

/** A server's answers, in the order in which a client asks; ids count from 1. */
class Answers {
  readonly #speaker: Speaker;
  readonly #random: Random;
  #id = 0;

  constructor(speaker: Speaker, random: Random) {
    this.#speaker = speaker;
    this.#random = random;
  }

  /** Says the answer to the next request before it is asked. @param chance of 100 that it is mutated */
  say(command: number, body: Uint8Array, fds: readonly number[], chance: number): void {
    const random = this.#random;
    this.#id = (this.#id + 1) & 0xffff;
    const id = this.#id;
    if (random.below(100) >= chance) return this.#speaker.say(message(command, body, { id, flags: 1 }), fds);
    switch (random.below(6)) {
      case 0:
        return this.#speaker.say(message(command, body, { id, flags: 0x21, error: random.below(200) }));
      case 1:
        return this.#speaker.say(mutated(message(command, body, { id, flags: 1 }), random), fds);
      case 2:
        // A question first.
        this.#speaker.say(
          message(random.pick([11, 12, 9, 77]), mutated(le64(4096, 8, 0), random), { id: 3 }),
        );
        return this.#speaker.say(message(command, body, { id, flags: 1 }), fds);
      case 3:
        return this.#speaker.say(message(command, body, { id, flags: 1 }), [...fds, ...fds, ...fds]);
      default:
        return this.#speaker.say(message(command, mutated(body, random), { id, flags: 1 }), fds);
    }
  }
}

test(`a client survives ${messages} answers of servers, most of them right`, () => {
  const random = seededRandom(16);
  using file = new MemoryFile({ size: 8 * 4096, name: "mutations" });
  using memory = new MemoryFile({ size: 4 * 4096, name: "RAM" });
  using ram = memory.map();
  using eventfd = new Eventfd();
  const done = new Map<string, number>();
  const open = openDescriptors().length;
  const maps = mapped();
  let said = 0;
  let refused = 0;

  const attempt = (name: string, act: () => void): void => {
    try {
      act();
      done.set(name, (done.get(name) ?? 0) + 1);
    } catch (error) {
      if (!(error instanceof VfioError)) throw error;
      refused++;
    }
  };

  const operations: readonly [string, number, () => Uint8Array, (device: VfioUserClient) => void][] = [
    [
      "read",
      Command.regionRead,
      () => joined(le64(0), le32(0, 4), le32(7)),
      (device) => device.read(0, 0, new Uint8Array(4)),
    ],
    [
      "write",
      Command.regionWrite,
      () => joined(le64(8), le32(0, 4)),
      (device) => device.write(0, 8, new Uint8Array(4)),
    ],
    ["reset", Command.reset, () => new Uint8Array(), (device) => device.reset()],
    [
      "irqs",
      Command.setIrqs,
      () => new Uint8Array(),
      (device) =>
        device.setIrqs({
          index: 2,
          action: "trigger",
          start: 0,
          data: { kind: "eventfd", fds: [eventfd.fd] },
        }),
    ],
    [
      "map",
      Command.dmaMap,
      () => new Uint8Array(),
      (device) => void device.dma.map({ iova: 4096, size: 4096, hva: ram.address }),
    ],
    [
      "unmap",
      Command.dmaUnmap,
      () => joined(le32(24, 0), le64(4096, 4096)),
      (device) => void device.dma.unmap(4096, 4096),
    ],
  ];

  const converse = (): void => {
    const [mine, theirs] = unixPair("a conversation");
    using speaker = new Speaker(mine);
    const answers = new Answers(speaker, random);
    // One connection in three is odd from the start.
    const early = random.below(3) === 0 ? 6 : 0;
    answers.say(Command.version, versionBody({ max_msg_fds: 8 }), [], early);
    answers.say(Command.deviceInfo, le32(16, 3, 9, 5), [], early);
    const sizes = [4096, 4096, 0, 0, 0, 0, 0, 256, 0];
    sizes.forEach((size, index) =>
      answers.say(
        Command.regionInfo,
        joined(le32(32, index === 1 ? 7 : size > 0 ? 3 : 0, index, 0), le64(size, 0)),
        index === 1 ? [file.fd] : [],
        early,
      ),
    );
    for (let index = 0; index < 5; index++)
      answers.say(Command.irqInfo, le32(16, 1, index, index === 2 ? 4 : 0), [], early);
    said += 16;
    let device: VfioUserClient | undefined;
    attempt("connect", () => {
      device = connectDevice(theirs.fd, { timeout: 3, twinSocket: random.below(2) === 0, keepAlive: true });
    });
    if (!device) return;
    using connected = device;
    for (let i = 0; i < 24 && !connected.gone; i++) {
      const [name, command, body, act] = random.pick(operations);
      // A map that is there, and an unmap of what is not, ask nobody.
      const isMapped = connected.dma.mappings.length > 0;
      if ((name === "unmap" && !isMapped) || (name === "map" && isMapped)) continue;
      answers.say(command, body(), [], 12);
      said++;
      attempt(name, () => act(connected));
      speaker.heard();
    }
    attempt("region", () => connected.map(1, { offset: 0, size: 4096 })[Symbol.dispose]());
  };

  for (let round = 0; said < messages; round++) {
    converse();
    if (round % 50 !== 0) continue;
    expect(mapped()).toBe(maps);
  }
  expect(openDescriptors().length).toBeLessThanOrEqual(open + 2);
  expect(refused).toBeGreaterThan(messages / 1000);
  expect(
    [...done].filter(([name, count]) => name !== "connect" && name !== "region" && count < atLeast),
  ).toEqual([]);
  expect(done.get("connect") ?? 0).toBeGreaterThan(messages / 200);
});
