import { standardCapability, standardHead } from "../capability.ts";
import { hex, rw, volatile } from "../field.ts";
import { ownMap } from "../map.ts";
import { r16, r32 } from "../register.ts";
import { capabilityId } from "./ids.ts";

/** Vital Product Data Capability, PCI Express Base Specification 7.9.18. */
export const vpdCapability = ownMap("VPD", 8, () => ({
  ...standardHead,
  address: r16(0x02, {
    /** Byte address, a multiple of 4. */
    address: hex(rw(14, 0)),
    /** Written 0 to read and 1 to write; the device inverts it when the transfer is over. */
    flag: volatile(rw(15)),
  }),
  data: volatile(hex(r32(0x04, "rw"))),
}));

export const vpd = standardCapability(capabilityId.vpd, "VPD", vpdCapability);
