// Bus 0 with its host bridge: finds the function that an access to config space means, by either of the two ways of a PC.
import { ConfigAddressPort, decodeEcam, type ConfigAddress } from "bun-vfio";
import type { TrapBus, TrapTarget } from "bun-vfio/kvm";
import { lastSlot, memory, ports } from "../layout.ts";
import { resetPort } from "./power.ts";

/** What sits in a slot, as the bus sees it; `VfioPciDevice` is one. */
export interface PciFunction {
  configRead(offset: number, width: number): number;
  configWrite(offset: number, width: number, value: number): void;
}

/** A number in the bytes of an access, and back: at most 32 bits. */
export const numberOf = (data: Uint8Array): number =>
  data.reduceRight((value, byte) => value * 256 + byte, 0);
export function fill(data: Uint8Array, value: number): void {
  for (let i = 0; i < data.length; i++) data[i] = Math.floor(value / 256 ** i) & 0xff;
}

/** Vendor, device, class "host bridge"; everything else is 0, and nothing can be written. */
const bridgeRegisters = new Map([
  [0x00, 0x0d57_8086],
  [0x08, 0x0600_0000],
]);
const hostBridge: PciFunction = {
  configRead: (offset, width) => {
    const dword = bridgeRegisters.get(offset & ~3) ?? 0;
    return Math.floor(dword / 256 ** (offset & 3)) % 256 ** width;
  },
  configWrite: () => {},
};

export class PciBus {
  /** CONFIG_ADDRESS. */
  port = new ConfigAddressPort();
  readonly #functions = new Map<number, PciFunction>([[0, hostBridge]]);

  /** @param reset the reset register, which lies in the middle of CONFIG_ADDRESS, and is meant by every access of a byte */
  constructor(bus: TrapBus, reset: TrapTarget) {
    const { config } = ports;
    bus.insert("io", config.base, config.size, "PCI configuration", {
      ioRead: (port, data) => {
        const address = this.port.read(port, data.length);
        if (address !== undefined) fill(data, address);
        else if (port === resetPort) reset.ioRead?.(port, data);
        else this.#read(this.port.target(port, data.length), data);
      },
      ioWrite: (port, data) => {
        if (this.port.write(port, data.length, numberOf(data))) return;
        if (port === resetPort) reset.ioWrite?.(port, data);
        else this.#write(this.port.target(port, data.length), data);
      },
    });
    const { ecam } = memory;
    bus.insert("mmio", ecam.base, ecam.size, "PCI configuration", {
      mmioRead: (address, data) => this.#read(decodeEcam(address - ecam.base, data.length), data),
      mmioWrite: (address, data) => this.#write(decodeEcam(address - ecam.base, data.length), data),
    });
  }

  /** Puts a function into a slot, 1 to 31. @throws RangeError where there is none, or something in it */
  insert(slot: number, fn: PciFunction): void {
    if (!Number.isInteger(slot) || slot < 1 || slot > lastSlot || this.#functions.has(slot))
      throw new RangeError(`slot ${slot} is not there, or in use`);
    this.#functions.set(slot, fn);
  }

  /** Empties a slot: from now on nobody answers there. */
  remove(slot: number): void {
    if (slot !== 0) this.#functions.delete(slot);
  }

  /** Who answers; accesses of more than a dword nobody does. */
  #find(target: ConfigAddress | undefined, width: number): PciFunction | undefined {
    const isOurs = target?.bus === 0 && target.function === 0 && width <= 4;
    return isOurs ? this.#functions.get(target.device) : undefined;
  }
  #read(target: ConfigAddress | undefined, data: Uint8Array): void {
    const found = this.#find(target, data.length);
    if (found && target) fill(data, found.configRead(target.offset, data.length));
  }
  #write(target: ConfigAddress | undefined, data: Uint8Array): void {
    const found = this.#find(target, data.length);
    if (found && target) found.configWrite(target.offset, data.length, numberOf(data));
  }
}
