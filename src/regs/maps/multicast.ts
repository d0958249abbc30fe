import { composed, joinedBig } from "../derived.ts";
import { extendedCapability, extendedHead } from "../capability.ts";
import { hex, hwinit, ro, rw, scaled } from "../field.ts";
import { ownMap } from "../map.ts";
import { r16, r32, r64 } from "../register.ts";
import { addressData, sizeText } from "../size-text.ts";
import { portFacts, portTypes } from "./link.ts";
import { extendedCapabilityId } from "./ids.ts";

/** 2^n bytes, up to 2^63. */
const powerOfTwo = (n: number): string => addressData(1n << BigInt(n));
const powerText = (bytes: string): string => sizeText(BigInt(bytes));

const registers = {
  ...extendedHead,
  capability: r16(
    0x04,
    {
      maxGroups: scaled(ro(5, 0, "MaxGroups"), 1, { plus: 1 }),
      /** Of an endpoint: the window asked for has 2^n bytes. */
      windowSize: hwinit(13, 8, "WindowSz"),
      ecrcRegeneration: ro(15, "ECRCRegen"),
    },
    "McastCap",
  ),
  control: r16(
    0x06,
    {
      numGroups: scaled(rw(5, 0, "NumGroups"), 1, { plus: 1 }),
      enable: rw(15, "Enable"),
    },
    "McastCtl",
  ),
  base: r32(
    0x08,
    {
      indexPosition: rw(5, 0, "IndexPos"),
      /** Bits 31:12 of the address. */
      address: hex(scaled(rw(31, 12), 0x1000)),
    },
    "McastBAR",
  ),
  /** In bytes, as an address is: what an endpoint asks for, undefined where it asks for none. */
  windowRequested: composed(
    ["capability.windowSize"],
    (size) => (size === 0 ? undefined : powerOfTwo(size!)),
    {
      label: "Window",
      text: powerText,
    },
  ),
  baseUpper: hex(r32(0x0c, "rw")),
  windowBase: joinedBig(["baseUpper", "base.address"], { by: 0x1000, hex: true, label: "BaseAddr" }),
  receive: hex(r64(0x10, "rw", "McastReceiveVec")),
  blockAll: hex(r64(0x18, "rw", "McastBlockAllVec")),
  blockUntranslated: hex(r64(0x20, "rw", "McastBlockUntransVec")),
} as const;

/** Multicast of an endpoint, PCI Express Base Specification 7.9.11. */
export const multicastCapability = ownMap("Multicast", 0x28, () => registers);
/** Multicast of a port: with the overlay. */
export const multicastPortCapability = ownMap("Multicast", 0x30, () => ({
  ...registers,
  overlay: r32(
    0x28,
    {
      /** 2^n bytes; off below 6. */
      size: rw(5, 0, "OverlaySize"),
      /** Bits 31:6 of the address. */
      address: hex(scaled(rw(31, 6), 0x40)),
    },
    "McastOverlayBAR",
  ),
  /** In bytes, as an address is; undefined where the overlay is off. */
  overlayWindow: composed(["overlay.size"], (size) => (size! < 6 ? undefined : powerOfTwo(size!)), {
    label: "Overlay",
    text: powerText,
  }),
  overlayUpper: hex(r32(0x2c, "rw")),
  overlayBase: joinedBig(["overlayUpper", "overlay.address"], {
    by: 0x40,
    hex: true,
    label: "OverlayAddr",
  }),
}));

export const multicast = extendedCapability(
  extendedCapabilityId.multicast,
  "Multicast",
  (config, _at, limit) => {
    const { type } = portFacts(config);
    const endpoint =
      type === undefined || type === portTypes.endpoint || type === portTypes.integratedEndpoint;
    return endpoint || limit < 0x30 ? multicastCapability : multicastPortCapability;
  },
);
