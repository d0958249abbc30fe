// What the handlers of a session share.
import type { IrqInfo } from "../../../regs/vfio/irqs.ts";
import type { RegionInfo } from "../../../regs/vfio/regions.ts";
import type { DeviceBackend } from "../../seam/backend.ts";
import type { Dma } from "../../seam/platform.ts";
import type { Connection } from "../connection.ts";
import type { PeerMemory } from "./peer-memory.ts";
import type { SharedFiles } from "./shared-files.ts";

/** What a server allows its clients. Sizes in bytes. */
export interface ServerLimits {
  /** Descriptors that it takes with one message, 1 to 16. */
  readonly maxMessageFds: number;
  /** Data of one access. */
  readonly maxTransfer: number;
  /** DMA maps that a client has at once. */
  readonly maxDmaMaps: number;
  /** Memory that a client has mapped here, files counted once. */
  readonly maxMappedBytes: number;
  /** Refuses memory that the client could take away, and end this process with it. */
  readonly sealedOnly: boolean;
}

/** What is served if nothing else is said. */
export const defaultLimits: ServerLimits = {
  maxMessageFds: 16,
  maxTransfer: 2 ** 20,
  maxDmaMaps: 65535,
  maxMappedBytes: 2 ** 44,
  sealedOnly: false,
};

/** One session's parts. */
export interface SessionContext {
  readonly connection: Connection;
  readonly device: DeviceBackend;
  /** As a PCI device has them: absent ones included. */
  readonly regions: readonly RegionInfo[];
  readonly irqs: readonly IrqInfo[];
  readonly memory: PeerMemory;
  readonly files: SharedFiles;
  /** An IOMMU of this host that follows the client's maps. */
  readonly dma: Dma | undefined;
  readonly limits: ServerLimits;
}

/** A request, valid until its handler calls the device: a device may ask for DMA, and more messages come then. */
export interface Request {
  /** Offset of its body in the connection's view. */
  at: number;
  /** Of its body, in bytes. */
  size: number;
}

/**
 * Does a request. Writes the body of the reply behind the header at the connection's `outAt`.
 * @returns size of that body, in bytes; minus the errno for a refusal
 */
export type Handler = (context: SessionContext, request: Request) => number;
