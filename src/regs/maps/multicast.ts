import { joinedBig } from "../derived.ts";
import { extendedCapability, extendedHead } from "../capability.ts";
import { hex, hwinit, ro, rw, scaled } from "../field.ts";
import { ownMap } from "../map.ts";
import { r16, r32, r64 } from "../register.ts";
import { portFacts, portTypes } from "./link.ts";
import { extendedCapabilityId } from "./ids.ts";

const registers = {
  ...extendedHead,
  capability: r16(
    0x04,
    {
      /** Less one. */
      maxGroups: ro(5, 0, "MaxGroups"),
      /** Of an endpoint: the window asked for has 2^n bytes. */
      windowSize: hwinit(13, 8, "WindowSz"),
      ecrcRegeneration: ro(15, "ECRCRegen"),
    },
    "McastCap",
  ),
  control: r16(
    0x06,
    {
      /** Less one. */
      numGroups: rw(5, 0, "NumGroups"),
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
  baseUpper: hex(r32(0x0c, "rw")),
  windowBase: joinedBig(["baseUpper", "base.address"], { by: 0x1000, hex: true, label: "BaseAddr" }),
  receive: hex(r64(0x10, "rw", "McastReceiveVec")),
  blockAll: hex(r64(0x18, "rw", "McastBlockAllVec")),
  blockUntranslated: hex(r64(0x20, "rw", "McastBlockUntransVec")),
} as const;

/** Multicast of an endpoint, PCI Express Base Specification 7.9.11. */
export const multicastCapability = ownMap("Multicast", 0x28, registers);
/** Multicast of a port: with the overlay. */
export const multicastPortCapability = ownMap("Multicast", 0x30, {
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
  overlayUpper: hex(r32(0x2c, "rw")),
  overlayBase: joinedBig(["overlayUpper", "overlay.address"], {
    by: 0x40,
    hex: true,
    label: "OverlayAddr",
  }),
});

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
