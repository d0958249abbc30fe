// An NVMe disk of examples/, in three places: with memory that is copied, memory that is mapped, and over a socket.
import { closeSync, openSync, readFileSync, truncateSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import {
  LocalEnvironment,
  LocalMemory,
  type DeviceEnvironment,
  type DmaMedium,
  type ModelledDevice,
} from "../../src/index.ts";
import { Mapping, MemoryFile } from "../../src/ffi/index.ts";
import { connectDevice, serveDevice } from "../../src/device/vfio-user/index.ts";
import type { DeviceBackend } from "../../src/device/seam/backend.ts";
import { nvme } from "../../examples/devices/nvme/nvme.ts";
import { NvmeDriver } from "./nvme-driver.ts";
import { Sandbox } from "./sandbox.ts";

export const base = 0x1_0000_0000;
export const memorySize = 4 * 2 ** 20;
export const diskSize = 2 ** 20;

export interface Disk extends AsyncDisposable {
  readonly device: DeviceBackend;
  readonly driver: NvmeDriver;
  readonly path: string;
}

/** Memory that a file moves data to and from. */
export class MappedMemory extends LocalMemory implements Disposable {
  readonly #mapping: Mapping;
  /** The same memory: of a mapping, unlike that of an array, there are addresses. */
  readonly mapped: Uint8Array;

  constructor(size: number, at: number) {
    super(16, at);
    this.#mapping = new Mapping({ size, name: "memory" });
    this.mapped = this.#mapping.view(0, size);
  }

  #part(iova: number, size: number): Uint8Array {
    if (iova < this.base || iova + size > this.base + this.mapped.length) return super.view(iova, size);
    return this.mapped.subarray(iova - this.base, iova - this.base + size);
  }
  override read(iova: number, into: Uint8Array): void {
    into.set(this.#part(iova, into.length));
  }
  override write(iova: number, from: Uint8Array): void {
    this.#part(iova, from.length).set(from);
  }
  override address(iova: number, size: number): undefined {
    const part = this.#part(iova, size);
    return (this.#mapping.address + (part.byteOffset - this.mapped.byteOffset)) as unknown as undefined;
  }
  override view(iova: number, size: number): Uint8Array {
    return this.#part(iova, size);
  }
  [Symbol.dispose](): void {
    this.#mapping[Symbol.dispose]();
  }
}

function disk(path: string): string {
  closeSync(openSync(path, "w"));
  truncateSync(path, diskSize);
  return path;
}

/** In this thread. @param medium in place of a file */
export function local(
  isMapped: boolean,
  medium?: (path: string) => DmaMedium,
): Disk & { readonly device: ModelledDevice } {
  const all = new DisposableStack();
  const box = all.use(new Sandbox());
  const path = disk(join(box.path, "disk"));
  const mapped = isMapped ? all.use(new MappedMemory(memorySize, base)) : undefined;
  const copied = new LocalMemory(isMapped ? 16 : memorySize, base);
  const environment = all.use(new LocalEnvironment(mapped ?? copied));
  const device = all.use(nvme({ namespaces: [medium?.(path) ?? path], serial: "TEST" })(environment));
  const driver = all.use(new NvmeDriver(device, mapped?.mapped ?? copied.bytes, base));
  return { device, driver, path, [Symbol.asyncDispose]: async () => all.dispose() };
}

/** In a thread of its own, at the other end of a socket. */
export async function served(): Promise<Disk> {
  await using all = new AsyncDisposableStack();
  const box = all.use(new Sandbox());
  const path = disk(join(box.path, "disk"));
  const socket = join(box.path, "socket");
  const module = new URL("../../examples/devices/nvme/nvme.ts", import.meta.url);
  const server = all.use(serveDevice(module, { socket }, { namespaces: [path], serial: "TEST" }));
  await server.ready;
  const file = all.use(new MemoryFile({ size: memorySize, name: "RAM" }));
  const memory = all.use(file.map());
  const device = all.use(connectDevice(socket, { timeout: 10_000 }));
  device.dma.map({ iova: base, size: memorySize, hva: memory.address, file: { fd: file.fd, offset: 0 } });
  const driver = all.use(new NvmeDriver(device, memory.view(0, memorySize), base));
  const moved = all.move();
  return { device, driver, path, [Symbol.asyncDispose]: () => moved.disposeAsync() };
}

export const ways: readonly [name: string, make: () => Disk | Promise<Disk>][] = [
  ["memory that is copied", () => local(false)],
  ["memory that is mapped", () => local(true)],
  ["a socket", served],
];

export const onDisk = (path: string, at: number, size: number): Uint8Array =>
  new Uint8Array(readFileSync(path).buffer).subarray(at, at + size);
export const putOnDisk = (path: string, bytes: Uint8Array): void => writeFileSync(path, bytes);
export type { DeviceEnvironment };
