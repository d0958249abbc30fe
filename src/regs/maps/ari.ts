import { extendedCapability, extendedHead } from "../capability.ts";
import { emulated, ro, rw } from "../field.ts";
import { ownMap } from "../map.ts";
import { r16 } from "../register.ts";
import { extendedCapabilityId } from "./ids.ts";

/** Alternative Routing-ID Interpretation, PCI Express Base Specification 7.8.8. */
export const ariCapability = ownMap("ARI", 8, () => ({
  ...extendedHead,
  capability: r16(
    0x04,
    {
      functionGroupsMfvc: ro(0, "MFVC"),
      functionGroupsAcs: ro(1, "ACS"),
      // The host's next function is not the guest's.
      nextFunction: emulated(ro(15, 8, "Next Function")),
    },
    "ARICap",
  ),
  control: r16(
    0x06,
    {
      functionGroupsMfvcEnable: rw(0, "MFVC"),
      functionGroupsAcsEnable: rw(1, "ACS"),
      functionGroup: rw(6, 4, "Function Group"),
    },
    "ARICtl",
  ),
}));

export const ari = extendedCapability(extendedCapabilityId.ari, "ARI", ariCapability);
