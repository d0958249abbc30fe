// Clients that nobody trusts, one after the other, at a server in this thread.
import { Command } from "../../../src/device/vfio-user/messages/header.ts";
import { ServerCore, type Client } from "../../../src/device/vfio-user/server/server-core.ts";
import type { DeviceMemory } from "../../../src/device/seam/device-memory.ts";
import { Eventfd, MemoryFile, unixPair, VfioError } from "../../../src/ffi/index.ts";
import { Holdings } from "../../support/holdings.ts";
import { seededRandom, type Random } from "../../support/random.ts";
import { joined, le32, le64, message, readU32, versionBody } from "../../support/raw-peer.ts";
import { SocketDevice, socketDeviceId } from "../../support/socket-device.ts";
import { MapBook } from "./map-book.ts";
import { FuzzReport, type FuzzOptions } from "./report.ts";
import { Speaker } from "../../support/speaker.ts";
import { transfer, utterance, type Descriptors, type Utterance } from "./utterances.ts";

/** Messages of one conversation, at most. */
const longest = 16;
/** Conversations between two looks at what is left of them. */
const betweenLooks = 250;
/** What a client may end its connection with; anything else is a fault of the server's. */
const ends = ["EPROTO", "EPIPE", "ETIMEDOUT", "ETOOMANYREFS"];

/** Notes what reaches it that its regions do not have: what it throws, the server would answer with an errno. */
class BoundedDevice extends SocketDevice {
  readonly faults: string[] = [];

  #check(what: string, region: number, offset: number, { length }: Uint8Array): void {
    const size = this.regions[region]?.size ?? 0;
    if (offset >= 0 && length <= size - offset) return;
    this.faults.push(`outside of region ${region}: ${what} of ${length} bytes at ${offset}`);
  }
  override read(region: number, offset: number, data: Uint8Array): void {
    this.#check("a read", region, offset, data);
    super.read(region, offset, data);
  }
  override write(region: number, offset: number, data: Uint8Array): void {
    this.#check("a write", region, offset, data);
    super.write(region, offset, data);
  }
}

class Conversations {
  readonly report = new FuzzReport();
  readonly #random: Random;
  readonly #core: ServerCore;
  readonly #file = new MemoryFile({ size: 8 * 4096, name: "mutations" });
  readonly #fds: Descriptors;
  readonly #owned = new DisposableStack();
  #device!: BoundedDevice;
  #book = new MapBook();
  #speaker!: Speaker;
  #questions = 0;

  constructor(seed: number) {
    this.#random = seededRandom(seed);
    const [listening, other] = unixPair("listening");
    this.#owned.use(other);
    this.#owned.use(this.#file);
    const eventfd = this.#owned.use(new Eventfd());
    this.#fds = { file: this.#file.fd, eventfd: eventfd.fd };
    const never = { [Symbol.dispose]: () => {} };
    this.#core = this.#owned.use(
      new ServerCore(
        (environment) =>
          (this.#device = new BoundedDevice({ ...environment, memory: this.#compared(environment.memory) })),
        { socket: listening.fd, dmaTimeout: 1 },
        { after: () => never, watch: () => never },
      ),
    );
  }

  /** The server's memory, each access of which is held against the client's own book. */
  #compared(memory: DeviceMemory): DeviceMemory {
    const access = (iova: number, data: Uint8Array, way: "readable" | "writable", act: () => void): void => {
      this.#listen();
      const maps = this.#book.isKnown ? this.#book.allowing(iova, data.length, way) : undefined;
      const compares = this.#book.isKnown;
      let code: string | undefined;
      try {
        act();
      } catch (error) {
        if (!(error instanceof VfioError)) throw error;
        code = error.code;
        throw error;
      } finally {
        if (compares) this.#judge(iova, data, way, maps, code);
      }
      if (maps?.every(({ file }) => !file))
        this.report.count(way === "readable" ? Command.dmaRead : Command.dmaWrite);
    };
    return {
      ...{ address: () => undefined, view: () => undefined },
      onUnmap: (listener) => memory.onUnmap(listener),
      read: (iova, into) => access(iova, into, "readable", () => memory.read(iova, into)),
      write: (iova, from) => access(iova, from, "writable", () => memory.write(iova, from)),
    };
  }

  #judge(
    iova: number,
    data: Uint8Array,
    way: "readable" | "writable",
    maps: ReturnType<MapBook["allowing"]>,
    code: string | undefined,
  ): void {
    if (data.length === 0) return;
    this.report.checked++;
    const what = `${way} ${data.length} bytes at ${iova}: ${code ?? "done"}`;
    if (!maps) {
      if (code === undefined) this.#fault(`outside of every map: ${what}`);
      return;
    }
    if (code === "EFAULT" || code === "EACCES") this.#fault(`inside of a map, and refused: ${what}`);
    const [map] = maps;
    if (code !== undefined || maps.length > 1 || map?.file?.fd !== this.#file.fd) return;
    const there = new Uint8Array(data.length);
    this.#file.readAt(map.file.offset + iova - map.iova, there);
    if (!Bun.deepEquals(there, new Uint8Array(data))) this.#fault(`other memory: ${what}`);
  }

  #fault(what: string): void {
    this.#device.faults.push(what);
  }

  #say(said: Utterance): void {
    this.report.messages++;
    this.#book.said(said);
    this.#speaker.say(said.bytes, said.fds);
  }

  #listen(): void {
    for (const heard of this.#speaker.heard()) {
      this.#book.heard(heard);
      if (!heard.isReply) this.#questions++;
      else if (!heard.isError) this.report.count(heard.command);
    }
  }

  /** @returns whether the server still listens */
  #serve({ connection, session }: Client): boolean {
    for (;;) {
      const state = connection.fill(false);
      if (state === "closed") return false;
      session.serve();
      if (state === "nothing") break;
    }
    this.#listen();
    return true;
  }

  /** One client from its VERSION to its end. */
  converse(): void {
    const random = this.#random;
    const [mine, theirs] = unixPair("a conversation");
    using speaker = new Speaker(mine);
    this.#speaker = speaker;
    this.#book = new MapBook();
    this.#questions = 0;
    this.#device.requests.length = 0;
    this.report.conversations++;
    const client = this.#core.begin(theirs)!;
    let reason: unknown;
    try {
      const proposed = random.below(8) === 0 ? { twin_socket: { supported: true } } : {};
      this.#say({ bytes: message(Command.version, versionBody(proposed), { id: 0xffff }), fds: [] });
      this.#speak(client, 1 + random.below(longest));
      // One in eight goes in the middle of a word.
      const { bytes, fds } = utterance(random, this.#fds, 999);
      if (random.below(8) === 0) this.#say({ bytes: bytes.slice(0, random.below(bytes.length)), fds });
      this.#serve(client);
    } catch (error) {
      if (!(error instanceof VfioError) || !ends.includes(error.code)) throw error;
      this.report.ended++;
      reason = error;
    }
    this.#core.end(client, reason);
    const [fault] = this.#device.faults;
    if (fault !== undefined) throw new Error(`conversation ${this.report.conversations}: ${fault}`);
  }

  #speak(client: Client, messages: number): void {
    const random = this.#random;
    for (let id = 0; id < messages; id++) {
      if (random.below(5) === 0) {
        // The id of the server's question is known only when it has nothing else to do.
        if (!this.#serve(client)) return;
        const question = 0x8000 + ((this.#questions + 1) & 0x7fff);
        for (const one of transfer(random, this.#fds, id, question)) this.#say(one);
        id += 2;
      } else this.#say(utterance(random, this.#fds, id));
      // Mostly one at a time, sometimes a batch.
      if (random.below(4) > 0 && !this.#serve(client)) return;
    }
  }

  /** A client that says nothing wrong finds the server and its device as they should be. */
  greet(): void {
    const [mine, theirs] = unixPair("the next");
    using speaker = new Speaker(mine);
    const client = this.#core.begin(theirs)!;
    speaker.say(message(Command.version, versionBody()));
    speaker.say(message(Command.reset, new Uint8Array()));
    speaker.say(message(Command.regionRead, joined(le64(0), le32(0, 4))));
    client.connection.fill(false);
    client.session.serve();
    const [version, reset, read] = speaker.heard();
    this.#core.end(client, undefined);
    if (version?.isError !== false || reset?.isError !== false || !read || read.isError)
      throw new Error("the next client is not served");
    if (readU32(read.body, 16) !== socketDeviceId) throw new Error("the device is not what it was");
  }

  [Symbol.dispose](): void {
    this.#owned[Symbol.dispose]();
  }
}

/** @throws Error for whatever a client must not be able to do */
export async function fuzzServer({ cases, seed, onProgress }: FuzzOptions): Promise<FuzzReport> {
  using conversations = new Conversations(seed);
  conversations.greet();
  using holdings = new Holdings();
  const before = holdings.now;
  for (let done = 1; done <= cases; done++) {
    conversations.converse();
    if (done % betweenLooks !== 0 && done !== cases) continue;
    conversations.greet();
    await holdings.expect(before, `conversation ${done}`);
    onProgress?.(done);
  }
  return conversations.report;
}
