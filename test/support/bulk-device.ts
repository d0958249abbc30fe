// A device that does DMA of any size when it is told to, and tells what came of it: for a server's thread.
import type { DeviceBackend } from "../../src/device/seam/backend.ts";
import type { DeviceEnvironment } from "../../src/device/seam/device-memory.ts";
import { errnoOf } from "../../src/device/vfio-user/refusals.ts";
import { readU32 } from "./raw-peer.ts";
import { SocketDevice } from "./socket-device.ts";

/** Where its DMA begins. */
export const bulkIova = 0x10000;
/** Registers of BAR0 besides those of `SocketDevice`, 32 bits each. */
export const bulkRegister = {
  /** As many bytes as are written here are read from memory, or written there, all `bulkByte`. */
  read: 0x20,
  write: 0x24,
  /** A read here reads memory, and gives that. */
  atRead: 0x28,
  /** The errno of the last order, 0 for one that was done, all ones before. */
  errno: 0x30,
  /** Bytes of the last order that was done. */
  length: 0x34,
  /** The place in them, and what is there. */
  place: 0x38,
  byte: 0x3c,
  /** What is written here is kept, after a read of memory. */
  echo: 0x40,
} as const;
export const bulkByte = 0xab;
export const noOrder = 0xffffffff;

class BulkDevice extends SocketDevice {
  readonly #memory: DeviceEnvironment["memory"];
  #data = new Uint8Array();
  #place = 0;

  constructor(environment: DeviceEnvironment) {
    super(environment);
    this.#memory = environment.memory;
    this.#tell(noOrder);
  }

  #tell(errno: number): void {
    this.bar0.setUint32(bulkRegister.errno, errno, true);
    this.bar0.setUint32(bulkRegister.length, this.#data.length, true);
  }

  override read(index: number, offset: number, data: Uint8Array): void {
    if (index === 0 && offset === bulkRegister.atRead) return this.#memory.read(bulkIova, data);
    if (index === 0 && offset === bulkRegister.byte) data[0] = this.#data[this.#place] ?? 0xff;
    else super.read(index, offset, data);
  }

  override write(index: number, offset: number, data: Uint8Array): void {
    const value = data.length === 4 ? readU32(data, 0) : 0;
    if (index === 0 && offset === bulkRegister.place) this.#place = value;
    else if (index === 0 && offset === bulkRegister.echo) {
      this.#memory.read(bulkIova, new Uint8Array(1));
      super.write(index, offset, data);
    } else if (index === 0 && (offset === bulkRegister.read || offset === bulkRegister.write))
      this.#transfer(offset, new Uint8Array(value));
    else super.write(index, offset, data);
  }

  #transfer(order: number, bytes: Uint8Array<ArrayBuffer>): void {
    try {
      if (order === bulkRegister.read) this.#memory.read(bulkIova, bytes);
      else this.#memory.write(bulkIova, bytes.fill(bulkByte));
      this.#data = bytes;
      this.#tell(0);
    } catch (error) {
      this.#tell(errnoOf(error));
      throw error;
    }
  }
}

export default (environment: DeviceEnvironment): DeviceBackend => new BulkDevice(environment);
