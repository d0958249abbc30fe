// A device at the other end of a socket, as a backend like any other.
import { AioPoll } from "../../../ffi/aio-poll.ts";
import { VfioError } from "../../../ffi/errors.ts";
import type { FileDescriptor } from "../../../ffi/file-descriptor.ts";
import type { IrqInfo, IrqRequest } from "../../../regs/vfio/irqs.ts";
import { RegionIndex, type RegionArea, type RegionInfo } from "../../../regs/vfio/regions.ts";
import { DmaMap } from "../../dma/dma-map.ts";
import type { DeviceBackend, FeatureSupport } from "../../seam/backend.ts";
import { InspectableBackend } from "../../seam/inspect.ts";
import { feature, featureFlag } from "../messages/device.ts";
import { bodyAt, Command, commandName } from "../messages/header.ts";
import type { Capabilities } from "../messages/version.ts";
import {
  describeDevice,
  describeIrqs,
  describeRegions,
  maxTransfer,
  negotiate,
  type DescribedRegion,
} from "./describe.ts";
import { DmaServer } from "./dma-server.ts";
import { VfioUserIommu } from "./iommu.ts";
import { checkVectors, sendIrqs } from "./irq-requests.ts";
import { Link } from "./link.ts";
import { defaultTimeout, type ConnectOptions } from "./options.ts";
import { RegionAccess } from "./region-access.ts";
import { Reconnection, type Connected } from "./reconnection.ts";
import { SharedRegion } from "./shared-region.ts";

/** Of a message besides an access's data, in bytes. */
const overhead = 68 * 1024;
const notSupported = new Set(["ENOTTY", "EINVAL", "EOPNOTSUPP", "ENOSYS"]);

/**
 * A device that a vfio-user server has. Each access is one message and its reply, in this thread, which waits no longer than
 * the time limit; after that the device is gone, and every call fails with ENODEV.
 *
 * A mapping of memory that the server shares ends the process (SIGBUS) if the server makes the file smaller. It is sealed
 * against that where it can be; `sealedOnly` refuses what cannot.
 */
export class VfioUserClient extends InspectableBackend implements DeviceBackend {
  readonly name: string;
  readonly resettable: boolean;
  readonly regions: readonly RegionInfo[];
  readonly irqs: readonly IrqInfo[];
  /** What the device's DMA reaches: memory with a file by its descriptor, other memory by messages. */
  readonly dma: DmaMap;
  readonly #options: ConnectOptions;
  readonly #memory = new DmaServer(maxTransfer);
  readonly #mappings = new Set<SharedRegion>();
  readonly #reconnection: Reconnection | undefined;
  #connected: Connected;
  #described: readonly DescribedRegion[];
  #access: RegionAccess;
  #watches = new DisposableStack();
  #closed = false;

  /** Takes over a connected socket, and closes it should that fail. @throws VfioError @internal */
  constructor(socket: FileDescriptor, name: string, options: ConnectOptions, connect?: () => FileDescriptor) {
    super();
    this.name = name;
    this.#options = options;
    using failed = new DisposableStack();
    failed.use(socket);
    const connected = this.#greet(socket);
    const link = failed.use(connected.link);
    const { resettable, regions, irqs } = describeDevice(link);
    this.resettable = resettable;
    this.#described = describeRegions(link, regions);
    for (const { file } of this.#described) if (file) failed.use(file);
    this.regions = Object.freeze(this.#described.map(({ info }) => info));
    this.irqs = Object.freeze(describeIrqs(link, irqs));
    this.#connected = connected;
    this.#access = this.#newAccess(connected);
    this.dma = new DmaMap(
      new VfioUserIommu(() => ({
        name,
        link: this.#connected.link,
        server: this.#connected.server,
        memory: this.#memory,
        onMessagesNeeded: () => this.#watch(),
      })),
    );
    this.#reconnection =
      options.reconnect && connect
        ? new Reconnection(options.reconnect, () => this.#comeBack(connect()))
        : undefined;
    this.#watch();
    failed.move();
  }

  #greet(socket: FileDescriptor): Connected {
    const { timeout = defaultTimeout, grace = 0, twinSocket = true } = this.#options;
    using failed = new DisposableStack();
    const link = failed.use(
      new Link(socket, {
        name: this.name,
        timeout,
        grace,
        maxMessage: maxTransfer + overhead,
        serve: (connection, at) => this.#memory.serve(connection, at),
        onGone: (error) => this.#gone(link, error),
      }),
    );
    const server = negotiate(link, twinSocket);
    failed.move();
    return { link, server };
  }

  readonly #newAccess = ({ link, server }: Connected): RegionAccess =>
    new RegionAccess(link, Math.min(maxTransfer, server.maxTransfer));

  /** Hears of the server's end, and of its requests, while nobody calls. */
  #watch(): void {
    const { link } = this.#connected;
    this.#watches[Symbol.dispose]();
    const watches = (this.#watches = new DisposableStack());
    const add = (fd: number, wanted: "readable" | "closed", act: () => void): void => {
      const poll: AioPoll = watches.use(
        new AioPoll(
          fd,
          () => {
            if (link.gone) return;
            try {
              act();
            } catch {
              // The link has told why.
            }
            if (!link.gone) poll.arm();
          },
          wanted,
          { keepAlive: this.#options.keepAlive ?? false },
        ),
      );
      poll.arm();
    };
    // A server that has descriptors of everything asks nothing: answers that a call takes wake nobody then.
    const asks = !link.twin && this.#memory.needsMessages;
    add(link.connection.fd, asks ? "readable" : "closed", () => link.serveIdle());
    if (link.twin) add(link.twin.fd, "readable", () => link.serveTwin());
  }

  #gone(link: Link, error: VfioError): void {
    // Before the client is complete, whoever made it hears of it.
    if (this.#connected?.link !== link || this.#closed) return;
    this.#watches[Symbol.dispose]();
    this.#tell("device-gone", error.message);
    this.#reconnection?.start();
  }

  #tell(kind: "device-gone" | "device-was-reset", message: string): void {
    try {
      this.#options.onEvent?.({ kind, message });
    } catch (error) {
      queueMicrotask(() => {
        throw error;
      });
    }
  }

  /** The server's capabilities. */
  get server(): Capabilities {
    return this.#connected.server;
  }
  /** Whether the server has gone, and calls fail. */
  get gone(): boolean {
    return this.#connected.link.gone;
  }

  read(region: number, offset: number, data: Uint8Array): void {
    this.#access.read(region, offset, data);
  }

  write(region: number, offset: number, data: Uint8Array): void {
    const posted = this.#options.postedWrites === true && region < RegionIndex.rom;
    this.#access.write(region, offset, data, posted);
    if (region === RegionIndex.config) this.#reconnection?.noteWrite(offset, data);
  }

  map(region: number, area: RegionArea): SharedRegion {
    this.#open();
    const described = this.#described[region];
    if (!described)
      throw new VfioError(`${this.name} has no region ${region}`, {
        code: "EINVAL",
        errno: 22,
        device: this.name,
      });
    const mapping = new SharedRegion(this.name, described, area, {
      sealedOnly: this.#options.sealedOnly ?? false,
      onDispose: (gone) => this.#mappings.delete(gone),
    });
    this.#mappings.add(mapping);
    return mapping;
  }

  setIrqs(request: IrqRequest): void {
    this.#open();
    const { link, server } = this.#connected;
    checkVectors(this.name, this.irqs, request);
    sendIrqs(link, request, server.maxMessageFds);
    this.#reconnection?.irqs.note(request);
  }

  reset(): void {
    this.#open();
    this.#connected.link.call(Command.reset, 0);
  }

  probeFeature(number: number): FeatureSupport | undefined {
    this.#open();
    const probe = (way: number): boolean => {
      const { link } = this.#connected;
      const { view, outAt } = link.request;
      const flags = number + way + featureFlag.probe;
      feature.encode(view, outAt + bodyAt, { argsz: feature.size, flags });
      try {
        link.call(Command.feature, feature.size, () => `${commandName(Command.feature)} ${number}`);
        return true;
      } catch (error) {
        if (error instanceof VfioError && notSupported.has(error.code)) return false;
        throw error;
      }
    };
    const support = { get: probe(featureFlag.get), set: probe(featureFlag.set) };
    return support.get || support.set ? support : undefined;
  }

  #open(): void {
    if (this.#closed) throw new VfioError(`${this.name} is closed`, { code: "ECLOSED", device: this.name });
  }

  /** The device again, as it was described: anything else is another device. */
  #comeBack(socket: FileDescriptor): void {
    using failed = new DisposableStack();
    failed.use(socket);
    const connected = this.#greet(socket);
    const link = failed.use(connected.link);
    const { regions, irqs } = describeDevice(link);
    const described = describeRegions(link, regions);
    for (const { file } of described) if (file) failed.use(file);
    const same =
      JSON.stringify(described.map(({ info }) => info)) === JSON.stringify(this.regions) &&
      JSON.stringify(describeIrqs(link, irqs)) === JSON.stringify(this.irqs);
    if (!same)
      throw new VfioError(`${this.name}: another device is there now`, { code: "ENODEV", errno: 19 });
    this.#reconnection!.replay(connected, this.#memory.mappings, this.#newAccess(connected));
    failed.move();
    for (const { file } of this.#described) file?.[Symbol.dispose]();
    this.#described = described;
    this.#connected = connected;
    this.#access = this.#newAccess(connected);
    this.#watch();
    this.#tell("device-was-reset", `${this.name} is there again, after a reset`);
  }

  /** Takes everything back and closes the connection. Safe to call twice. */
  [Symbol.dispose](): void {
    if (this.#closed) return;
    this.#closed = true;
    using order = new DisposableStack();
    for (const { file } of this.#described) if (file) order.use(file);
    // What the server has not confirmed, it drops with the connection.
    order.defer(() => this.dma[Symbol.dispose]());
    order.use(this.#connected.link);
    order.use(this.#watches);
    if (this.#reconnection) order.use(this.#reconnection);
    for (const mapping of [...this.#mappings]) order.use(mapping);
    order.defer(() => this.#unmapAll());
  }

  /** Waits until the server touches none of this process's memory any more, as long as it answers. */
  #unmapAll(): void {
    try {
      this.dma[Symbol.dispose]();
    } catch (error) {
      if (!(error instanceof VfioError)) throw error;
    }
  }
}
