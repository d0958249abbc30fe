import { hex, hexDigits } from "./hex-text.ts";
/** Where a PCI function sits: `segment:bus:device.function`. */
export interface Bdf {
  /**
   * PCI segment group, which Linux calls a domain: 0 to 0xffffffff.
   * PCI's own have 16 bits; Linux numbers the domains it makes itself, as behind a VMD, from 0x10000 on.
   */
  readonly segment: number;
  /** 0 to 255. */
  readonly bus: number;
  /** 0 to 31. */
  readonly device: number;
  /** 0 to 7. */
  readonly function: number;
}

const pattern = /^(?:([0-9a-f]{1,8}):)?([0-9a-f]{1,2}):([0-9a-f]{1,2})\.([0-9a-f])$/i;

function check(name: string, value: unknown, limit: number): void {
  if (typeof value !== "number") throw new TypeError(`${name} must be a number, not ${typeof value}`);
  if (!Number.isInteger(value) || value < 0 || value > limit)
    throw new RangeError(`${name} must be an integer from 0 to ${hex(limit)}, not ${value}`);
}

function checkBdf(bdf: Bdf): void {
  check("segment", bdf.segment, 0xffffffff);
  check("bus", bdf.bus, 0xff);
  check("device", bdf.device, 0x1f);
  check("function", bdf.function, 7);
}

/**
 * Reads `0000:01:00.0`, or `01:00.0` of segment 0; hexadecimal, in either case.
 * @throws TypeError if it is no string; RangeError if it is no BDF, or the device is above 1f or the function above 7
 */
export function parseBdf(text: string): Bdf {
  if (typeof text !== "string") throw new TypeError(`a BDF must be a string, not ${typeof text}`);
  const parts = pattern.exec(text);
  const shown = JSON.stringify(text.length > 40 ? `${text.slice(0, 40)}...` : text);
  if (!parts)
    throw new RangeError(`${shown} is no BDF: it is written bus:device.function, as 01:00.0 or 0000:01:00.0`);
  const [segment = 0, bus, device, fn] = parts.slice(1).map((part) => parseInt(part ?? "0", 16));
  if (device! > 0x1f) throw new RangeError(`${shown} is no BDF: device ${hexDigits(device!, 2)} is above 1f`);
  if (fn! > 7) throw new RangeError(`${shown} is no BDF: function ${hexDigits(fn!)} is above 7`);
  return { segment, bus: bus!, device: device!, function: fn! };
}

/** Writes a BDF in full, as `0000:01:00.0`. @throws TypeError or RangeError for a part that does not fit */
export function formatBdf(bdf: Bdf): string {
  checkBdf(bdf);
  return `${hexDigits(bdf.segment, 4)}:${hexDigits(bdf.bus, 2)}:${hexDigits(bdf.device, 2)}.${bdf.function}`;
}

/**
 * Requester ID, 16 bits: bus 15:8, device 7:3, function 2:0 (PCI Express Base Specification 2.2.6.2).
 * @throws TypeError or RangeError for a part that does not fit
 */
export function requesterId(bdf: Bdf): number {
  checkBdf(bdf);
  return (bdf.bus << 8) | (bdf.device << 3) | bdf.function;
}

/** The BDF of a requester ID of 16 bits in a segment. @throws TypeError or RangeError for a number that does not fit */
export function bdfOfRequesterId(id: number, segment = 0): Bdf {
  check("requester ID", id, 0xffff);
  check("segment", segment, 0xffffffff);
  return { segment, bus: id >>> 8, device: (id >>> 3) & 0x1f, function: id & 7 };
}

/**
 * One number of 32 bits: segment 31:16, requester ID 15:0.
 * @throws RangeError for a segment of more than 16 bits, or a part that does not fit; TypeError for no number
 */
export function packBdf(bdf: Bdf): number {
  check("segment", bdf.segment, 0xffff);
  return bdf.segment * 0x10000 + requesterId(bdf);
}

/** What `packBdf` made. @throws TypeError or RangeError for what is no unsigned number of 32 bits */
export function unpackBdf(packed: number): Bdf {
  check("packed BDF", packed, 0xffffffff);
  return bdfOfRequesterId(packed % 0x10000, Math.floor(packed / 0x10000));
}
