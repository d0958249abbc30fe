// Capabilities that are known by name and whose registers are left raw: obsolete ones, and such as no endpoint
// that a guest meets has.
import { extendedCapability, extendedHead, type CapabilityType } from "../capability.ts";
import { registerMap } from "../map.ts";
import { extendedCapabilityId } from "./ids.ts";

const headerOnly = (id: number, name: string): CapabilityType =>
  extendedCapability(id, name, registerMap(name, 4, extendedHead));

/** What a hypervisor leaves at 0x100 where it hides the first capability of the list. */
export const nullCapability = headerOnly(extendedCapabilityId.null, "Null");
export const configAccessCorrelation = headerOnly(extendedCapabilityId.configAccessCorrelation, "CAC");
export const mrIov = headerOnly(extendedCapabilityId.mrIov, "MR-IOV");
export const protocolMultiplexing = headerOnly(extendedCapabilityId.protocolMultiplexing, "PMUX");
export const lnRequester = headerOnly(extendedCapabilityId.lnRequester, "LNR");
export const pcieOverMPhy = headerOnly(extendedCapabilityId.pcieOverMPhy, "M-PCIe");
export const alternateProtocol = headerOnly(extendedCapabilityId.alternateProtocol, "AlternateProtocol");
export const systemFirmwareIntermediary = headerOnly(extendedCapabilityId.systemFirmwareIntermediary, "SFI");
