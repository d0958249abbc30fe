// Waiting for a descriptor on Bun's event loop without a thread: the kernel's asynchronous poll (IOCB_CMD_POLL of
// io_submit(2)) signals an eventfd, which the event loop reads.
import { cancelAio, collectAio, registerAio, submitAio } from "./aio-context.ts";
import { Arena, type ArenaPiece } from "./arena.ts";
import { aioCommand, aioFlag, pollFlag } from "./constants.ts";
import { Eventfd } from "./eventfd.ts";
import { EventfdListener, type ListenOptions } from "./eventfd-listener.ts";
import { iocb } from "./iocb.ts";

/**
 * Calls back on the event loop when a descriptor is ready, once for each `arm`. Owned: `dispose` ends the wait; the
 * descriptor stays its owner's, and open until then.
 */
export class AioPoll implements Disposable {
  readonly #arena: Arena;
  readonly #eventfd: Eventfd;
  readonly #listener: EventfdListener;
  readonly #request: ArenaPiece;
  readonly #submission: ArenaPiece;
  readonly #data: number;
  #armed = false;
  #closed = false;

  /**
   * Nothing is waited for before `arm`.
   * @param fd of a socket or anything else that can be polled @param onReady called once for each `arm`
   * @param wanted "readable", or "closed" for nothing but the peer's end of a socket
   * @param options whether the process lives on for it
   * @throws VfioError, as EMFILE where no descriptor is left
   */
  constructor(
    fd: number,
    onReady: () => void,
    wanted: "readable" | "closed" = "readable",
    options: ListenOptions = {},
  ) {
    using failed = new DisposableStack();
    this.#arena = failed.use(new Arena(iocb.size + 8, "an AIO request"));
    this.#eventfd = failed.use(new Eventfd());
    this.#listener = failed.use(new EventfdListener(this.#eventfd.fd, collectAio, options));
    this.#data = registerAio(() => {
      this.#armed = false;
      if (!this.#closed) onReady();
    });
    this.#request = this.#arena.take(iocb.size);
    const { view } = this.#arena;
    const at = this.#request.offset;
    view.setUint32(at + iocb.data, this.#data, true);
    view.setUint16(at + iocb.opcode, aioCommand.POLL, true);
    view.setUint32(at + iocb.fd, fd, true);
    view.setUint32(at + iocb.events, wanted === "readable" ? pollFlag.IN : 0, true);
    view.setUint32(at + iocb.flags, aioFlag.RESFD, true);
    view.setUint32(at + iocb.resultFd, this.#eventfd.fd, true);
    this.#submission = this.#arena.take(8);
    view.setBigUint64(this.#submission.offset, BigInt(this.#request.address), true);
    failed.move();
  }

  /** Waits once; where it waits already, nothing happens. @throws VfioError, as EAGAIN where the host has no AIO left */
  arm(): void {
    if (this.#armed || this.#closed) return;
    submitAio(this.#submission.address);
    this.#armed = true;
  }

  /** No call follows. Safe to call twice. */
  [Symbol.dispose](): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#listener[Symbol.dispose]();
    cancelAio(this.#data, this.#request.address);
    this.#eventfd[Symbol.dispose]();
    this.#arena[Symbol.dispose]();
  }
}
