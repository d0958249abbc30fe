// Some extended capabilities are laid out by what the PCI Express Capability says of the function.
import { gapsOf } from "../gaps.ts";
import { walkCapabilities } from "../walk.ts";
import { capabilityId } from "./ids.ts";

/** Device/Port Type, PCI Express Base Specification 7.5.3.2. */
export const portTypes = {
  endpoint: 0,
  legacyEndpoint: 1,
  rootPort: 4,
  upstreamPort: 5,
  downstreamPort: 6,
  bridgeToPci: 7,
  bridgeFromPci: 8,
  integratedEndpoint: 9,
  eventCollector: 10,
} as const;

export interface PortFacts {
  /** One of `portTypes`, or another number below 16; undefined without a PCI Express Capability. */
  readonly type: number | undefined;
  /** Lanes by Maximum Link Width, 0 to 32. */
  readonly lanes: number;
  /** End-End TLP Prefix Supported of Device Capabilities 2. */
  readonly tlpPrefix: boolean;
}

/** Reads what the PCI Express Capability says; a cut off register counts as zero. */
export function portFacts(config: DataView): PortFacts {
  const bytes = new Uint8Array(config.buffer, config.byteOffset, config.byteLength);
  const express = walkCapabilities(bytes, gapsOf(config)).found.find(({ id }) => id === capabilityId.express);
  if (!express) return { type: undefined, lanes: 0, tlpPrefix: false };
  const read = (at: number): number => {
    const offset = express.offset + at;
    return offset + 4 <= config.byteLength ? config.getUint32(offset, true) : 0;
  };
  const flags = read(0x00) >>> 16;
  return {
    type: (flags >>> 4) & 0xf,
    lanes: Math.min(32, (read(0x0c) >>> 4) & 0x3f),
    tlpPrefix: (flags & 0xf) >= 2 && (read(0x24) & 0x0020_0000) !== 0,
  };
}
