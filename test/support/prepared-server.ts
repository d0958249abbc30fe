// A server in the client's own thread: its answers are said before they are asked for, so that nobody waits.
import { connectDevice, type ConnectOptions, type VfioUserClient } from "../../src/device/vfio-user/index.ts";
import { Command } from "../../src/device/vfio-user/messages/header.ts";
import { unixPair, type FileDescriptor } from "../../src/ffi/index.ts";
import { joined, le32, le64, message, versionBody } from "./raw-peer.ts";
import { Speaker, type Heard } from "./speaker.ts";

/** What a server answers besides a body. */
export interface AnswerOptions {
  /** Positive: the request is refused. */
  readonly error?: number;
  readonly fds?: readonly number[];
}

/** BAR0 of 4 KiB, a config space of 256 bytes, MSI-X with 8 vectors. */
const sizes = [4096, 0, 0, 0, 0, 0, 0, 256, 0];
const vectors = 8;

/** Owned: `dispose` closes this end. */
export class PreparedServer implements Disposable {
  readonly #speaker: Speaker;
  readonly #theirs: FileDescriptor;
  #id = 0;

  constructor() {
    const [mine, theirs] = unixPair("a prepared server");
    this.#speaker = new Speaker(mine);
    this.#theirs = theirs;
  }

  /** Answers the next request. */
  answer(
    command: number,
    body: Uint8Array = new Uint8Array(),
    { error = 0, fds = [] }: AnswerOptions = {},
  ): void {
    const id = ++this.#id;
    this.#speaker.say(message(command, body, { id, flags: error > 0 ? 0x21 : 1, error }), fds);
  }

  /** Asks the client, before the next answer. */
  ask(
    command: number,
    body: Uint8Array,
    { id = 0x7777, flags = 0, fds = [] as readonly number[] } = {},
  ): void {
    this.#speaker.say(message(command, body, { id, flags }), fds);
  }

  /** Answers all that a client asks at first. @param capabilities as the answer to VERSION has them */
  introduce(capabilities: object = { max_msg_fds: 8 }): void {
    this.answer(Command.version, versionBody(capabilities));
    this.answer(Command.deviceInfo, le32(16, 3, 9, 5));
    sizes.forEach((size, index) =>
      this.answer(Command.regionInfo, joined(le32(32, size > 0 ? 3 : 0, index, 0), le64(size, 0))),
    );
    for (let index = 0; index < 5; index++)
      this.answer(Command.irqInfo, le32(16, 1, index, index === 2 ? vectors : 0));
  }

  /** The client, which has asked nothing yet that is not answered. */
  connect(options: ConnectOptions = {}): VfioUserClient {
    return connectDevice(this.#theirs.fd, {
      ...{ name: "device", timeout: 2000, keepAlive: true, twinSocket: false },
      ...options,
    });
  }

  /** What the client has sent since, in order. */
  heard(): Heard[] {
    return this.#speaker.heard();
  }

  [Symbol.dispose](): void {
    this.#speaker[Symbol.dispose]();
  }
}
