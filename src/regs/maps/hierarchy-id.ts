import { extendedCapability, extendedHead } from "../capability.ts";
import { hex, volatile } from "../field.ts";
import { ownMap } from "../map.ts";
import { r32 } from "../register.ts";
import { repeat } from "./repeat.ts";
import { extendedCapabilityId } from "./ids.ts";

/** Hierarchy ID, PCI Express Base Specification 7.9.17. A message from the root sets all of it, at any time. */
export const hierarchyIdCapability = ownMap("HierarchyID", 0x20, () => ({
  ...extendedHead,
  status: volatile(hex(r32(0x04, "rw"))),
  data: volatile(hex(r32(0x08, "rw"))),
  ...repeat(5, (i) => ({ [`guid${i + 1}`]: volatile(hex(r32(0x0c + 4 * i, "rw"))) })),
}));

export const hierarchyId = extendedCapability(
  extendedCapabilityId.hierarchyId,
  "HierarchyID",
  hierarchyIdCapability,
);
