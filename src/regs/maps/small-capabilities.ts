// Capabilities of one or two registers.
import { standardCapability, standardHead } from "../capability.ts";
import { hex, ro, rw, volatile } from "../field.ts";
import { ownMap } from "../map.ts";
import { r16, r32, r8 } from "../register.ts";
import { capabilityId } from "./ids.ts";

/** Null Capability, PCI Express Base Specification 7.9.28.1: a place holder with no more than its head. */
export const nullCapability = ownMap("Null", 4, () => ({ ...standardHead }));
export const nullType = standardCapability(capabilityId.null, "Null", nullCapability);

/** Slot Numbering, PCI-to-PCI Bridge Architecture Specification 1.2, chapter 13. */
export const slotIdCapability = ownMap("SlotID", 4, () => ({
  ...standardHead,
  expansionSlot: r8(0x02, { slots: ro(4, 0, "Slots"), firstInChassis: ro(5, "First") }, "Slots"),
  chassis: hex(r8(0x03, "rw", "Chassis")),
}));
export const slotId = standardCapability(capabilityId.slotId, "SlotID", slotIdCapability);

/** Debug Port, Enhanced Host Controller Interface for USB 2.0, appendix C. */
export const debugPortCapability = ownMap("Debug", 4, () => ({
  ...standardHead,
  debugPort: r16(
    0x02,
    { /** In bytes. */ offset: hex(ro(12, 0, "offset")), /** 1 is BAR 0. */ bar: ro(15, 13, "BAR") },
    "Debug port",
  ),
}));
export const debugPort = standardCapability(capabilityId.debugPort, "Debug", debugPortCapability);

/** Standard Hot-Plug Controller, SHPC Specification 1.0, 4.8. */
export const hotPlugCapability = ownMap("HotPlug", 8, () => ({
  ...standardHead,
  dwordSelect: hex(r8(0x02, "rw", "Select")),
  pending: volatile(r8(0x03, { interrupt: ro(6, "IntPend"), serr: ro(7, "SERRPend") }, "Pending")),
  /** The register of the controller's working set that `dwordSelect` names. */
  data: volatile(hex(r32(0x04, "rw"))),
}));
export const hotPlug = standardCapability(capabilityId.hotPlug, "HotPlug", hotPlugCapability);

/** Subsystem ID and Subsystem Vendor ID of a bridge, PCI Express Base Specification 7.9.24. */
export const ssvidCapability = ownMap("SSVID", 8, () => ({
  ...standardHead,
  subsystemVendorId: hex(r16(0x04, "hwinit", "Subsystem: vendor")),
  subsystemId: hex(r16(0x06, "hwinit", "Subsystem: device")),
}));
export const ssvid = standardCapability(capabilityId.ssvid, "SSVID", ssvidCapability);

/** Advanced Features of functions integrated in a root complex, PCI Express Base Specification 7.9.21. */
export const advancedFeaturesCapability = ownMap("AF", 6, () => ({
  ...standardHead,
  length: r8(0x02, "ro"),
  capabilities: r8(0x03, { transactionsPending: ro(0, "TP"), functionLevelReset: ro(1, "FLR") }, "AFCap"),
  // Reads as 0: a write of 1 starts the reset.
  control: r8(0x04, { initiateReset: rw(0, "FLR") }, "AFCtrl"),
  status: r8(0x05, { transactionsPending: volatile(ro(0, "TP")) }, "AFStatus"),
}));
export const advancedFeatures = standardCapability(
  capabilityId.advancedFeatures,
  "AF",
  advancedFeaturesCapability,
);
