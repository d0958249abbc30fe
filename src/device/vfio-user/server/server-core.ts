// What both ways of serving share: a device, its memory, and one client after the other.
import { FileDescriptor } from "../../../ffi/file-descriptor.ts";
import { VfioError } from "../../../ffi/errors.ts";
import { peerCredentials } from "../../../ffi/unix-socket.ts";
import { absentIrq, irqCount, type IrqInfo } from "../../../regs/vfio/irqs.ts";
import { absentRegion, regionCount, type RegionInfo } from "../../../regs/vfio/regions.ts";
import type { DeviceBackend } from "../../seam/backend.ts";
import type { DeviceEnvironment } from "../../seam/device-memory.ts";
import type { Dma } from "../../seam/platform.ts";
import { Connection } from "../connection.ts";
import { bodyAt } from "../messages/header.ts";
import { defaultLimits, type ServerLimits } from "./context.ts";
import type { DeviceSource, ServeOptions, ServerEvent } from "./options.ts";
import { PeerMemory } from "./peer-memory.ts";
import { Session } from "./session.ts";
import { SharedFiles } from "./shared-files.ts";
import { listenAt } from "../../../ffi/listening-path.ts";
import { messageOf } from "../../../regs/message-of.ts";

/** Mappings of a client's files at once, each of which may be of any size. */
const maxMappings = 1024;
/** Of a message besides an access's data: headers, the JSON of VERSION, capabilities of a region; in bytes. */
const overhead = 20 * 1024;
export const defaultPeerTimeout = 5000;

/** One client and its session. `dispose` ends both. */
export interface Client extends Disposable {
  readonly connection: Connection;
  readonly session: Session;
}

/** A listening socket and the device behind it. `dispose` closes both, and removes the socket's path. */
export class ServerCore implements Disposable {
  readonly socket: FileDescriptor;
  readonly device: DeviceBackend;
  readonly #options: ServeOptions;
  readonly #dma: Dma | undefined;
  readonly #memory = new PeerMemory();
  readonly #limits: ServerLimits;
  readonly #regions: readonly RegionInfo[];
  readonly #irqs: readonly IrqInfo[];
  readonly #all = new DisposableStack();

  /** @param data for a source that makes its device @throws VfioError where it cannot listen; what the source throws */
  constructor(
    source: DeviceSource,
    options: ServeOptions,
    time: Pick<DeviceEnvironment, "after" | "watch">,
    data?: unknown,
  ) {
    this.#options = options;
    this.#limits = { ...defaultLimits, ...options.limits };
    checkLimits(this.#limits);
    using failed = new DisposableStack();
    const { socket } = options;
    this.socket =
      typeof socket === "string"
        ? failed.use(listenAt(socket)).socket
        : failed.use(new FileDescriptor(socket, "a listening socket"));
    const made =
      typeof source === "function"
        ? source(
            { memory: this.#memory, after: (...a) => time.after(...a), watch: (...a) => time.watch(...a) },
            data,
          )
        : source;
    const served = "device" in made ? made : { device: made, dma: undefined };
    this.device = failed.use(served.device);
    this.#dma = served.dma;
    this.#regions = padded(this.device.regions, regionCount, absentRegion);
    this.#irqs = padded(this.device.irqs, irqCount, absentIrq);
    this.#all.use(failed.move());
  }

  tell(event: ServerEvent): void {
    this.#options.onEvent?.(event);
  }

  /** What a device's own callback threw. */
  readonly deviceFailed = (error: unknown): void =>
    this.tell({ kind: "device-failed", message: messageOf(error) });

  /** A client that could not be taken: no descriptor is left, or no memory. */
  clientFailed(error: unknown): void {
    this.tell({ kind: "client-left", reason: messageOf(error) });
  }

  /** @param socket of a client that was accepted; taken over @returns undefined for one that is not welcome */
  begin(socket: FileDescriptor): Client | undefined {
    using failed = new DisposableStack();
    failed.use(socket);
    const { peerTimeout = defaultPeerTimeout, dmaTimeout = defaultPeerTimeout, allowUids } = this.#options;
    const { pid, uid } = peerCredentials(socket.fd);
    if (allowUids && !allowUids.includes(uid)) {
      this.tell({ kind: "client-refused", pid, uid });
      return undefined;
    }
    const limits = this.#limits;
    const connection = failed.use(
      new Connection(socket, {
        peer: `client ${pid}`,
        maxMessage: limits.maxTransfer + bodyAt + overhead,
        sendTimeout: peerTimeout,
      }),
    );
    const files = new SharedFiles({
      maxMappings,
      maxBytes: limits.maxMappedBytes,
      sealedOnly: limits.sealedOnly,
    });
    const session = new Session(
      {
        connection,
        device: this.device,
        regions: this.#regions,
        irqs: this.#irqs,
        memory: this.#memory,
        files,
        dma: this.#dma,
        limits,
      },
      {
        dmaTimeout,
        onRefused: ({ command, errno, cause }) =>
          this.tell({ kind: "request-failed", command, errno, message: messageOf(cause) }),
      },
    );
    failed.move();
    this.tell({ kind: "client-connected", pid, uid });
    return { connection, session, [Symbol.dispose]: () => session[Symbol.dispose]() };
  }

  /** Ends a client. @param reason what it did wrong, or what failed */
  end({ session }: Pick<Client, "session">, reason: unknown): void {
    try {
      session[Symbol.dispose]();
    } catch (error) {
      this.deviceFailed(error);
    }
    const isGone = reason instanceof VfioError && reason.code === "EPIPE";
    this.tell({
      kind: "client-left",
      reason: reason === undefined || isGone ? undefined : messageOf(reason),
    });
  }

  /** Closes the socket and the device. Safe to call twice. */
  [Symbol.dispose](): void {
    this.#all[Symbol.dispose]();
  }
}

/** What a client counts on being there, absent or not. */
const padded = <Info>(
  infos: readonly Info[],
  count: number,
  absent: (index: number) => Info,
): readonly Info[] => [
  ...infos,
  ...Array.from({ length: Math.max(0, count - infos.length) }, (_, i) => absent(infos.length + i)),
];

function checkLimits({ maxMessageFds, maxTransfer, maxDmaMaps, maxMappedBytes }: ServerLimits): void {
  const check = (name: string, value: number, min: number, max: number): void => {
    if (!Number.isInteger(value) || value < min || value > max)
      throw new RangeError(`"${name}" must be an integer from ${min} to ${max}, not ${value}`);
  };
  check("maxMessageFds", maxMessageFds, 1, 16);
  check("maxTransfer", maxTransfer, 4096, 64 * 2 ** 20);
  check("maxDmaMaps", maxDmaMaps, 1, 65535);
  check("maxMappedBytes", maxMappedBytes, 0, 2 ** 46);
}
