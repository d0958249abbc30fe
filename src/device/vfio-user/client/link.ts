// A client's connection: one request at a time, each with a time limit, and the server's own requests in between.
import type { FileDescriptor } from "../../../ffi/file-descriptor.ts";
import { errnoName } from "../../../ffi/errno.ts";
import { VfioError } from "../../../ffi/errors.ts";
import { PollSet } from "../../../ffi/poll.ts";
import { setSocketTimeout } from "../../../ffi/unix-socket.ts";
import { Connection, protocolError } from "../connection.ts";
import { bodyAt, commandName, header, isError, messageType, noReply } from "../messages/header.ts";
import { asVfioError, closedError, goneError, lateError, silentError } from "./link-errors.ts";
import { LateReplies } from "./late-replies.ts";

/** A reply, or a request of the server's, where it lies: until the next call. */
export interface Message {
  readonly link: Connection;
  /** Offset of its body. */
  at: number;
  /** Of its body, in bytes. */
  size: number;
}

/** How a link behaves. Times in milliseconds. */
export interface LinkOptions {
  readonly name: string;
  readonly timeout: number;
  readonly grace: number;
  /** The largest message each way, in bytes. */
  readonly maxMessage: number;
  /** Does a request of the server's, and answers it. */
  readonly serve: (link: Connection, at: number) => void;
  /** Hears, once, why nothing more comes. */
  readonly onGone: (error: VfioError) => void;
}

/** For so long a reply is waited for alone, in milliseconds, until a server is known to ask things over the twin socket. */
const aloneAtFirst = 20;

/** One connection. Owned: `dispose` closes it; nobody is told then. */
export class Link implements Disposable {
  readonly connection: Connection;
  readonly #options: LinkOptions;
  readonly #poll = new PollSet(2);
  readonly #reply: Message;
  #twin: Connection | undefined;
  /** Whether anything ever came over it: most servers have descriptors of all memory, and ask nothing. */
  #twinIsUsed = false;
  #id = 0;
  /** Why the connection is of no more use. */
  #gone: VfioError | undefined;
  readonly #late: LateReplies;
  #calling = false;

  /** @param socket connected; taken over */
  constructor(socket: FileDescriptor, options: LinkOptions) {
    this.#options = options;
    const { name: peer, maxMessage, timeout, grace } = options;
    this.#late = new LateReplies(grace);
    this.connection = new Connection(socket, { peer, maxMessage, sendTimeout: timeout });
    setSocketTimeout(socket.fd, "receive", timeout);
    this.#reply = { link: this.connection, at: 0, size: 0 };
  }

  get gone(): boolean {
    return this.#gone !== undefined || this.connection.closed;
  }

  /** The socket that the server's requests come over, where there is one. */
  get twin(): Connection | undefined {
    return this.#twin;
  }

  /** The server's requests come over this from now on. @param socket taken over */
  useTwin(socket: FileDescriptor): Connection {
    const { name: peer, maxMessage, timeout } = this.#options;
    setSocketTimeout(this.connection.fd, "receive", Math.min(timeout, aloneAtFirst));
    return (this.#twin = new Connection(socket, { peer, maxMessage, sendTimeout: timeout }));
  }

  /**
   * Sends the request whose body lies at the connection's `outAt`, and waits for its reply.
   * @param body size in bytes @param what for messages: the whole request
   * @returns the reply, until the next call
   * @throws VfioError with the server's errno; ETIMEDOUT, EPROTO; ENODEV once the device is gone
   */
  call(command: number, body: number, what?: () => string, fds?: readonly number[]): Message {
    void this.request;
    // A request of the server's that came in between could come here again.
    if (this.#calling)
      throw new VfioError(`${this.#options.name}: a call inside of a call`, { code: "EBUSY" });
    this.#calling = true;
    try {
      const start = performance.now();
      this.#checkLate(start);
      const id = (this.#id = (this.#id + 1) & 0xffff);
      this.#send(id, command, 0, body, fds);
      return this.#wait(id, command, start + this.#options.timeout, what);
    } finally {
      this.#calling = false;
    }
  }

  /** Sends a request that is not answered. @throws VfioError as `call`, where the device is gone */
  post(command: number, body: number): void {
    void this.request;
    this.#id = (this.#id + 1) & 0xffff;
    this.#send(this.#id, command, noReply, body);
  }

  #send(id: number, command: number, flags: number, body: number, fds?: readonly number[]): void {
    let isThere: boolean;
    try {
      isThere = this.connection.send(id, command, flags, 0, body, fds);
    } catch (error) {
      throw this.fail(error);
    }
    if (!isThere) throw this.fail(this.#closedError());
  }

  /** Where the body of the next request is written. @throws VfioError as `call`, where the device is gone */
  get request(): Connection {
    if (this.#gone) throw goneError(this.#options.name, this.#gone);
    if (this.connection.closed)
      throw new VfioError(`${this.#options.name} is closed`, { code: "ECLOSED", device: this.#options.name });
    return this.connection;
  }

  #wait(id: number, command: number, deadline: number, what: (() => string) | undefined): Message {
    const { connection } = this;
    let isFirst = !this.#twinIsUsed;
    for (;;) {
      for (let at = this.#next(); at >= 0; at = this.#next())
        if (this.#isAnswer(at, id, command)) return this.#answer(at, command, what);
      // The socket's own time limit does for the first wait, which is mostly the only one.
      const isAlone = isFirst && !connection.isPartial;
      const state = isAlone ? this.#fill(true) : this.#fillBefore(deadline);
      isFirst = false;
      if (state === "closed") throw this.fail(this.#closedError());
      // With a twin socket that was not all the time that there is: the server may wait for an answer over that one.
      if (state === "nothing" && !(isAlone && this.#twin)) throw this.#timedOut(id, command, what);
    }
  }

  // What fails here leaves nothing to go on with.
  #next(): number {
    try {
      return this.connection.next();
    } catch (error) {
      throw this.fail(error);
    }
  }

  #fill(wait: boolean): "more" | "nothing" | "closed" {
    try {
      return this.connection.fill(wait);
    } catch (error) {
      throw this.fail(error);
    }
  }

  #serve(link: Connection, at: number): void {
    try {
      this.#options.serve(link, at);
    } catch (error) {
      throw this.fail(error);
    }
  }

  #fillBefore(deadline: number): "more" | "nothing" | "closed" {
    for (;;) {
      const left = deadline - performance.now();
      if (left <= 0) return "nothing";
      if (this.#twin) this.#poll.set(this.connection.fd, this.#twin.fd);
      else this.#poll.set(this.connection.fd);
      if (this.#poll.wait(left) === 0) continue;
      const main = this.#poll.isReady(0);
      if (this.#twin && this.#poll.isReady(1)) this.serveTwin();
      if (main) return this.#fill(false);
    }
  }

  /** @returns whether the message at `at` is the reply that is waited for; what else comes is done, dropped, or an end */
  #isAnswer(at: number, id: number, command: number): boolean {
    const { view } = this.connection;
    if ((view.getUint32(at + header.at.flags, true) & messageType.mask) !== messageType.reply) {
      this.#serve(this.connection, at);
      return false;
    }
    const answered = view.getUint16(at + header.at.id, true);
    if (answered === id && view.getUint16(at + header.at.command, true) === command) return true;
    if (this.#late.came(answered)) return false;
    const name = commandName(view.getUint16(at + header.at.command, true));
    throw this.fail(protocolError(this.#options.name, `a reply to ${name} ${answered}, which nobody asked`));
  }

  #answer(at: number, command: number, what: (() => string) | undefined): Message {
    const { view } = this.connection;
    if ((view.getUint32(at + header.at.flags, true) & isError) !== 0) {
      const errno = view.getUint32(at + header.at.error, true) || 5;
      const code = errnoName(errno);
      const request = what?.() ?? commandName(command);
      const { name: device } = this.#options;
      throw new VfioError(`${device}: ${request} fails with ${code}`, { code, errno, request, device });
    }
    this.#reply.at = at + bodyAt;
    this.#reply.size = view.getUint32(at + header.at.size, true) - header.size;
    return this.#reply;
  }

  #timedOut(id: number, command: number, what: (() => string) | undefined): VfioError {
    const { name: device, timeout } = this.#options;
    const request = what?.() ?? commandName(command);
    const error = lateError(device, request, timeout);
    if (!this.#late.giveUp(id)) return this.fail(error);
    return error;
  }

  /** A server that has been silent for too long is given up before anything more is asked of it. */
  #checkLate(now: number): void {
    const silence = this.#late.silence(now);
    if (silence !== undefined) throw this.fail(silentError(this.#options.name, silence));
  }

  /** Serves what the server asks while nobody calls. */
  serveIdle(): void {
    if (this.gone || this.#calling) return;
    if (this.#fill(false) === "closed") return void this.fail(this.#closedError());
    for (let at = this.#next(); at >= 0; at = this.#next()) this.#isAnswer(at, -1, -1);
  }

  /** Serves what has come over the twin socket; one that is closed leaves nothing to go on with. */
  serveTwin(): void {
    const twin = this.#twin;
    if (!twin || this.gone) return;
    try {
      this.#twinIsUsed = true;
      if (twin.fill(false) === "closed") throw this.#closedError();
      for (let at = twin.next(); at >= 0; at = twin.next()) this.#options.serve(twin, at);
    } catch (error) {
      throw this.fail(error);
    }
  }

  #closedError(): VfioError {
    return closedError(this.#options.name);
  }

  /** The end of the device, told once. @returns the error, for the call that found out */
  fail(cause: unknown): VfioError {
    const error = asVfioError(this.#options.name, cause);
    if (this.#gone || this.connection.closed) return error;
    this.#gone = error;
    this.#close();
    this.#options.onGone(error);
    return error;
  }

  #close(): void {
    this.connection[Symbol.dispose]();
    this.#twin?.[Symbol.dispose]();
  }

  /** Closes the connection. Safe to call twice. */
  [Symbol.dispose](): void {
    this.#close();
  }
}
