// From the address of a guest's access to the register of config space that it means: ECAM, and ports 0xCF8 and 0xCFC.
// The function number counts in both, for reads and for writes: functions 1 to 7 are not function 0.
import type { Bdf } from "./bdf.ts";

/** A place in the config space of one PCI segment. */
export interface ConfigAddress extends Omit<Bdf, "segment"> {
  /** In bytes: 0 to 4095 through ECAM, 0 to 255 through the ports. */
  readonly offset: number;
}

/** Bytes of ECAM of a segment with all of its 256 buses. */
export const ecamSize = 0x1000_0000;
/** First of the four ports of CONFIG_ADDRESS, PCI Local Bus Specification 3.0, section 3.2.2.3.2. */
export const configAddressPort = 0xcf8;
/** First of the four ports of CONFIG_DATA. */
export const configDataPort = 0xcfc;

function checkInteger(value: number, name: string, max: number): void {
  if (typeof value !== "number") throw new TypeError(`${name} must be a number, not ${typeof value}`);
  if (!Number.isInteger(value) || value < 0 || value > max)
    throw new RangeError(`${name} must be an integer from 0 to ${max}, not ${value}`);
}

/**
 * Whether a bus makes accesses of this width. A guest can cause any from 1 to 8: KVM splits what crosses a page, and hands
 * over the pieces.
 * @throws TypeError, RangeError for what is no width of an access at all
 */
function isNatural(width: number): boolean {
  checkInteger(width, "width", 8);
  if (width === 0) throw new RangeError("width must be an integer from 1 to 8, not 0");
  return width === 1 || width === 2 || width === 4 || width === 8;
}

/**
 * Decodes an access to ECAM (PCI Express Base Specification 7.2.2): bus in bits 27:20 of the offset, device 19:15,
 * function 14:12, register 11:0.
 * @param offset of the access from the base of the segment's ECAM, in bytes
 * @param width of the access in bytes, 1 to 8
 * @returns undefined where the access is beyond bus 255, reaches into the next function, or has not 1, 2, 4 or 8 bytes: no
 * device answers it, so a read gives all ones and a write is dropped
 * @throws TypeError, RangeError for what no guest can cause: an offset or a width that is not an integer or out of range
 */
export function decodeEcam(offset: number, width = 1): ConfigAddress | undefined {
  checkInteger(offset, "ECAM offset", Number.MAX_SAFE_INTEGER);
  // Below 2^28 from here on: the bitwise operators see all of it.
  if (!isNatural(width) || offset >= ecamSize || (offset & 0xfff) + width > 0x1000) return undefined;
  return {
    bus: offset >> 20,
    device: (offset >> 15) & 0x1f,
    function: (offset >> 12) & 7,
    offset: offset & 0xfff,
  };
}

/** Offset in ECAM, in bytes, of a register. @throws TypeError, RangeError where a part is out of its range */
export function encodeEcam(address: ConfigAddress): number {
  checkInteger(address.bus, "bus", 0xff);
  checkInteger(address.device, "device", 0x1f);
  checkInteger(address.function, "function", 7);
  checkInteger(address.offset, "offset", 0xfff);
  return (address.bus << 20) | (address.device << 15) | (address.function << 12) | address.offset;
}

/** Bits that the register keeps: enable 31, bus 23:16, device 15:11, function 10:8, register 7:2; the others read 0. */
const latched = 0x80ff_fffc;

/**
 * Configuration mechanism #1 (PCI Local Bus Specification 3.0, section 3.2.2.3.2): a dword written to port 0xCF8 selects
 * a register, accesses to ports 0xCFC to 0xCFF then read or write it.
 *
 * Only a dword at 0xCF8 exactly is an access to CONFIG_ADDRESS. The host bridge passes on everything narrower at 0xCF8 to
 * 0xCFB as an ordinary I/O access (port 0xCF9 is the reset control register of a PC): `write` and `read` then say that the
 * access is not theirs and the VMM looks further.
 */
export class ConfigAddressPort {
  #value: number;

  /**
   * The ports as they are after a reset, or as they were saved.
   * @param value of CONFIG_ADDRESS to start with, as `value` of a saved one gave it; 0 after a reset
   * @throws RangeError unless it has 32 bits at most
   */
  constructor(value = 0) {
    checkInteger(value, "CONFIG_ADDRESS", 0xffff_ffff);
    this.#value = (value & latched) >>> 0;
  }

  /** CONFIG_ADDRESS, 32 bits, as a read of it shows. */
  get value(): number {
    return this.#value;
  }

  /**
   * A guest's write to a port.
   * @param width in bytes, 1 to 8
   * @param value of the access, unsigned; of no interest where it is not to CONFIG_ADDRESS
   * @returns false where it is no access to CONFIG_ADDRESS; then nothing has changed
   * @throws TypeError, RangeError for what no guest can cause
   */
  write(port: number, width: number, value: number): boolean {
    if (!this.#isAddress(port, width)) return false;
    checkInteger(value, "value", 0xffff_ffff);
    this.#value = (value & latched) >>> 0;
    return true;
  }

  /** A guest's read of a port: CONFIG_ADDRESS, or undefined where the access is not to it. @throws TypeError, RangeError */
  read(port: number, width: number): number | undefined {
    return this.#isAddress(port, width) ? this.#value : undefined;
  }

  /**
   * The register that a data access means.
   * @param port of the access; its low two bits choose the byte in the dword that 0xCF8 selects
   * @param width in bytes, 1 to 8
   * @returns undefined where the access is not to 0xCFC to 0xCFF, reaches past 0xCFF, has not 1, 2 or 4 bytes, or
   * configuration is not enabled (bit 31): such an access is ordinary I/O
   * @throws TypeError, RangeError for what no guest can cause
   */
  target(port: number, width: number): ConfigAddress | undefined {
    checkInteger(port, "port", 0xffff);
    if (
      !isNatural(width) ||
      port < configDataPort ||
      port + width > configDataPort + 4 ||
      this.#value < 0x8000_0000
    )
      return undefined;
    const value = this.#value;
    return {
      bus: (value >> 16) & 0xff,
      device: (value >> 11) & 0x1f,
      function: (value >> 8) & 7,
      offset: (value & 0xfc) + (port - configDataPort),
    };
  }

  #isAddress(port: number, width: number): boolean {
    checkInteger(port, "port", 0xffff);
    return isNatural(width) && port === configAddressPort && width === 4;
  }
}
