// DMA_READ and DMA_WRITE: requests of the server's, over the client's own connection or a twin of it.
import type { FileDescriptor } from "../../../ffi/file-descriptor.ts";
import { errnoName } from "../../../ffi/errno.ts";
import { VfioError } from "../../../ffi/errors.ts";
import { PollSet } from "../../../ffi/poll.ts";
import { hex } from "../../address/range.ts";
import { Connection, protocolError } from "../connection.ts";
import { dmaAccess, maxDmaRead } from "../messages/dma.ts";
import { bodyAt, Command, commandName, header, isError, messageType } from "../messages/header.ts";
import type { Capabilities } from "../messages/version.ts";
import { getU64 } from "../wire.ts";
import type { DmaByMessage } from "./peer-memory.ts";

/** Of the session. */
export interface DmaHooks {
  /** For each answer, in milliseconds. */
  readonly timeout: number;
  /** Called before each request. @returns how much of the reply that is being made has to be kept, in bytes */
  readonly beforeRequest: () => number;
  /** Does a request of the client's that comes before its answer. @param at offset of its header */
  readonly serve: (at: number) => void;
}

/** A message where it lies. */
interface Message {
  readonly view: DataView;
  readonly bytes: Uint8Array;
  /** Offset of its header. */
  readonly at: number;
}

/** One connection's requests of the server. `dispose` closes the twin's memory. */
export class DmaMessages implements DmaByMessage, Disposable {
  readonly #main: Connection;
  readonly #hooks: DmaHooks;
  readonly #poll = new PollSet(1);
  #twin: Connection | undefined;
  #client: Capabilities | undefined;
  #id = 0x8000;
  /** Requests that wait, the outermost first: a device asks again while it serves what came before an answer. */
  readonly #outstanding = new Set<number>();
  /** Answers that came while a request inside of theirs waited. */
  readonly #early = new Map<number, Message>();

  constructor(main: Connection, hooks: DmaHooks) {
    this.#main = main;
    this.#hooks = hooks;
  }

  /** @param twin a socket for these requests; it is closed with this */
  begin(client: Capabilities, twin: FileDescriptor | undefined): void {
    this.#client = client;
    if (!twin) return;
    const { peer, maxMessage } = this.#main;
    this.#twin = new Connection(twin, { peer, maxMessage, sendTimeout: this.#hooks.timeout });
  }

  read(iova: number, into: Uint8Array): void {
    const max = Math.min(maxDmaRead, this.#maxTransfer);
    for (let done = 0; done < into.length;) {
      const count = Math.min(into.length - done, max);
      done += this.#transfer(Command.dmaRead, iova + done, count, into.subarray(done, done + count));
    }
  }

  write(iova: number, from: Uint8Array): void {
    for (let done = 0; done < from.length;) {
      const count = Math.min(from.length - done, this.#maxTransfer);
      done += this.#transfer(Command.dmaWrite, iova + done, count, from.subarray(done, done + count));
    }
  }

  get #maxTransfer(): number {
    const room = this.#main.maxMessage - bodyAt - dmaAccess.size;
    return Math.min(this.#client?.maxTransfer ?? 0, room);
  }

  /** @returns bytes that were transferred, at least 1 @throws VfioError with what the client says, or ETIMEDOUT */
  #transfer(command: number, iova: number, count: number, data: Uint8Array): number {
    const keep = this.#hooks.beforeRequest();
    const link = this.#twin ?? this.#main;
    const { bytes, outAt } = this.#main;
    // Only a device that does DMA by messages inside of a read gets here with a reply half made.
    const kept = keep > 0 && link === this.#main ? bytes.slice(outAt, outAt + keep) : undefined;
    const what = `${commandName(command)} of ${count} bytes at ${hex(iova)}`;
    let answer: Message;
    try {
      answer = this.#ask(link, command, iova, count, data, what);
    } finally {
      // Before the answer is taken: what is read may belong into that very reply.
      if (kept) bytes.set(kept, outAt);
    }
    return this.#take(answer, link.peer, command, count, data, what);
  }

  #ask(
    link: Connection,
    command: number,
    iova: number,
    count: number,
    data: Uint8Array,
    what: string,
  ): Message {
    const id = (this.#id = ((this.#id + 1) & 0x7fff) + 0x8000);
    const { outAt } = link;
    const isWrite = command === Command.dmaWrite;
    dmaAccess.encode(link.view, outAt + bodyAt, { address: iova, count });
    if (isWrite) link.bytes.set(data, outAt + bodyAt + dmaAccess.size);
    const body = dmaAccess.size + (isWrite ? count : 0);
    if (!link.send(id, command, messageType.request, 0, body)) throw gone(link.peer, what);
    return this.#await(link, id, what);
  }

  /** What the client answers. @returns and throws as `#transfer` */
  #take(
    { view, bytes, at }: Message,
    peer: string,
    command: number,
    count: number,
    data: Uint8Array,
    what: string,
  ): number {
    const isWrite = command === Command.dmaWrite;
    const flags = view.getUint32(at + header.at.flags, true);
    const size = view.getUint32(at + header.at.size, true) - header.size;
    if (view.getUint16(at + header.at.command, true) !== command)
      throw protocolError(peer, `a reply to ${what} that is of another command`);
    if ((flags & isError) !== 0) {
      const errno = view.getUint32(at + header.at.error, true) || 5;
      const code = errnoName(errno);
      throw new VfioError(`${peer} refuses ${what} with ${code}`, { code, errno, request: what });
    }
    // QEMU before 11 answers a write with a header alone.
    if (isWrite && size === 0) return count;
    const done = size >= dmaAccess.size ? getU64(view, at + bodyAt + dmaAccess.at.count) : 0;
    const missing = done < 1 || done > count || (!isWrite && size < dmaAccess.size + done);
    if (missing) throw protocolError(peer, `a reply to ${what} with ${size} bytes that says ${done}`);
    const from = at + bodyAt + dmaAccess.size;
    if (!isWrite) data.set(bytes.subarray(from, from + done));
    return done;
  }

  /** Serves what comes before the answer, since that may wait for it. */
  #await(link: Connection, id: number, what: string): Message {
    this.#outstanding.add(id);
    try {
      const end = performance.now() + this.#hooks.timeout;
      for (;;) {
        for (let at = link.next(); at >= 0; at = link.next())
          if (this.#isAnswer(link, at, id)) return { ...place(link), at };
        const early = this.#early.get(id);
        if (early) return early;
        const left = end - performance.now();
        if (left <= 0)
          throw new VfioError(`${link.peer} does not answer ${what}`, {
            code: "ETIMEDOUT",
            errno: 110,
            request: what,
          });
        this.#poll.set(link.fd);
        if (this.#poll.wait(left) > 0 && link.fill(false) === "closed") throw gone(link.peer, what);
      }
    } finally {
      this.#outstanding.delete(id);
      this.#early.delete(id);
    }
  }

  /** @returns whether the message at `at` is the answer to `id` */
  #isAnswer(link: Connection, at: number, id: number): boolean {
    const { view, bytes } = link;
    if ((view.getUint32(at + header.at.flags, true) & messageType.mask) !== messageType.reply) {
      if (link !== this.#main) throw protocolError(link.peer, "a request on the socket that is the server's");
      this.#hooks.serve(at);
      return false;
    }
    const answered = view.getUint16(at + header.at.id, true);
    if (answered === id) return true;
    // Any other is to a request that was given up, and of no use any more.
    if (!this.#outstanding.has(answered)) return false;
    const copy = bytes.slice(at, at + view.getUint32(at + header.at.size, true));
    this.#early.set(answered, { view: new DataView(copy.buffer), bytes: copy, at: 0 });
    return false;
  }

  /** Closes the twin. */
  [Symbol.dispose](): void {
    this.#twin?.[Symbol.dispose]();
  }
}

const gone = (peer: string, what: string): VfioError =>
  new VfioError(`${peer} has gone before it answered ${what}`, { code: "EPIPE", errno: 32, request: what });

const place = ({ view, bytes }: Connection): Pick<Message, "view" | "bytes"> => ({ view, bytes });
