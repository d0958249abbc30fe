import { extendedCapability, extendedHead } from "../capability.ts";
import { hex, hwinit, ro, rw } from "../field.ts";
import { registerMap } from "../map.ts";
import { r32 } from "../register.ts";
import { extendedCapabilityId } from "./ids.ts";

/** The head of Integrity and Data Encryption, PCI Express Base Specification 7.9.26. Its streams follow, raw. */
export const ideCapability = registerMap("IDE", 12, {
  ...extendedHead,
  capability: r32(
    0x04,
    {
      linkStreams: hwinit(0, "Lnk"),
      selectiveStreams: hwinit(1, "Sel"),
      flowThrough: hwinit(2, "FlowThru"),
      partialHeaderEncryption: hwinit(3, "PartHdr"),
      aggregation: hwinit(4, "Aggr"),
      pcrc: hwinit(5, "PCRC"),
      keyManagement: hwinit(6, "IDE_KM"),
      selectiveConfigRequests: hwinit(7, "SelCfg"),
      algorithms: hex(hwinit(12, 8, "Alg")),
      /** Less one. */
      linkTrafficClasses: hwinit(15, 13, "TCs"),
      /** Less one. */
      selectiveStreamCount: hwinit(23, 16),
      teeLimited: ro(24, "TeeLim"),
    },
    "IDECap",
  ),
  control: r32(0x08, { flowThroughEnable: rw(2, "FTEn") }, "IDECtl"),
});

export const ide = extendedCapability(extendedCapabilityId.ide, "IDE", ideCapability);
