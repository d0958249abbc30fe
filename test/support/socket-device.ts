// A device to be served in tests: what a client can ask for, all of it in one. BAR0 traps, BAR1 can be mapped.
import { Eventfd, MemoryFile, VfioError, type Mapping } from "../../src/ffi/index.ts";
import type { DeviceBackend } from "../../src/device/seam/backend.ts";
import type { DeviceEnvironment } from "../../src/device/seam/device-memory.ts";
import { absentIrq, type IrqInfo, type IrqRequest } from "../../src/regs/vfio/irqs.ts";
import { absentRegion, type RegionInfo } from "../../src/regs/vfio/regions.ts";

/** Registers of BAR0, in bytes. */
export const socketRegister = {
  id: 0x00,
  /** Reads as the complement of what was written. */
  complement: 0x04,
  address: 0x08,
  length: 0x10,
  /** Bits 0 to 7: 1 memory to the buffer, 2 the buffer to memory, 3 only an interrupt; from 8 on: the vector. */
  command: 0x14,
  /** 0 after success, else the errno; `socketBusy` before. */
  status: 0x18,
  /** How often the device was written to. */
  writes: 0x1c,
  buffer: 0x800,
} as const;
export const socketBusy = 0xffffffff;
export const socketDeviceId = 0xbeef0001;
const bufferSize = 0x800;
const vectors = 4;

const region = (index: number, size: number, mappable = false): RegionInfo => ({
  ...absentRegion(index),
  size,
  readable: true,
  writable: true,
  mappable,
});

/** The device: 1234:beef, MSI-X with four vectors. */
export class SocketDevice implements DeviceBackend {
  readonly name = "socket device";
  readonly resettable = true;
  readonly regions: readonly RegionInfo[];
  readonly irqs: readonly IrqInfo[] = [
    { ...absentIrq(0), count: 1, eventfd: true, maskable: true, automasked: true },
    absentIrq(1),
    { ...absentIrq(2), count: vectors, eventfd: true },
    absentIrq(3),
    absentIrq(4),
  ];
  readonly config = new Uint8Array(256);
  readonly bar0 = new DataView(new ArrayBuffer(4096));
  readonly #file = new MemoryFile({ size: 3 * 4096, name: "BAR1" });
  readonly #bar1: Mapping;
  readonly #events = new Map<string, Eventfd>();
  readonly requests: IrqRequest[] = [];
  readonly #environment: DeviceEnvironment;
  resets = 0;

  constructor(environment: DeviceEnvironment) {
    this.#environment = environment;
    const sparse = [
      { offset: 0, size: 4096 },
      { offset: 8192, size: 4096 },
    ];
    this.regions = [
      region(0, 4096),
      { ...region(1, 3 * 4096, true), sparse },
      ...[2, 3, 4, 5, 6].map(absentRegion),
      region(7, 256),
    ];
    this.#bar1 = this.#file.map();
    const config = new DataView(this.config.buffer);
    config.setUint32(0, 0xbeef1234, true);
    config.setUint8(0x0b, 0xff);
    config.setUint16(0x06, 0x10, true);
    config.setUint8(0x34, 0x40);
    config.setUint8(0x40, 0x11);
    config.setUint16(0x42, vectors - 1, true);
    config.setUint32(0x44, 0x400, true);
    config.setUint32(0x48, 0x600, true);
    this.bar0.setUint32(0, socketDeviceId, true);
  }

  /** Eventfds that the device holds, as `index.vector`. */
  get armed(): string[] {
    return [...this.#events.keys()];
  }

  read(index: number, offset: number, data: Uint8Array): void {
    if (index === 7) data.set(this.config.subarray(offset, offset + data.length));
    else if (index === 1) this.#bar1.read(offset, data);
    else if (index === 0) data.set(new Uint8Array(this.bar0.buffer, offset, data.length));
    else throw new VfioError("no such region", { code: "EINVAL" });
  }

  write(index: number, offset: number, data: Uint8Array): void {
    if (index === 7) return this.config.set(data, offset);
    if (index === 1) return this.#bar1.write(offset, data);
    if (index !== 0) throw new VfioError("no such region", { code: "EINVAL" });
    if (offset === socketRegister.id) throw new VfioError("the ID is read-only", { code: "EPERM", errno: 1 });
    this.bar0.setUint32(socketRegister.writes, this.bar0.getUint32(socketRegister.writes, true) + 1, true);
    new Uint8Array(this.bar0.buffer).set(data, offset);
    const value = data.length === 4 ? new DataView(data.buffer, data.byteOffset).getUint32(0, true) : 0;
    if (offset === socketRegister.complement) this.bar0.setUint32(offset, ~value, true);
    if (offset === socketRegister.command) this.#command(value);
  }

  #command(command: number): void {
    let status = 0;
    this.bar0.setUint32(socketRegister.status, socketBusy, true);
    try {
      this.#transfer(command & 0xff);
    } catch (error) {
      status = error instanceof VfioError ? (error.errno ?? 5) : 5;
    }
    this.bar0.setUint32(socketRegister.status, status, true);
    this.#events.get(`2.${command >>> 8}`)?.signal();
    if (command >>> 8 === 0) this.#events.get("0.0")?.signal();
  }

  #transfer(kind: number): void {
    const at = Number(this.bar0.getBigUint64(socketRegister.address, true));
    const length = Math.min(this.bar0.getUint32(socketRegister.length, true), bufferSize);
    const buffer = new Uint8Array(this.bar0.buffer, socketRegister.buffer, length);
    if (kind === 1) this.#environment.memory.read(at, buffer);
    if (kind === 2) this.#environment.memory.write(at, buffer);
  }

  map(): never {
    throw new VfioError("mapped by clients alone", { code: "EOPNOTSUPP" });
  }

  regionFile(index: number): { fd: number; offset: number } | undefined {
    return index === 1 ? { fd: this.#file.fd, offset: 0 } : undefined;
  }

  setIrqs(request: IrqRequest): void {
    const { index, start, data, action } = request;
    this.requests.push(request);
    const key = (i: number): string => `${index}.${start + i}`;
    const put = (name: string, fd: number): void => {
      this.#events.get(name)?.[Symbol.dispose]();
      this.#events.delete(name);
      if (fd >= 0) this.#events.set(name, new Eventfd(fd));
    };
    if (action !== "trigger") return;
    if (data.kind === "eventfd") data.fds.forEach((fd, i) => put(key(i), fd));
    else if (data.kind === "none" && data.count === 0)
      for (const name of [...this.#events.keys()].filter((one) => one.startsWith(`${index}.`))) put(name, -1);
    else if (data.kind === "none") for (let i = 0; i < data.count; i++) this.#events.get(key(i))?.signal();
    else data.values.forEach((value, i) => value && this.#events.get(key(i))?.signal());
  }

  reset(): void {
    this.resets++;
    new Uint8Array(this.bar0.buffer).fill(0);
    this.bar0.setUint32(0, socketDeviceId, true);
  }

  probeFeature(): undefined {}

  [Symbol.dispose](): void {
    for (const one of this.#events.values()) one[Symbol.dispose]();
    this.#events.clear();
    this.#bar1[Symbol.dispose]();
    this.#file[Symbol.dispose]();
  }
}

/** For a server's thread. */
export default (environment: DeviceEnvironment): DeviceBackend => new SocketDevice(environment);
