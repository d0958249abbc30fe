// Servers that nobody trusts, one after the other, for a client in this thread: what they say is said before they are asked,
// so that nobody has to wait.
import { connectDevice, type VfioUserClient } from "../../../src/device/vfio-user/index.ts";
import { Command } from "../../../src/device/vfio-user/messages/header.ts";
import { Eventfd, MemoryFile, unixPair, VfioError, type Mapping } from "../../../src/ffi/index.ts";
import { mutated } from "../../support/mutated-bytes.ts";
import { Holdings } from "../../support/holdings.ts";
import { seededRandom, type Random } from "../../support/random.ts";
import { joined, le32, le64, message, versionBody } from "../../support/raw-peer.ts";
import { FuzzReport, type FuzzOptions } from "./report.ts";
import { Speaker } from "../../support/speaker.ts";

/** Calls of one client, at most. */
const mostCalls = 12;
const betweenLooks = 250;
/** How long a client waits for an answer, in milliseconds. */
const timeout = 2;

const page = 4096;
const iova = 0x10000;
/** What the client gives the server; the page before and the page behind it are nobody's. */
const ramSize = 4 * page;
const shared = { offset: page, size: 2 * page };
const untouched = 0x5a;

const maps: readonly number[] = [Command.dmaMap, Command.dmaUnmap];

/** A call, and the answer that it gets from a server that is right. */
interface Call {
  readonly command: number;
  readonly answer: Uint8Array;
  readonly act: (device: VfioUserClient) => void;
}

interface Question {
  readonly allowed: boolean;
  readonly at: number;
  readonly count: number;
  /** What is to be written; undefined for a read. */
  readonly data: Uint8Array | undefined;
}

class Conversations {
  readonly report = new FuzzReport();
  readonly #random: Random;
  readonly #owned = new DisposableStack();
  readonly #bar = new MemoryFile({ size: 8 * page, name: "mutations" });
  readonly #file = new MemoryFile({ size: ramSize, name: "RAM" });
  readonly #ram: Mapping;
  readonly #eventfd = new Eventfd();
  #speaker!: Speaker;
  #id = 0;
  /** What was asked of the client, by id. */
  readonly #questions = new Map<number, Question>();
  /** Whether the memory is mapped while an answer is read. */
  #isMapped = false;
  /** What the shared memory must hold, after all that was written to it. */
  readonly #expected = new Uint8Array(shared.size).fill(untouched);
  /** Something was said that may write to it, or not. */
  #isOdd = false;
  /** A call has not waited for what was said: later ones come upon it, and nothing tells when. */
  #isLate = false;

  constructor(seed: number) {
    this.#random = seededRandom(seed);
    for (const one of [this.#bar, this.#file, this.#eventfd]) this.#owned.use(one);
    this.#ram = this.#owned.use(this.#file.map());
    this.#ram.view(0, ramSize).fill(untouched);
  }

  /** Says the answer to the next request. @param chance of 100 that something is wrong with it */
  #answer(command: number, body: Uint8Array, fds: readonly number[], chance: number): void {
    const random = this.#random;
    this.report.messages++;
    this.#id = (this.#id + 1) & 0xffff;
    const id = this.#id;
    const right = message(command, body, { id, flags: 1 });
    if (random.below(100) >= chance) return this.#speaker.say(right, fds);
    this.#isOdd = true;
    switch (random.below(6)) {
      case 0:
        return this.#speaker.say(message(command, body, { id, flags: 0x21, error: random.below(200) }));
      case 1:
        return this.#speaker.say(mutated(right, random), fds);
      case 2:
        // A command, of any kind, first.
        this.#speaker.say(message(random.below(20), mutated(le64(iova, 8, 0), random), { id: 0xfff0 }));
        return this.#speaker.say(right, fds);
      case 3:
        return this.#speaker.say(right, [...fds, ...fds, ...fds]);
      case 4:
        // Nothing at all.
        return;
      default:
        return this.#speaker.say(message(command, mutated(body, random), { id, flags: 1 }), fds);
    }
  }

  /** Has the client do DMA for the device, around what is mapped. */
  #question(): void {
    const random = this.#random;
    const isRead = random.below(2) === 0;
    const at = iova + random.pick([0, 8, page - 8, page + 8, 2 * page - 16, -8, 2 * page]);
    const count = random.pick([0, 1, 8, 16, 64]);
    const data = isRead ? undefined : new Uint8Array(count).fill(random.below(256));
    const id = 0xff00 + this.#questions.size;
    const inside = at >= iova && at + count <= iova + shared.size;
    this.#questions.set(id, { allowed: count === 0 || (inside && this.#isMapped), at, count, data });
    const command = isRead ? Command.dmaRead : Command.dmaWrite;
    this.report.messages++;
    this.#speaker.say(message(command, joined(le64(at, count), data ?? new Uint8Array()), { id }));
  }

  /** Holds what the client answers to the server's questions against what it has mapped. */
  #listen(): void {
    for (const { id, command, isReply, isError, body } of this.#speaker.heard()) {
      const question = this.#questions.get(id);
      if (!isReply || !question || this.#isLate) continue;
      this.#questions.delete(id);
      const { allowed, at, count, data } = question;
      this.report.checked++;
      if (isError === allowed)
        throw new Error(`DMA of ${count} bytes at ${at} was ${isError ? "refused" : "done"}`);
      if (isError || count === 0) continue;
      this.report.count(command);
      const place = this.#expected.subarray(at - iova, at - iova + count);
      if (data) place.set(data);
      else if (!Bun.deepEquals(body.slice(16), new Uint8Array(place)))
        throw new Error(`DMA_READ of ${count} bytes at ${at} gave other memory`);
    }
    const there = this.#ram.view(shared.offset, shared.size);
    if (this.#isOdd || this.#isLate) this.#expected.set(there);
    else if (!Buffer.from(there).equals(this.#expected)) throw new Error("other memory was written");
    this.#isOdd = false;
  }

  #attempt(command: number, act: () => void): void {
    try {
      act();
      this.report.count(command);
    } catch (error) {
      if (!(error instanceof VfioError)) throw error;
      if (error.code === "ETIMEDOUT") this.#isLate = true;
    }
  }

  /** One server from its VERSION to its end. */
  converse(): void {
    const random = this.#random;
    const [mine, theirs] = unixPair("a conversation");
    using speaker = new Speaker(mine);
    this.#speaker = speaker;
    this.#id = 0;
    this.#questions.clear();
    this.#isMapped = false;
    this.#isLate = false;
    this.#expected.set(this.#ram.view(shared.offset, shared.size));
    this.report.conversations++;
    // One server in three is odd from the start.
    this.#describe(random.below(3) === 0 ? 6 : 0);
    let device: VfioUserClient | undefined;
    this.#attempt(Command.version, () => {
      device = connectDevice(theirs.fd, {
        ...{ timeout, keepAlive: true },
        ...{ grace: random.pick([0, 1000]), twinSocket: random.below(2) === 0 },
      });
    });
    if (!device) return void this.report.ended++;
    using connected = device;
    for (const command of [Command.deviceInfo, Command.regionInfo, Command.irqInfo])
      this.report.count(command);
    for (let calls = 1 + random.below(mostCalls); calls > 0 && !connected.gone; calls--)
      this.#call(connected);
    if (connected.gone) this.report.ended++;
    // What it asks at its end.
    else if (connected.dma.mappings.length > 0) this.#answer(Command.dmaUnmap, new Uint8Array(24), [], 0);
    try {
      connected.map(1, { offset: 0, size: page })[Symbol.dispose]();
    } catch (error) {
      if (!(error instanceof VfioError)) throw error;
    }
  }

  #describe(chance: number): void {
    this.#answer(Command.version, versionBody({ max_msg_fds: 8 }), [], chance);
    this.#answer(Command.deviceInfo, le32(16, 3, 9, 5), [], chance);
    [page, page, 0, 0, 0, 0, 0, 256, 0].forEach((size, index) =>
      this.#answer(
        Command.regionInfo,
        joined(le32(32, index === 1 ? 7 : size > 0 ? 3 : 0, index, 0), le64(size, 0)),
        index === 1 ? [this.#bar.fd] : [],
        chance,
      ),
    );
    for (let index = 0; index < 5; index++)
      this.#answer(Command.irqInfo, le32(16, 1, index, index === 2 ? 4 : 0), [], chance);
  }

  #call(device: VfioUserClient): void {
    const random = this.#random;
    this.#isMapped = device.dma.mappings.length > 0;
    const possible = this.#calls.filter((one) => this.#canBe(one.command));
    // What comes and goes is wanted as often as all the rest.
    const comesAndGoes = possible.filter(({ command }) => maps.includes(command));
    const { command, answer, act } = random.pick(random.below(3) === 0 ? comesAndGoes : possible);
    while (random.below(2) === 0) this.#question();
    this.#answer(command, answer, [], 14);
    // A feature is asked for twice: whether it can be read, and whether it can be set.
    if (command === Command.feature) this.#answer(command, answer, [], 14);
    this.#attempt(command, () => act(device));
    this.#listen();
  }

  /** A map that is there, and an unmap of what is not, ask nobody. */
  #canBe(command: number): boolean {
    if (command === Command.dmaMap) return !this.#isMapped;
    return command !== Command.dmaUnmap || this.#isMapped;
  }

  readonly #calls: readonly Call[] = [
    {
      command: Command.regionRead,
      answer: joined(le64(0), le32(0, 4), le32(7)),
      act: (device) => device.read(0, 0, new Uint8Array(4)),
    },
    {
      command: Command.regionWrite,
      answer: joined(le64(8), le32(0, 4)),
      act: (device) => device.write(0, 8, new Uint8Array(4)),
    },
    { command: Command.reset, answer: new Uint8Array(), act: (device) => device.reset() },
    {
      command: Command.setIrqs,
      answer: new Uint8Array(),
      act: (device) =>
        device.setIrqs({
          ...{ index: 2, action: "trigger", start: 0 },
          data: { kind: "eventfd", fds: [this.#eventfd.fd] },
        }),
    },
    {
      command: Command.dmaMap,
      answer: new Uint8Array(),
      act: (device) =>
        device.dma.map({
          ...{ iova, size: shared.size, hva: this.#ram.address + shared.offset },
          ...(this.#random.below(2) === 0 && { file: { fd: this.#file.fd, offset: shared.offset } }),
        }),
    },
    {
      command: Command.dmaUnmap,
      answer: joined(le32(24, 0), le64(iova, shared.size)),
      act: (device) => void device.dma.unmap(iova, shared.size),
    },
    {
      command: Command.feature,
      answer: le32(8, 1),
      act: (device) => {
        if (!device.probeFeature(1)) throw new VfioError("no such feature", { code: "ENOTTY" });
      },
    },
  ];

  /** Memory that was never given to anybody is as it was. */
  checkMemory(): void {
    for (const at of [0, ramSize - page])
      if (this.#ram.view(at, page).some((byte) => byte !== untouched))
        throw new Error("a server has written to memory that is not mapped");
  }

  [Symbol.dispose](): void {
    this.#owned[Symbol.dispose]();
  }
}

/** @throws Error for whatever a server must not be able to do */
export async function fuzzClient({ cases, seed, onProgress }: FuzzOptions): Promise<FuzzReport> {
  using conversations = new Conversations(seed);
  // What the first client sets up for all of them.
  while (!conversations.report.done.has(Command.version)) conversations.converse();
  using holdings = new Holdings();
  const before = holdings.now;
  for (let done = 1; done <= cases; done++) {
    conversations.converse();
    if (done % betweenLooks !== 0 && done !== cases) continue;
    conversations.checkMemory();
    await holdings.expect(before, `conversation ${done}`);
    onProgress?.(done);
  }
  return conversations.report;
}
