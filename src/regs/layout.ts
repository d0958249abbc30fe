import { allOnesText, readsAllOnes } from "./answers.ts";
import { unknownExtended, unknownStandard, type CapabilityType } from "./capability.ts";
import type { RegisterBlock } from "./map.ts";
import {
  bridgeHeader,
  bridgeHeaderWithoutBist,
  cardbusHeader,
  cardbusHeaderStart,
  conventionalBridgeHeader,
  conventionalBridgeHeaderWithoutBist,
  conventionalEndpointHeader,
  conventionalEndpointHeaderWithoutBist,
  endpointHeader,
  endpointHeaderWithoutBist,
  unknownHeader,
} from "./maps/header.ts";
import { capabilityId } from "./maps/ids.ts";
import { capabilityType } from "./maps/index.ts";
import {
  extendedEnd,
  standardEnd,
  walkCapabilities,
  walkExtendedCapabilities,
  type FoundCapability,
  type Malformation,
} from "./walk.ts";
import { hex } from "./hex-text.ts";
import { GappedView, isUnknown, noGaps, type Gaps } from "./gaps.ts";

/** A capability where it lies, with the map that fits it. */
export interface LocatedCapability extends FoundCapability {
  /** Short name; `unknown` for an ID without a map. */
  readonly name: string;
  /** What this package knows of it; undefined: nothing. */
  readonly type: CapabilityType | undefined;
  /** Its registers, as far as they are known. */
  readonly map: RegisterBlock;
  /** Bytes up to the next capability or the end of the space: the most that it can take. */
  readonly limit: number;
}

/**
 * Whether no more of a capability is described than its head: its body, whose length nothing states, is the device's own. A Null
 * Capability has none.
 */
export const isHeadOnly = ({ id, extended, map }: LocatedCapability): boolean =>
  id !== capabilityId.null && map.size === (extended ? unknownExtended : unknownStandard).size;

/** Bytes up to the end of the last register. */
const describedBytes = (map: RegisterBlock): number =>
  Math.max(0, ...Object.values(map.registers).map(({ at, width }) => at + width / 8));

/**
 * First byte and end, in config space, of what lies behind the last register of a capability. One of which no more than the head is described states no
 * length: it ends at the next one at the latest.
 */
export function bodyOf(capability: LocatedCapability): [from: number, to: number] {
  const { map, limit, offset } = capability;
  const described = describedBytes(map);
  const size = isHeadOnly(capability) ? limit : Math.min(limit, map.size);
  return [offset + described, offset + size];
}

/** Everything that a config space image holds, found once. */
export interface ConfigLayout {
  /** Undefined for a header that is of none of the types 0 to 2, or of which nobody read the type. */
  readonly header: RegisterBlock | undefined;
  /** In list order, the standard ones first. */
  readonly capabilities: readonly LocatedCapability[];
  /** What is wrong with its lists; none: all is well. */
  readonly malformations: readonly Malformation[];
}

/**
 * Finds the header and every capability of a config space image of at most 4096 bytes. Never throws for its content.
 * @param gaps what of it nobody read
 */
export function layoutOf(config: Uint8Array, gaps: Gaps = noGaps): ConfigLayout {
  const standard = walkCapabilities(config, gaps);
  const extended = walkExtendedCapabilities(config, gaps);
  const malformations = [...standard.malformations, ...extended.malformations];
  if (config.length < 64)
    malformations.unshift({
      kind: "truncated",
      offset: 0,
      message: `the header takes 64 bytes, but only ${config.length} are there`,
    });
  if (readsAllOnes(config, gaps))
    malformations.unshift({ kind: "all-ones", offset: 0, message: allOnesText });
  const found = [...standard.found, ...extended.found];
  // Where a pointer points something starts, even if nothing that counts is found there.
  const starts = found.flatMap(({ offset, next }) => [offset, next & 0xffc]).sort((a, b) => a - b);
  const watched = gaps.length === 0 ? undefined : new GappedView(config, gaps);
  const memory = watched ?? new DataView(config.buffer, config.byteOffset, config.byteLength);
  const capabilities = found.map((capability): LocatedCapability => {
    const { id, offset, extended: isExtended } = capability;
    const end = Math.min(
      config.length,
      isExtended ? extendedEnd : standardEnd,
      starts.find((start) => start > offset) ?? Infinity,
    );
    const limit = end - offset;
    const type = capabilityType(id, isExtended);
    const unknown = isExtended ? unknownExtended : unknownStandard;
    let map: RegisterBlock = unknown;
    if (type) {
      if (watched) watched.missed = false;
      const fit = type.layout(memory, offset, limit);
      // By bytes that nobody read no capability is laid out: of such a one there is the head.
      if (watched?.missed) map = unknown;
      else if (fit.size <= limit) map = fit;
      else
        malformations.push({
          kind: config.length - offset < fit.size ? "truncated" : "overlap",
          offset,
          message: `${type.name} at ${hex(offset)} takes ${fit.size} bytes, but only ${limit} are there`,
        });
    }
    return { ...capability, name: type?.name ?? "unknown", type, map, limit };
  });
  const { at } = unknownHeader.registers.headerType;
  const isTyped = config.length > at && !isUnknown(gaps, at, 1);
  return { header: isTyped ? headerOf(config, found) : undefined, capabilities, malformations };
}

/**
 * The built-in self test changes its register by itself only where there is one, and what only conventional PCI lets software
 * write, PCI Express hardwires to 0.
 */
function headerOf(config: Uint8Array, found: readonly FoundCapability[]): RegisterBlock | undefined {
  const bist = (config[0x0f]! & 0x80) !== 0;
  const kind = config[0x0e]! & 0x7f;
  if (kind === 2) return config.length >= cardbusHeader.size ? cardbusHeader : cardbusHeaderStart;
  const express = found.some(({ id, extended }) => !extended && id === capabilityId.express);
  if (kind === 0) {
    if (express) return bist ? endpointHeader : endpointHeaderWithoutBist;
    return bist ? conventionalEndpointHeader : conventionalEndpointHeaderWithoutBist;
  }
  if (kind !== 1) return undefined;
  if (express) return bist ? bridgeHeader : bridgeHeaderWithoutBist;
  return bist ? conventionalBridgeHeader : conventionalBridgeHeaderWithoutBist;
}
