// Capabilities that are known by name and whose registers are left raw: obsolete ones, and such as no endpoint
// that a guest meets has.
import { extendedCapability, extendedHead, type CapabilityType } from "../capability.ts";
import { registerMap } from "../map.ts";

const headerOnly = (id: number, name: string): CapabilityType =>
  extendedCapability(id, name, registerMap(name, 4, extendedHead));

/** What a hypervisor leaves at 0x100 where it hides the first capability of the list. */
export const nullCapability = headerOnly(0x00, "Null");
export const configAccessCorrelation = headerOnly(0x0c, "CAC");
export const mrIov = headerOnly(0x11, "MR-IOV");
export const protocolMultiplexing = headerOnly(0x1a, "PMUX");
export const lnRequester = headerOnly(0x1c, "LNR");
export const pcieOverMPhy = headerOnly(0x20, "M-PCIe");
export const alternateProtocol = headerOnly(0x2b, "AlternateProtocol");
export const systemFirmwareIntermediary = headerOnly(0x2c, "SFI");
