import { standardCapability, standardHead } from "../capability.ts";
import { hex, ro, rw, scaled } from "../field.ts";
import { ownMap } from "../map.ts";
import { r32, r8 } from "../register.ts";
import { capabilityId } from "./ids.ts";

// The rate bits are x1, x2, x4, and in AGP 3 mode x4 and x8.
const rate = ["<none>", "x1", "x2", "x1,x2", "x4", "x1,x4", "x2,x4", "x1,x2,x4"] as const;
const rate3 = ["<none>", "x4", "x8", "x4,x8", "x16", "x4,x16", "x8,x16", "x4,x8,x16"] as const;

const agp = (agp3: boolean) =>
  ownMap("AGP", 12, () => ({
    ...standardHead,
    revision: r8(0x02, { minor: ro(3, 0), major: ro(7, 4) }, "Version"),
    status: r32(
      0x04,
      {
        rate: ro(2, 0, agp3 ? rate3 : rate, "Rate"),
        agp3: ro(3, "AGP3"),
        fastWrites: ro(4, "FW"),
        address64Bit: ro(5, "64bit"),
        hostTranslation: ro(6, "HTrans"),
        gart64: ro(7, "GART64"),
        coherent: ro(8, "ITACoh"),
        sidebandAddressing: ro(9, "SBA"),
        calibration: ro(12, 10, "Cal"),
        requestSize: ro(15, 13, "ArqSz"),
        isochronous: ro(16, "Iso"),
        requests: scaled(ro(31, 24, "RQ"), 1, { plus: 1 }),
      },
      "Status",
    ),
    command: r32(
      0x08,
      {
        rate: rw(2, 0, agp3 ? rate3 : rate, "Rate"),
        fastWrites: rw(4, "FW"),
        address64Bit: rw(5, "64bit"),
        gart64: rw(7, "GART64"),
        enable: rw(8, "AGP"),
        sidebandAddressing: rw(9, "SBA"),
        calibration: rw(12, 10, "Cal"),
        requestSize: rw(15, 13, "ArqSz"),
        requests: scaled(rw(31, 24, "RQ"), 1, { plus: 1 }),
      },
      "Command",
    ),
  }));

/** AGP capability of revisions 1 and 2, and of 3 outside of AGP 3 mode: AGP V3.0 Interface Specification 6.1. */
export const agpCapability = agp(false);
/** The same in AGP 3 mode, where the rates mean x4 and x8. */
export const agp3Capability = agp(true);

export const agpType = standardCapability(capabilityId.agp, "AGP", (config, at, limit) =>
  limit >= 12 && config.getUint8(at + 2) >= 0x30 && config.getUint8(at + 4) & 8
    ? agp3Capability
    : agpCapability,
);
/** AGP target of a PCI-to-PCI bridge: its head, and the revision. */
export const agpBridge = standardCapability(
  capabilityId.agpBridge,
  "AGP3",
  ownMap("AGP3", 4, () => ({ ...standardHead, revision: hex(r8(0x02, "ro")) })),
);
