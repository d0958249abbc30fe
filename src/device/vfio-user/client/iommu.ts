// What a device at the other end of a socket reaches of this process's memory: DMA_MAP and DMA_UNMAP.
import { hex } from "../../address/range.ts";
import type { Iommu, IommuMapping } from "../../seam/iommu.ts";
import { dmaFlag, dmaMap, dmaUnmap } from "../messages/dma.ts";
import { bodyAt, Command, commandName } from "../messages/header.ts";
import type { Capabilities } from "../messages/version.ts";
import type { DmaServer } from "./dma-server.ts";
import type { Link } from "./link.ts";

/** The client's part that asks. */
export interface IommuOwner {
  readonly name: string;
  readonly link: Link;
  readonly server: Capabilities;
  readonly memory: DmaServer;
  /** The server has to be listened to for requests of its own, from now on. */
  readonly onMessagesNeeded: () => void;
}

/** An IOMMU whose mappings a server knows: memory with a file by its descriptor, other memory by messages. */
export class VfioUserIommu implements Iommu {
  readonly name: string;
  readonly pageSize: number;
  readonly ranges = [];
  readonly maxMappings: number;
  /** Nothing is pinned. */
  readonly accountsMemlock = false;
  readonly mapsDeviceMemory = false;
  readonly mapsFiles = true;
  readonly exclusive = true;
  readonly #owner: () => IommuOwner;

  /** @param owner asked each time: a client that has connected again has another link */
  constructor(owner: () => IommuOwner) {
    const { name, server } = owner();
    this.name = `DMA of ${name}`;
    this.pageSize = Math.max(4096, lowestBit(server.pageSizes));
    this.maxMappings = server.maxDmaMaps;
    this.#owner = owner;
  }

  map(mapping: IommuMapping): void {
    const { link, memory, onMessagesNeeded } = this.#owner();
    sendMap(link, mapping);
    const neededBefore = memory.needsMessages;
    memory.add(mapping);
    if (!mapping.file && !neededBefore) onMessagesNeeded();
  }

  /** A device that has gone reaches nothing any more: that is no failure. */
  unmap(iova: number, size: number): number {
    const { link, memory } = this.#owner();
    const range = { base: iova, size };
    if (!link.gone && memory.has(iova, size)) sendUnmap(link, iova, size);
    return memory.remove(range);
  }

  unmapAll(): number {
    const { memory } = this.#owner();
    return memory.mappings.reduce((sum, { iova, size }) => sum + this.unmap(iova, size), 0);
  }

  /** Nothing is held but by the client. */
  [Symbol.dispose](): void {}
}

/** DMA_MAP. @throws VfioError as the server refuses it */
export function sendMap(link: Link, { iova, size, readable, writable, file }: IommuMapping): void {
  const { view, outAt } = link.request;
  const flags = (readable ? dmaFlag.read : 0) + (writable ? dmaFlag.write : 0);
  dmaMap.encode(view, outAt + bodyAt, {
    argsz: dmaMap.size,
    flags,
    offset: file?.offset ?? 0,
    address: iova,
    size,
  });
  const what = (): string => `${commandName(Command.dmaMap)} of ${size} bytes at ${hex(iova)}`;
  link.call(Command.dmaMap, dmaMap.size, what, file && [file.fd]);
}

function sendUnmap(link: Link, iova: number, size: number): void {
  const { view, outAt } = link.request;
  dmaUnmap.encode(view, outAt + bodyAt, { argsz: dmaUnmap.size, flags: 0, address: iova, size });
  const what = (): string => `${commandName(Command.dmaUnmap)} of ${size} bytes at ${hex(iova)}`;
  link.call(Command.dmaUnmap, dmaUnmap.size, what);
}

function lowestBit(value: number): number {
  let bit = 1;
  while (value >= bit && Math.floor(value / bit) % 2 === 0) bit *= 2;
  return bit;
}
