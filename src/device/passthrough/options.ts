import type { DeviceEvent } from "../seam/events.ts";
import type { Tracer } from "../seam/trace.ts";
import { RegionIndex } from "../../regs/vfio/regions.ts";
import type { ConfigMirror } from "./config/config-mirrors.ts";
import type { PatchOptions } from "./config/patches.ts";

/** How one BAR is shown to the guest. */
export interface BarOptions {
  /**
   * Guest address that the guest finds it at, as for a device whose driver wants it where the host has it: a multiple of its
   * size in one of the platform's windows, free, below 4 GiB for a 32-bit one. A BAR that does not fit there has its attach
   * refused (`EADDRNOTAVAIL`).
   */
  readonly address?: number | undefined;
}

/** How a device is shown to its guest. All of it is optional. */
export interface AttachOptions extends PatchOptions {
  /**
   * Requester ID of the device in the guest (bus << 8 | device << 3 | function), for interrupt routes; 0 without it. A
   * snapshot keeps it, and a restore takes it from there unless it is given.
   */
  readonly requesterId?: number | undefined;
  /**
   * Whether the MSI-X table and PBA move into a half added to the table's BAR, so that the pages that they are in can be
   * mapped. `auto` (default): where such a page may hold other registers and the host can map it, and the larger BAR gets an
   * address. `always`: wherever the BAR can grow, as a restore needs it. `never`: such pages are trapped.
   */
  readonly msixRelocation?: "auto" | "always" | "never" | undefined;
  /**
   * Where the device shows its config space in a BAR as well: those pages stay trapped, and the model answers there. Without
   * it, the places of devices that are known to; `[]`: none.
   */
  readonly configMirrors?: readonly ConfigMirror[] | undefined;
  /** `hide`: the guest finds no expansion ROM, as where the VMM brings the firmware of the device. */
  readonly rom?: "hide" | undefined;
  /** Messages of MSI to offer at most, 1 to 32; the largest power of two that is no more. */
  readonly msiVectors?: number | undefined;
  /** Vectors of MSI-X to offer at most, 1 to 2048: for a VMM that has few interrupt routes for its guest. */
  readonly msixVectors?: number | undefined;
  /** Of single BARs, by region index: 0 to 5, 6 for the ROM. A restore takes none of it from its snapshot. */
  readonly bars?: Readonly<Record<number, BarOptions>> | undefined;
  /** BARs, by region index, that stay trapped although they could be mapped. */
  readonly excludeFromMapping?: readonly number[] | undefined;
  /** Whether other devices reach the BARs by DMA (default true); a failure is an event, never fatal. */
  readonly peerToPeer?: boolean | undefined;
  /**
   * Hears why the model did less than was asked; see `DeviceEvent`. It is called in the middle of what goes wrong, so it
   * must not call the device. What it throws reaches no caller of the device: it becomes an uncaught error.
   */
  readonly onEvent?: ((event: DeviceEvent) => void) | undefined;
  /**
   * Hears each guest access, each decision, each call of the backend and each action of the platform; see `traceFields`. It
   * must not call the device, and must not throw. Without it a trace costs one comparison an access.
   */
  readonly trace?: Tracer | undefined;
}

/** The guest addresses that a VMM asks for, by region index. */
export const askedAddresses = ({ bars = {} }: AttachOptions): ReadonlyMap<number, number> =>
  new Map(
    Object.entries(bars).flatMap(([region, { address }]) =>
      address === undefined ? [] : [[Number(region), address] as const],
    ),
  );

function checkBars(bars: NonNullable<AttachOptions["bars"]>): void {
  const isObject = (value: unknown): boolean =>
    typeof value === "object" && value !== null && !Array.isArray(value);
  if (!isObject(bars)) throw new TypeError('"bars" must be an object: of BARs by their numbers');
  for (const [region, options] of Object.entries(bars)) {
    if (!/^[0-6]$/.test(region))
      throw new RangeError(`"bars" has no ${region}: BARs are 0 to 5, the ROM is ${RegionIndex.rom}`);
    if (!isObject(options)) throw new TypeError(`"bars[${region}]" must be an object`);
    const { address } = options;
    if (address !== undefined) checkInteger(`bars[${region}].address`, address, 0, Number.MAX_SAFE_INTEGER);
  }
}

function checkMirrors(mirrors: readonly ConfigMirror[]): void {
  if (!Array.isArray(mirrors)) throw new TypeError('"configMirrors" must be a list');
  for (const [index, mirror] of mirrors.entries()) {
    const name = `configMirrors[${index}]`;
    if (typeof mirror !== "object" || mirror === null) throw new TypeError(`"${name}" must be an object`);
    const { bar, offset, size = 4096 } = mirror;
    checkInteger(`${name}.bar`, bar, RegionIndex.bar0, RegionIndex.bar5);
    checkInteger(`${name}.offset`, offset, 0, Number.MAX_SAFE_INTEGER - 4096);
    checkInteger(`${name}.size`, size, 4, 4096);
    if (offset % 4 !== 0 || size % 4 !== 0)
      throw new RangeError(`"${name}" must have whole dwords: offset ${offset}, size ${size}`);
  }
}

function checkInteger(name: string, value: unknown, min: number, max: number): void {
  if (typeof value !== "number") throw new TypeError(`"${name}" must be a number, not ${typeof value}`);
  if (!Number.isInteger(value) || value < min || value > max)
    throw new RangeError(`"${name}" must be an integer from ${min} to ${max}, not ${value}`);
}

const limits = { requesterId: [0, 0xffff], msiVectors: [1, 32], msixVectors: [1, 2048] } as const;

/** @throws TypeError, RangeError for numbers that cannot be; other options are checked where they are used */
export function checkOptions(options: AttachOptions): void {
  if (options.rom !== undefined && options.rom !== "hide")
    throw new RangeError(`"rom" must be "hide" or absent, not ${String(options.rom)}`);
  for (const name of ["requesterId", "msiVectors", "msixVectors"] as const) {
    const value = options[name];
    const [min, max] = limits[name];
    if (value !== undefined) checkInteger(name, value, min, max);
  }
  if (options.bars !== undefined) checkBars(options.bars);
  if (options.configMirrors !== undefined) checkMirrors(options.configMirrors);
}
