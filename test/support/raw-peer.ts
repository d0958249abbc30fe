// A vfio-user peer that sends whatever it is told, right or wrong, and tells what comes back.
import {
  Arena,
  connectUnix,
  FileDescriptor,
  MessageSocket,
  messageSocketOverhead,
  type ArenaPiece,
} from "../../src/ffi/index.ts";
import { Command, header } from "../../src/device/vfio-user/messages/header.ts";

/** A message as it came. */
export interface RawMessage {
  readonly id: number;
  readonly command: number;
  readonly flags: number;
  /** Positive; 0 for none. */
  readonly error: number;
  readonly body: Uint8Array;
  readonly fds: FileDescriptor[];
}

const room = 2 ** 21;
const again = -11;
const patience = 5000;

export const le32 = (...values: readonly number[]): Uint8Array => {
  const view = new DataView(new ArrayBuffer(4 * values.length));
  values.forEach((value, i) => view.setUint32(4 * i, value, true));
  return new Uint8Array(view.buffer);
};
export const le64 = (...values: readonly (number | bigint)[]): Uint8Array => {
  const view = new DataView(new ArrayBuffer(8 * values.length));
  values.forEach((value, i) => view.setBigUint64(8 * i, BigInt(value), true));
  return new Uint8Array(view.buffer);
};
export const joined = (...parts: readonly Uint8Array[]): Uint8Array =>
  new Uint8Array(Buffer.concat(parts.map((part) => Buffer.from(part))));
export const readU32 = (bytes: Uint8Array, at: number): number =>
  new DataView(bytes.buffer, bytes.byteOffset).getUint32(at, true);

/** The body of a VERSION. */
export const versionBody = (capabilities: object | undefined = {}, minor = 1): Uint8Array => {
  const fixed = Uint8Array.of(0, 0, minor, 0);
  return joined(fixed, new TextEncoder().encode(`${JSON.stringify({ capabilities })}\0`));
};

/** A whole message. @param size as its header has it */
export const message = (
  command: number,
  body: Uint8Array,
  { id = 0, flags = 0, error = 0, size = header.size + body.length } = {},
): Uint8Array => {
  const head = new DataView(new ArrayBuffer(header.size));
  header.encode(head, 0, { id, command, size, flags, error });
  return joined(new Uint8Array(head.buffer), body);
};

/** One end of a connection. Messages that came and were not taken wait. */
export class RawPeer implements Disposable {
  readonly socket: FileDescriptor;
  readonly #arena = new Arena(2 * room + messageSocketOverhead, "a raw peer");
  readonly #messages: MessageSocket;
  readonly #in: ArenaPiece;
  readonly #out: ArenaPiece;
  #have = 0;
  #id = 0;
  readonly #fds: number[] = [];

  constructor(socket: string | FileDescriptor) {
    this.socket = typeof socket === "string" ? connectUnix(socket) : socket;
    this.#messages = new MessageSocket(this.socket.fd, this.#arena);
    this.#in = this.#arena.take(room);
    this.#out = this.#arena.take(room);
  }

  /** Sends bytes as they are. @returns whether the other end is there */
  sendBytes(bytes: Uint8Array, fds: readonly number[] = []): boolean {
    this.#arena.bytes.set(bytes, this.#out.offset);
    return this.#messages.send(this.#out, 0, bytes.length, fds) === 0;
  }

  /** @returns the message's id */
  send(
    command: number,
    body: Uint8Array = new Uint8Array(),
    { fds = [] as readonly number[], flags = 0, id = this.#id++ & 0xffff, error = 0 } = {},
  ): number {
    this.sendBytes(message(command, body, { id, flags, error }), fds);
    return id;
  }

  /** The next message; undefined where the other end has closed. @throws after five seconds of nothing */
  async receive(): Promise<RawMessage | undefined> {
    const end = performance.now() + patience;
    for (;;) {
      const message = this.#take();
      if (message) return message;
      const count = this.#messages.receive(this.#in, this.#have, room - this.#have, false);
      this.#fds.push(...this.#messages.received.splice(0));
      if (count > 0) this.#have += count;
      else if (count !== again) return undefined;
      else if (performance.now() > end) throw new Error("nothing comes");
      else await Bun.sleep(0);
    }
  }

  #take(): RawMessage | undefined {
    const { view, bytes } = this.#arena;
    const at = this.#in.offset;
    if (this.#have < header.size) return undefined;
    const { id, command, size, flags, error } = header.decode(view, at);
    if (this.#have < size) return undefined;
    const body = bytes.slice(at + header.size, at + size);
    bytes.copyWithin(at, at + size, at + this.#have);
    this.#have -= size;
    const fds = this.#fds.splice(0).map((fd) => new FileDescriptor(fd, "a peer's descriptor"));
    return { id, command, flags, error, body, fds };
  }

  /** Sends a request and takes its reply. @throws where the other end closes, or answers something else */
  async ask(
    command: number,
    body?: Uint8Array,
    options: { fds?: readonly number[]; id?: number } = {},
  ): Promise<RawMessage> {
    const id = this.send(command, body, options);
    const reply = await this.receive();
    if (!reply) throw new Error("the other end has closed");
    if (reply.id !== id || reply.command !== command || (reply.flags & 0xf) !== 1)
      throw new Error(
        `command ${command} was answered by ${JSON.stringify({ ...reply, body: reply.body.length })}`,
      );
    return reply;
  }

  /** Agrees on a version. */
  async hello(capabilities: object = {}): Promise<RawMessage> {
    return await this.ask(Command.version, versionBody(capabilities));
  }

  [Symbol.dispose](): void {
    this.#messages.closeReceived();
    for (const fd of this.#fds.splice(0)) new FileDescriptor(fd, "left")[Symbol.dispose]();
    this.socket[Symbol.dispose]();
    this.#arena[Symbol.dispose]();
  }
}
