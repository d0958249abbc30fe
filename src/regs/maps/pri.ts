import { extendedCapability, extendedHead } from "../capability.ts";
import { hex, ro, rw, rw1c, volatile } from "../field.ts";
import { ownMap } from "../map.ts";
import { r16, r32 } from "../register.ts";
import { extendedCapabilityId } from "./ids.ts";

/** Page Request Interface, PCI Express Base Specification 10.5.2. */
export const priCapability = ownMap("PRI", 16, () => ({
  ...extendedHead,
  // `reset` reads as zero.
  control: r16(0x04, { enable: rw(0, "Enable"), reset: rw(1, "Reset") }, "PRICtl"),
  status: volatile(
    r16(
      0x06,
      {
        responseFailure: rw1c(0, "RF"),
        unexpectedGroupIndex: rw1c(1, "UPRGI"),
        stopped: ro(8, "Stopped"),
        responsePasidRequired: ro(15, "PASID"),
      },
      "PRISta",
    ),
  ),
  outstandingCapacity: hex(r32(0x08, "ro", "Page Request Capacity")),
  outstandingAllocation: hex(r32(0x0c, "rw", "Page Request Allocation")),
}));

export const pri = extendedCapability(extendedCapabilityId.pri, "PRI", priCapability);
