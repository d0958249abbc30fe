// One end of a connection, in the thread of the other: it says what it is told and takes what comes, and never waits.
import { header } from "../../src/device/vfio-user/messages/header.ts";
import {
  Arena,
  type ArenaPiece,
  type FileDescriptor,
  MessageSocket,
  messageSocketOverhead,
} from "../../src/ffi/index.ts";

/** A message that came. */
export interface Heard {
  readonly id: number;
  readonly command: number;
  readonly isReply: boolean;
  readonly isError: boolean;
  readonly body: Uint8Array;
  readonly flags: number;
  /** Descriptors that came with it; they are closed by now. */
  readonly fds: number;
}

/** Of all that comes at once, in bytes. */
const room = 2 ** 21;

/** Owned: `dispose` closes the socket. */
export class Speaker implements Disposable {
  readonly #socket: FileDescriptor;
  readonly #arena = new Arena(2 * room + messageSocketOverhead, "a speaker");
  readonly #messages: MessageSocket;
  readonly #in: ArenaPiece;
  readonly #out: ArenaPiece;

  /** @param socket taken over */
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

  /** Whatever has come, in order; descriptors are closed. */
  heard(): Heard[] {
    const all: Heard[] = [];
    const { view, bytes } = this.#arena;
    for (;;) {
      const count = this.#messages.receive(this.#in, 0, room, false);
      const came = this.#messages.received.length;
      this.#messages.closeReceived();
      if (count <= 0) return all;
      for (let at = this.#in.offset; at + header.size <= this.#in.offset + count;) {
        const { id, command, size, flags } = header.decode(view, at);
        const body = bytes.slice(at + header.size, at + size);
        at += size;
        // Descriptors end what one call receives: they are the last message's.
        const fds = at >= this.#in.offset + count ? came : 0;
        all.push({
          id,
          command,
          flags,
          isReply: (flags & 0xf) === 1,
          isError: (flags & 0x20) !== 0,
          body,
          fds,
        });
      }
    }
  }

  [Symbol.dispose](): void {
    this.#socket[Symbol.dispose]();
    this.#arena[Symbol.dispose]();
  }
}
