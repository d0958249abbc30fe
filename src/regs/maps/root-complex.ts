// What only functions of a root complex have.
import { extendedCapability, extendedHead, mapPerCount } from "../capability.ts";
import { composedBig } from "../derived.ts";
import { hexDigits } from "../hex-text.ts";
import { addressData, addressText } from "../size-text.ts";
import { hex, hwinit, ro, rw, volatile } from "../field.ts";
import { ownMap } from "../map.ts";
import { r16, r32, r64 } from "../register.ts";
import { aspm, aspmEnabled, l0sExitLatency, l1ExitLatency } from "./express-link.ts";
import { speeds, supportedSpeeds } from "./link-speeds.ts";
import { bitList } from "./bit-list.ts";
import { fitting, repeat } from "./repeat.ts";
import { extendedCapabilityId } from "./ids.ts";

const linksAt = 0x10;
const linkSize = 16;

/** Where a link leads: to a block of registers in memory, or to the config space of a function. */
type Target =
  | { readonly space: "memory"; readonly address: string }
  | {
      readonly space: "config";
      readonly bus: number;
      readonly device: number;
      readonly function: number;
      /** Of the config space in memory; 0 is the default one. */
      readonly base: string;
    };

/**
 * Link Address, PCI Express Base Specification 7.9.8.3.2: of a link to a config space an address as in ECAM, whose bits 2:0 say
 * how many bits the bus number has (0 is 8); above them is the base of the config space.
 */
function targetOf(address = 0n, type = 0n): Target {
  if (type === 0n) return { space: "memory", address: addressData(address & ~0xfffn) };
  const width = address & 7n || 8n;
  const field = (lo: bigint, bits: bigint): number => Number((address >> lo) & ((1n << bits) - 1n));
  return {
    space: "config",
    bus: field(20n, width),
    device: field(15n, 5n),
    function: field(12n, 3n),
    base: addressData((address >> (20n + width)) << (20n + width)),
  };
}

function targetText(target: Target): string {
  if (target.space === "memory") return `memory at ${addressText(BigInt(target.address))}`;
  const { bus, device, function: fn, base } = target;
  const place = base === "0x0" ? "" : ` of the config space at ${addressText(BigInt(base))}`;
  return `${hexDigits(bus, 2)}:${hexDigits(device, 2)}.${fn}${place}`;
}

const rootComplexLinks = mapPerCount((count) =>
  ownMap("RCLink", linksAt + linkSize * count, () => ({
    ...extendedHead,
    elementSelfDescription: r32(
      0x04,
      {
        elementType: ro(3, 0, ["Config", "Egress", "Internal"], "EltType"),
        linkEntries: hwinit(15, 8),
        componentId: hex(hwinit(23, 16, "ComponentID")),
        portNumber: hex(hwinit(31, 24, "PortNumber")),
      },
      "Desc",
    ),
    ...repeat(count, (i) => ({
      [`link${i}Description`]: r32(
        linksAt + linkSize * i,
        {
          valid: hwinit(0, "LinkValid"),
          type: hwinit(1, 1, ["MemMapped", "Config"], "LinkType"),
          associateRcrb: hwinit(2, "AssocRCRB"),
          targetComponentId: hex(hwinit(23, 16, "TargetComponent")),
          targetPortNumber: hex(hwinit(31, 24, "TargetPort")),
        },
        `Link${i}: Desc`,
      ),
      [`link${i}Address`]: hex(r64(linksAt + linkSize * i + 8, "hwinit", `Link${i}: Addr`)),
      [`link${i}Target`]: composedBig([`link${i}Address`, `link${i}Description.type`], targetOf, {
        label: `Link${i}: Target`,
        text: targetText,
      }),
    })),
  })),
);

/** Root Complex Link Declaration, PCI Express Base Specification 7.9.8. */
export const rootComplexLink = extendedCapability(
  extendedCapabilityId.rootComplexLink,
  "RCLink",
  (config, at, limit) => {
    const entries = limit >= 8 ? config.getUint8(at + 5) : 0;
    return rootComplexLinks(fitting(entries, limit, linksAt, linkSize));
  },
);

/** Root Complex Internal Link Control, PCI Express Base Specification 7.9.9. */
export const rootComplexInternalLinkCapability = ownMap("RCInternalLink", 12, () => ({
  ...extendedHead,
  linkCapabilities: r32(0x04, {
    /** Not reported where it is none. */
    maxLinkSpeed: ro(3, 0, { none: 0, ...speeds }),
    /** In lanes. */
    maxLinkWidth: ro(9, 4),
    aspmSupport: ro(11, 10, aspm),
    l0sExitLatency: ro(14, 12, l0sExitLatency),
    l1ExitLatency: ro(17, 15, l1ExitLatency),
    supportedLinkSpeeds: ro(24, 18, supportedSpeeds),
  }),
  linkControl: r16(0x08, { aspmControl: rw(1, 0, aspmEnabled), extendedSynch: rw(7) }),
  linkStatus: volatile(
    r16(0x0a, {
      currentLinkSpeed: ro(3, 0, { unknown: 0, ...speeds }),
      /** In lanes. */
      negotiatedLinkWidth: ro(9, 4),
    }),
  ),
}));
export const rootComplexInternalLink = extendedCapability(
  extendedCapabilityId.rootComplexInternalLink,
  "RCInternalLink",
  rootComplexInternalLinkCapability,
);

const eventCollectorRegisters = {
  ...extendedHead,
  // Bit n: the integrated endpoint of device number n on this bus.
  integratedEndpoints: hex(r32(0x04, "hwinit", "RCiEPBitmap")),
  endpointDevices: bitList("integratedEndpoints", "RCiEPBitmap: devices"),
} as const;
const eventCollectorBuses = {
  // Next above last: no other bus.
  busNumbers: r32(0x08, { next: hex(hwinit(15, 8)), last: hex(hwinit(23, 16)) }, "AssociatedBusNumbers"),
} as const;
const eventCollectorV1 = ownMap("RCEC", 8, () => eventCollectorRegisters);
/** Root Complex Event Collector Endpoint Association, version 2, PCI Express Base Specification 7.9.10. */
export const eventCollectorCapability = ownMap("RCEC", 12, () => ({
  ...eventCollectorRegisters,
  ...eventCollectorBuses,
}));
export const eventCollector = extendedCapability(
  extendedCapabilityId.eventCollector,
  "RCEC",
  (config, at, limit) =>
    (limit >= 4 ? config.getUint8(at + 2) & 0xf : 0) >= 2 ? eventCollectorCapability : eventCollectorV1,
);

/** RCRB Header, PCI Express Base Specification 7.9.7. */
export const rcrbCapability = ownMap("RCRB", 0x14, () => ({
  ...extendedHead,
  vendorId: hex(r16(0x04, "hwinit")),
  deviceId: hex(r16(0x06, "hwinit")),
  capabilities: r32(0x08, { softwareVisibility: ro(0) }),
  control: r32(0x0c, { softwareVisibilityEnable: rw(0) }),
}));
export const rcrb = extendedCapability(extendedCapabilityId.rcrb, "RCRB", rcrbCapability);
