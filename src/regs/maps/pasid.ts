import { extendedCapability, extendedHead } from "../capability.ts";
import { hex, ro, rw } from "../field.ts";
import { ownMap } from "../map.ts";
import { r16 } from "../register.ts";
import { extendedCapabilityId } from "./ids.ts";

/** Process Address Space ID, PCI Express Base Specification 7.8.9. */
export const pasidCapability = ownMap("PASID", 8, () => ({
  ...extendedHead,
  capability: r16(
    0x04,
    {
      executePermission: ro(1, "Exec"),
      privilegedMode: ro(2, "Priv"),
      translatedRequests: ro(3),
      maxWidth: hex(ro(12, 8, "Max PASID Width")),
    },
    "PASIDCap",
  ),
  control: r16(
    0x06,
    {
      enable: rw(0, "Enable"),
      executePermissionEnable: rw(1, "Exec"),
      privilegedModeEnable: rw(2, "Priv"),
      translatedRequestsEnable: rw(3),
    },
    "PASIDCtl",
  ),
}));

export const pasid = extendedCapability(extendedCapabilityId.pasid, "PASID", pasidCapability);
