import type { RegisterIo } from "../../regs/live.ts";
import type { DeviceBackend } from "./backend.ts";

/**
 * The registers of a region through the backend, one call an access, for register maps:
 * `endpointHeader.live(new RegionRegisters(device, RegionIndex.config))`. Slower than a mapping, and safe where that is
 * not: a device that does not decode memory is an error here, and a SIGBUS there. What the backend throws comes out.
 */
export class RegionRegisters implements RegisterIo {
  readonly #device: DeviceBackend;
  readonly #region: number;
  readonly #word = new DataView(new ArrayBuffer(4));
  readonly #bytes: readonly Uint8Array[];

  /** The registers of one region. @param region one of `RegionIndex`, or a BAR's number */
  constructor(device: DeviceBackend, region: number) {
    this.#device = device;
    this.#region = region;
    this.#bytes = [0, 1, 2, 3, 4].map((width) => new Uint8Array(this.#word.buffer, 0, width));
  }

  /** Reads a register. @param offset in bytes @param width 1, 2 or 4, in bytes, else RangeError */
  read(offset: number, width: number): number {
    this.#device.read(this.#region, offset, this.#accessed(width));
    if (width === 4) return this.#word.getUint32(0, true);
    return width === 2 ? this.#word.getUint16(0, true) : this.#word.getUint8(0);
  }

  /** Writes a register. @param value of as many bits, else RangeError */
  write(offset: number, width: number, value: number): void {
    const bytes = this.#accessed(width);
    if (typeof value !== "number") throw new TypeError(`a value is a number, not a ${typeof value}`);
    if (!Number.isInteger(value) || value < 0 || value >= 2 ** (8 * width))
      throw new RangeError(`${value} does not fit in ${8 * width} bits`);
    this.#word.setUint32(0, value, true);
    this.#device.write(this.#region, offset, bytes);
  }

  #accessed(width: number): Uint8Array {
    const bytes = width === 1 || width === 2 || width === 4 ? this.#bytes[width] : undefined;
    if (!bytes) throw new RangeError(`the width of an access must be 1, 2 or 4 bytes, not ${width}`);
    return bytes;
  }
}
