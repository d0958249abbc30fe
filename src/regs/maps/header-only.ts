// Capabilities that are known by name and whose registers are left raw: obsolete ones, and such as no endpoint
// that a guest meets has. What follows their head is bytes.
import {
  extendedCapability,
  extendedHead,
  standardCapability,
  standardHead,
  type CapabilityType,
} from "../capability.ts";
import { ownMap } from "../map.ts";
import { capabilityId, extendedCapabilityId } from "./ids.ts";

const headerOnly = (id: number, name: string): CapabilityType =>
  extendedCapability(
    id,
    name,
    ownMap(name, 4, () => extendedHead),
  );

/** What a hypervisor leaves at 0x100 where it hides the first capability of the list. */
export const nullCapability = headerOnly(extendedCapabilityId.null, "Null");
export const configAccessCorrelation = headerOnly(extendedCapabilityId.configAccessCorrelation, "CAC");
export const mrIov = headerOnly(extendedCapabilityId.mrIov, "MR-IOV");
export const protocolMultiplexing = headerOnly(extendedCapabilityId.protocolMultiplexing, "PMUX");
export const lnRequester = headerOnly(extendedCapabilityId.lnRequester, "LNR");
export const pcieOverMPhy = headerOnly(extendedCapabilityId.pcieOverMPhy, "M-PCIe");
export const alternateProtocol = headerOnly(extendedCapabilityId.alternateProtocol, "AlternateProtocol");
export const systemFirmwareIntermediary = headerOnly(extendedCapabilityId.systemFirmwareIntermediary, "SFI");
export const shadowFunctions = headerOnly(extendedCapabilityId.shadowFunctions, "ShadowFunctions");
export const flitPerformance = headerOnly(extendedCapabilityId.flitPerformance, "FlitPerformance");
export const streamlinedVirtualChannel = headerOnly(extendedCapabilityId.streamlinedVirtualChannel, "SVC");
export const nopFlit = headerOnly(extendedCapabilityId.nopFlit, "NOPFlit");
export const siov = headerOnly(extendedCapabilityId.siov, "SIOV");

const standardHeaderOnly = (id: number, name: string): CapabilityType =>
  standardCapability(
    id,
    name,
    ownMap(name, 2, () => standardHead),
  );

/** CompactPCI Hot Swap, PICMG 2.1. */
export const hotSwap = standardHeaderOnly(capabilityId.hotSwap, "HotSwap");
/** CompactPCI central resource control, PICMG 2.13. */
export const centralResource = standardHeaderOnly(capabilityId.centralResource, "CentralResource");
export const secureDevice = standardHeaderOnly(capabilityId.secureDevice, "SecureDevice");
/** PCI Express Base Specification 7.8.11. */
export const flatteningPortalBridge = standardHeaderOnly(capabilityId.flatteningPortalBridge, "FPB");
