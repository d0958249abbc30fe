// One client of a server, from VERSION to its end.
import type { FileDescriptor } from "../../../ffi/file-descriptor.ts";
import { VfioError } from "../../../ffi/errors.ts";
import { protocolError } from "../connection.ts";
import { Command, commandName, header, isError, messageType, noReply } from "../messages/header.ts";
import type { Capabilities } from "../messages/version.ts";
import { errnoOf, refusal } from "../refusals.ts";
import type { Handler, Request, SessionContext } from "./context.ts";
import { mapDma, unmapDma, unmapRange } from "./dma-handlers.ts";
import { DmaMessages } from "./dma-messages.ts";
import {
  deviceFeature,
  getDeviceInfo,
  getIrqInfo,
  getRegionInfo,
  getRegionIoFds,
  migrationStream,
} from "./info-handlers.ts";
import { quietIrqs, resetDevice, setIrqs } from "./irq-handlers.ts";
import { negotiate } from "./negotiate.ts";
import { AccessBuffers, regionRead, regionWrite, regionWriteMulti } from "./region-handlers.ts";

/** A request that the server did not do, or could not. */
export interface RefusedRequest {
  readonly command: string;
  /** Positive. */
  readonly errno: number;
  /** What the device threw, if it did. */
  readonly cause: unknown;
}

/** What a session tells. */
export interface SessionHooks {
  readonly onRefused: ((refused: RefusedRequest) => void) | undefined;
  /** How long the client may take to answer DMA_READ and DMA_WRITE, in milliseconds. */
  readonly dmaTimeout: number;
}

/** A request that is being done. */
interface Current {
  id: number;
  command: number;
  flags: number;
  isAnswered: boolean;
}

/** Requests inside of requests: as deep as a client that answers a DMA request with another access can get. */
const maxDepth = 16;

/** The server's end of one connection. `dispose` takes back all that the client had; the device keeps its state. */
export class Session implements Disposable {
  readonly #context: SessionContext;
  readonly #hooks: SessionHooks;
  readonly #handlers: readonly (Handler | undefined)[];
  readonly #replyFds: number[] = [];
  readonly #dma: DmaMessages;
  #client: Capabilities | undefined;
  #twin: FileDescriptor | undefined;
  #current: Current | undefined;
  #depth = 0;
  #closed = false;

  /** The connection is the session's from here on. */
  constructor(context: SessionContext, hooks: SessionHooks) {
    this.#context = context;
    this.#hooks = hooks;
    const buffers = new AccessBuffers(context.connection.bytes, context.connection.outAt);
    const handlers: (Handler | undefined)[] = [];
    handlers[Command.dmaMap] = mapDma;
    handlers[Command.dmaUnmap] = unmapDma;
    handlers[Command.deviceInfo] = getDeviceInfo;
    handlers[Command.regionInfo] = getRegionInfo(this.#replyFds);
    handlers[Command.regionIoFds] = getRegionIoFds;
    handlers[Command.irqInfo] = getIrqInfo;
    handlers[Command.setIrqs] = setIrqs;
    handlers[Command.regionRead] = regionRead(buffers);
    handlers[Command.regionWrite] = regionWrite(buffers);
    handlers[Command.dmaRead] = () => refusal.invalid;
    handlers[Command.dmaWrite] = () => refusal.invalid;
    handlers[Command.reset] = resetDevice;
    handlers[Command.dirtyPages] = () => refusal.notSupported;
    handlers[Command.regionWriteMulti] = regionWriteMulti;
    handlers[Command.feature] = deviceFeature;
    handlers[Command.migrationRead] = migrationStream;
    handlers[Command.migrationWrite] = migrationStream;
    this.#handlers = handlers;
    this.#dma = new DmaMessages(context.connection, {
      timeout: hooks.dmaTimeout,
      beforeRequest: () => this.#answerFirst(),
      serve: (at) => this.#handle(at),
    });
    context.memory.messages = this.#dma;
  }

  /**
   * Does every request that has come as a whole.
   * @throws VfioError (`EPROTO`) for what breaks the protocol: the connection is of no more use
   */
  serve(): void {
    const { connection } = this.#context;
    for (let at = connection.next(); at >= 0; at = connection.next()) this.#handle(at);
  }

  #handle(at: number): void {
    const { connection } = this.#context;
    const { view } = connection;
    const flags = view.getUint32(at + header.at.flags, true);
    const command = view.getUint16(at + header.at.command, true);
    const type = flags & messageType.mask;
    // A reply that comes too late, or to nothing.
    if (type === messageType.reply) return;
    if (type !== messageType.request) throw protocolError(connection.peer, `a message of type ${type}`);
    if (this.#depth >= maxDepth)
      throw protocolError(connection.peer, "requests inside of requests have no end");
    const size = view.getUint32(at + header.at.size, true) - header.size;
    const outer = this.#current;
    const id = view.getUint16(at + header.at.id, true);
    const current: Current =
      this.#depth === 0 ? this.#reuse(id, command, flags) : { id, command, flags, isAnswered: false };
    this.#current = current;
    this.#depth++;
    try {
      this.#request.at = at + header.size;
      this.#request.size = size;
      if (command === Command.version) this.#agree(current);
      else if (this.#client) this.#answer(current, this.#do(command));
      else this.#refuseStranger(current);
    } finally {
      this.#depth--;
      this.#current = outer;
      this.#replyFds.length = 0;
    }
  }

  readonly #request: Request = { at: 0, size: 0 };
  readonly #outermost: Current = { id: 0, command: 0, flags: 0, isAnswered: false };

  /** Only requests inside of others need an object of their own. */
  #reuse(id: number, command: number, flags: number): Current {
    const current = this.#outermost;
    current.id = id;
    current.command = command;
    current.flags = flags;
    current.isAnswered = false;
    return current;
  }

  #do(command: number): number {
    const handler = this.#handlers[command];
    if (!handler) return refusal.noSuchCommand;
    try {
      return handler(this.#context, this.#request);
    } catch (error) {
      if (error instanceof VfioError && error.code === "EPROTO") throw error;
      const errno = errnoOf(error);
      this.#hooks.onRefused?.({ command: commandName(command), errno, cause: error });
      return -errno;
    }
  }

  /** @param result size of the reply's body, or minus the errno */
  #answer(current: Current, result: number): void {
    if ((current.flags & noReply) !== 0 || current.isAnswered) return;
    current.isAnswered = true;
    const { connection } = this.#context;
    const { id, command } = current;
    if (result < 0) this.#send(connection.send(id, command, messageType.reply + isError, -result, 0));
    else this.#send(connection.send(id, command, messageType.reply, 0, result, this.#replyFds));
  }

  #send(isThere: boolean): void {
    if (!isThere) throw new VfioError("the client has gone", { code: "EPIPE", errno: 32 });
  }

  /**
   * A client may hold what its answer needs until its own write is answered, as QEMU does: so that goes out before any
   * request of the server's. What fails afterwards, the client is not told.
   */
  #answerFirst(): number {
    const { connection } = this.#context;
    const current = this.#current;
    if (!current || current.isAnswered) return 0;
    const { command } = current;
    if (command === Command.regionWrite || command === Command.regionWriteMulti) {
      this.#answer(current, command === Command.regionWrite ? 16 : 8);
      return 0;
    }
    // A reply that is being made: it is put back when the requests are done.
    return connection.maxMessage;
  }

  #agree(current: Current): void {
    const { connection } = this.#context;
    const agreement = this.#client ? undefined : negotiate(this.#context, this.#request);
    if (!agreement) {
      this.#answer(current, refusal.invalid);
      if (this.#client) return;
      throw protocolError(connection.peer, "a VERSION that cannot be accepted");
    }
    const { client, size, twin } = agreement;
    this.#client = client;
    this.#twin = twin?.own;
    using theirs = twin?.theirs;
    this.#dma.begin(client, twin?.own);
    if (theirs) this.#replyFds.push(theirs.fd);
    this.#answer(current, size);
  }

  #refuseStranger(current: Current): void {
    this.#answer(current, refusal.invalid);
    throw protocolError(this.#context.connection.peer, `${commandName(current.command)} before VERSION`);
  }

  /** Takes back memory and eventfds, closes the connection. Safe to call twice. */
  [Symbol.dispose](): void {
    if (this.#closed) return;
    this.#closed = true;
    const context = this.#context;
    using order = new DisposableStack();
    order.use(context.connection);
    if (this.#twin) order.use(this.#twin);
    order.use(this.#dma);
    order.use(context.files);
    order.defer(() => (context.memory.messages = undefined));
    order.defer(() => unmapRange(context, { base: 0, size: Number.MAX_SAFE_INTEGER }));
    order.defer(() => quietIrqs(context));
  }
}
