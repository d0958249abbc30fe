// Framing: whole messages over a socket, each with the descriptors that came with it. Neither a message nor a call needs
// memory of its own: everything lies in one arena.
import { Arena, type ArenaPiece } from "../../ffi/arena.ts";
import { errnoName } from "../../ffi/errno.ts";
import { VfioError } from "../../ffi/errors.ts";
import type { FileDescriptor } from "../../ffi/file-descriptor.ts";
import { maxDescriptors, MessageSocket, messageSocketOverhead } from "../../ffi/message-socket.ts";
import { systemCalls } from "../../ffi/system-calls.ts";
import { setSocketTimeout } from "../../ffi/unix-socket.ts";
import { bodyAt, header } from "./messages/header.ts";

/** Descriptors of a message that is not complete yet. */
interface Waiting {
  /** End of what had been received when they came: the last message that begins before it has them. */
  end: number;
  readonly fds: readonly number[];
}

const again = -11;
const reset = -104;

/** What a peer did against the protocol; the connection is of no more use. @param what as `a message of 3 bytes` */
export const protocolError = (peer: string, what: string): VfioError =>
  new VfioError(`${peer}: ${what}`, { code: "EPROTO", errno: 71, device: peer });

/** How a connection is used. */
export interface ConnectionOptions {
  /** For messages: what the peer is. */
  readonly peer: string;
  /** The largest message each way, header and body, in bytes. */
  readonly maxMessage: number;
  /** A peer that does not read for so long has gone; in milliseconds. */
  readonly sendTimeout: number;
}

/** One connection. Owned: `dispose` closes the socket, and descriptors that nobody took. */
export class Connection implements Disposable {
  readonly peer: string;
  readonly view: DataView<ArrayBuffer>;
  readonly bytes: Uint8Array<ArrayBuffer>;
  /** Where a message to be sent is written, from its header on: an offset in `view`. */
  readonly outAt: number;
  readonly maxMessage: number;
  readonly #socket: FileDescriptor;
  readonly #messages: MessageSocket;
  readonly #arena: Arena;
  readonly #in: ArenaPiece;
  readonly #out: ArenaPiece;
  /** What has been received and not been taken, from the start of `#in`. */
  #start = 0;
  #end = 0;
  readonly #waiting: Waiting[] = [];

  /** Descriptors of the message taken last: whoever takes one out of it owns it, `next` closes the others. */
  readonly fds: number[] = [];

  /** Takes over a connected socket. @throws VfioError where there is no memory */
  constructor(socket: FileDescriptor, { peer, maxMessage, sendTimeout }: ConnectionOptions) {
    this.#socket = socket;
    this.peer = peer;
    this.maxMessage = maxMessage;
    const page = 4096;
    this.#arena = new Arena(2 * maxMessage + messageSocketOverhead + 2 * page, `messages of ${peer}`);
    this.#messages = new MessageSocket(socket.fd, this.#arena);
    this.#in = this.#arena.take(maxMessage, page);
    this.#out = this.#arena.take(maxMessage, page);
    this.outAt = this.#out.offset;
    this.view = this.#arena.view;
    this.bytes = this.#arena.bytes;
    setSocketTimeout(socket.fd, "send", sendTimeout);
  }

  /** @throws VfioError (`ECLOSED`) after `dispose` */
  get fd(): number {
    return this.#socket.fd;
  }
  get closed(): boolean {
    return this.#socket.closed;
  }
  /** Whether a part of a message is there, and the rest is not. */
  get isPartial(): boolean {
    return this.#end > this.#start;
  }

  /**
   * The next message that is there as a whole; its descriptors are in `fds` then. It stays where it is until the next `fill`.
   * @returns offset of its header in `view`; -1 where none is
   * @throws VfioError (`EPROTO`) for a size that no message has
   */
  next(): number {
    if (this.fds.length > 0) this.#closeAll(this.fds);
    const there = this.#end - this.#start;
    if (there < header.size) return -1;
    const at = this.#in.offset + this.#start;
    const size = this.view.getUint32(at + header.at.size, true);
    if (size < header.size || size > this.maxMessage)
      throw protocolError(
        this.peer,
        `a message must have ${header.size} to ${this.maxMessage} bytes, not ${size}`,
      );
    if (there < size) return -1;
    this.#start += size;
    while (this.#waiting.length > 0 && this.#waiting[0]!.end <= this.#start)
      this.fds.push(...this.#waiting.shift()!.fds);
    return at;
  }

  /**
   * Receives what has come: one recvmsg(2).
   * @param wait whether to wait, as long as the socket's receive timeout lets it
   * @returns "more"; "nothing" for nothing in time; "closed" where the peer has gone
   * @throws VfioError: EPROTO for more descriptors than a message can have, ETOOMANYREFS for lost ones, others
   */
  fill(wait: boolean): "more" | "nothing" | "closed" {
    this.#makeRoom();
    const room = this.#in.size - this.#end;
    const count = this.#messages.receive(this.#in, this.#end, room, wait);
    if (count === again) return "nothing";
    if (count === 0 || count === reset) return "closed";
    if (count < 0) throw this.#failed("recvmsg", -count);
    this.#end += count;
    const { received } = this.#messages;
    if (received.length > 0) this.#keep(received.splice(0));
    return "more";
  }

  #keep(fds: number[]): void {
    this.#waiting.push({ end: this.#end, fds });
    const many = this.#waiting.reduce((sum, one) => sum + one.fds.length, 0);
    if (many > maxDescriptors)
      throw protocolError(
        this.peer,
        `${many} descriptors wait for their messages: ${maxDescriptors} at most`,
      );
  }

  /** Messages lie in one piece: what is left of one moves to the start. */
  #makeRoom(): void {
    if (this.#start === 0) return;
    if (this.#start < this.#end) {
      const base = this.#in.offset;
      this.bytes.copyWithin(base, base + this.#start, base + this.#end);
      for (const one of this.#waiting) one.end -= this.#start;
    }
    this.#end -= this.#start;
    this.#start = 0;
  }

  /**
   * Sends the message at `outAt`: its header is written here, its body is there.
   * @param body size in bytes @param fds that go with it; they stay the caller's
   * @returns false where the peer has gone @throws VfioError, as ETIMEDOUT where it does not read
   */
  send(
    id: number,
    command: number,
    flags: number,
    error: number,
    body: number,
    fds?: readonly number[],
  ): boolean {
    const { view, outAt } = this;
    view.setUint16(outAt, id, true);
    view.setUint16(outAt + 2, command, true);
    view.setUint32(outAt + 4, bodyAt + body, true);
    view.setUint32(outAt + 8, flags, true);
    view.setUint32(outAt + 12, error, true);
    const result = this.#messages.send(this.#out, 0, bodyAt + body, fds);
    if (result === 0) return true;
    if (result === brokenPipe || result === reset) return false;
    throw this.#failed("sendmsg", result === again ? timedOut : -result);
  }

  #failed(syscall: string, errno: number): VfioError {
    const code = errnoName(errno);
    return new VfioError(`${this.peer}: ${syscall} fails with ${code}`, {
      code,
      errno,
      syscall,
      device: this.peer,
    });
  }

  #closeAll(fds: number[]): void {
    for (const fd of fds) systemCalls().close(fd);
    fds.length = 0;
  }

  /** Closes the socket and the descriptors that are here. Safe to call twice. */
  [Symbol.dispose](): void {
    if (this.#socket.closed) return;
    this.#closeAll(this.fds);
    for (const { fds } of this.#waiting.splice(0)) this.#closeAll([...fds]);
    this.#messages.closeReceived();
    this.#socket[Symbol.dispose]();
    this.#arena[Symbol.dispose]();
  }
}

const brokenPipe = -32;
const timedOut = 110;
