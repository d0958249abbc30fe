// Devices of one kind: their config spaces differ in nothing but what tells one device from another. What is worked out of a space
// is then the same for each of them, and the kinds that were seen last are kept with it.
import {
  extendedCapabilityId,
  extendedStart,
  layoutOf,
  serialNumberCapability,
  standardStart,
  unknownExtended,
  type ConfigLayout,
  type LocatedCapability,
  type RegisterReference,
} from "../../regs/index.ts";
import { barTypeMask } from "./bars.ts";
import { offsetOf, type Located } from "./config-offset.ts";
import { barRegisters, headerLayout, interruptLine, romRegister } from "./header-registers.ts";

/** Kinds that are kept: a device's recording, and each space that a host makes of it, is one. */
const kept = 32;
const serialNumber = serialNumberCapability.register("serialNumber");

/** From byte `start` up to byte `end`. */
interface Run {
  readonly start: number;
  readonly end: number;
}

/** What config spaces of one kind have in common. Shared: nobody may change it. */
export class ConfigKind {
  /** As the first of them was. */
  readonly config: Uint8Array;
  /** The same, for register maps. */
  readonly view: DataView;
  readonly layout: ConfigLayout;
  /** Byte behind the last one that is described. From there on they are a device's own, too. */
  readonly end: number;
  /** Registers of addresses: of BARs, whose kind is the same in all, and of the ROM. */
  readonly addresses: readonly Run[];
  /** Static registers of which each device has its own values. */
  readonly own: readonly Run[];
  /** Bytes that are the same in all. */
  readonly #common: readonly Run[];
  readonly #bars: readonly number[];

  /** @param config of a first device */
  constructor(config: Uint8Array) {
    this.config = config.slice();
    this.view = new DataView(this.config.buffer);
    this.layout = layoutOf(this.config);
    const varies = hasAddresses(this.view, this.layout);
    this.own = varies ? ownRuns(this.config, this.layout) : [];
    this.#bars = varies ? barRegisters.map((register) => offsetOf(register)) : [];
    this.addresses = varies ? [...barRegisters, romRegister].map((register) => runOf(register)) : [];
    this.end = describedEnd(this.config, this.layout);
    this.#common = between([...this.addresses, ...this.own], this.end);
  }

  /** Whether a space is of the kind. */
  has(config: Uint8Array): boolean {
    const mine = this.config;
    if (config.length !== mine.length) return false;
    for (const { start, end } of this.#common)
      for (let at = start; at < end; at++) if (config[at] !== mine[at]) return false;
    for (const at of this.#bars) if ((config[at]! ^ mine[at]!) & barTypeMask) return false;
    for (const run of this.own) if (!settles(config, run)) return false;
    return true;
  }
}

/** Whether it is a device with BARs, of which all is as it should be: a malformed space is alone of its kind. */
const hasAddresses = (view: DataView, { malformations }: ConfigLayout): boolean =>
  view.byteLength > standardStart && malformations.length === 0 && headerLayout.read(view) === "endpoint";

/** What lies behind the last capability decides nothing, where all is well. */
function describedEnd({ length }: Uint8Array, { capabilities, malformations }: ConfigLayout): number {
  if (malformations.length > 0) return length;
  let end = Math.min(length, extendedStart + unknownExtended.size);
  for (const { offset, next, type, map, limit } of capabilities)
    // A list may end at a head of zeros, which is no capability.
    end = Math.max(end, offset + (type ? map.size : limit), next + unknownExtended.size);
  return Math.min(end, length);
}

function ownRuns(config: Uint8Array, { capabilities }: ConfigLayout): Run[] {
  const isSerial = ({ id, extended, map }: LocatedCapability): boolean =>
    extended && id === extendedCapabilityId.serialNumber && map === serialNumberCapability;
  const serials = capabilities.filter(isSerial).map((capability) => runOf(serialNumber, capability));
  return [runOf(interruptLine), ...serials].filter((run) => settles(config, run));
}

const runOf = (register: Pick<RegisterReference, "at" | "size">, capability?: Located): Run => {
  const start = offsetOf(register, capability);
  return { start, end: start + register.size };
};

/** Whether none of its dwords is all ones, which means something else than another value would. */
function settles(config: Uint8Array, { start, end }: Run): boolean {
  for (let at = start - (start & 3); at < end; at += 4)
    if ((config[at]! & config[at + 1]! & config[at + 2]! & config[at + 3]!) === 0xff) return false;
  return true;
}

/** What lies between runs. */
function between(runs: readonly Run[], size: number): Run[] {
  const found: Run[] = [];
  let from = 0;
  for (const { start, end } of runs.toSorted((a, b) => a.start - b.start)) {
    if (start > from) found.push({ start: from, end: start });
    from = end;
  }
  if (size > from) found.push({ start: from, end: size });
  return found;
}

/** The newest first. */
const kinds: ConfigKind[] = [];

/** The kind of a config space of any length. */
export function kindOf(config: Uint8Array): ConfigKind {
  for (let i = 0; i < kinds.length; i++) {
    const kind = kinds[i]!;
    if (!kind.has(config)) continue;
    for (let at = i; at > 0; at--) kinds[at] = kinds[at - 1]!;
    kinds[0] = kind;
    return kind;
  }
  const kind = new ConfigKind(config);
  kinds.unshift(kind);
  if (kinds.length > kept) kinds.length = kept;
  return kind;
}
