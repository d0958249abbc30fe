// How many bytes of config space vfio-pci counts to a capability, as its `pci_cap_length`, `pci_ext_cap_length` and their
// helpers do (drivers/vfio/pci/vfio_pci_config.c, Linux 6.12). 0 hides it. Bytes past that belong to no capability.
import {
  acsCapability,
  advancedFeaturesCapability,
  agpCapability,
  ariCapability,
  atsCapability,
  capabilityId,
  dvsecHead,
  dynamicPowerAllocationHead,
  expressCapability,
  extendedCapabilityId,
  htPrimaryCapability,
  htSecondaryCapability,
  ltrCapability,
  msi32,
  msi32Masked,
  msi64,
  msi64Masked,
  msixCapability,
  multicastCapability,
  pcixEccCapability,
  pcixEndpointCapability,
  powerBudgetingCapability,
  powerManagementCapability,
  priCapability,
  aerCapability,
  resizableBarEntry,
  sataCapability,
  sataPairCapability,
  serialNumberCapability,
  srIovCapability,
  tphCapability,
  unknownExtended,
  vendorHead,
  virtualChannelHead,
  vpdCapability,
  vsecHead,
  type FieldReference,
  type RegisterReference,
} from "../../regs/index.ts";
import { expressLink, expressLink2 } from "../../regs/maps/express-link.ts";
import { expressSlot, expressSlot2 } from "../../regs/maps/express-slot.ts";
import { virtualChannelSize } from "../../regs/maps/virtual-channel.ts";
import type { Located } from "../pci/config-offset.ts";
import { address64Bit, perVectorMasking } from "./registers.ts";

type Size = number | ((config: DataView, capability: Located) => number);

/** A register of a capability that may be cut off by the end of the space: what is not there reads 0. */
const registerValue = (register: RegisterReference, config: DataView, { offset }: Located): number =>
  offset + register.at + register.size <= config.byteLength ? Number(register.read(config, offset)) : 0;
const bitsOf = (field: FieldReference, config: DataView, capability: Located): number =>
  field.bits(registerValue(field.register, config, capability));

/** MSI by its flags: up to its data, or with mask and pending bits. */
const msi: Size = (config, at) => {
  const wide = bitsOf(address64Bit, config, at) === 1;
  if (bitsOf(perVectorMasking, config, at)) return (wide ? msi64Masked : msi32Masked).size;
  const data = (wide ? msi64 : msi32).register("data");
  return data.at + data.size;
};

const expressVersion = expressCapability.field("flags.version");
const portType = expressCapability.field("flags.portType");
/** PCI Express by version and type: up to the slot's registers, or the link's, which a root complex integrated endpoint has not. */
const express: Size = (config, at) => {
  const integrated =
    portType.of(registerValue(portType.register, config, at)) === "Root Complex Integrated Endpoint";
  if (bitsOf(expressVersion, config, at) === 1)
    return integrated ? expressLink.linkCapabilities.at : expressSlot.slotCapabilities.at;
  return integrated ? expressLink2.linkCapabilities2.at : expressSlot2.slotCapabilities2.at;
};

const pcixVersion = pcixEndpointCapability.field("command.version");
/** The host interface has another bit in the kernel's eyes: any in the upper part of the type. */
const htType = htPrimaryCapability.field("command.type");
const vendorLength = vendorHead.register("length");
const sataLocation = sataCapability.field("location.bar");

const channels = virtualChannelHead.field("portCapability1.extendedChannels");
const arbitration = (["roundRobin128", "roundRobin64", "roundRobin32"] as const).map((name) =>
  virtualChannelHead.field(`portCapability2.${name}`),
);
/** Entries of the table that each of these needs. */
const phases = [128, 64, 32] as const;
const virtualChannels: Size = (config, at) => {
  const size = virtualChannelHead.size + (1 + bitsOf(channels, config, at)) * virtualChannelSize;
  const scheme = arbitration.findIndex((field) => bitsOf(field, config, at) === 1);
  return scheme < 0 ? size : Math.ceil(size / 16) * 16 + phases[scheme]! / 2;
};

const egressControl = acsCapability.field("capability.egressControl");
const egressSize = acsCapability.field("capability.egressVectorSize");
const accessControl: Size = (config, at) => {
  if (!bitsOf(egressControl, config, at)) return acsCapability.size;
  const bits = bitsOf(egressSize, config, at);
  return acsCapability.size + (bits === 0 ? 256 : Math.ceil(bits / 32) * 32) / 8;
};

const tagLocation = tphCapability.field("capability.tableLocation");
const tagCount = tphCapability.field("capability.tableSize");
const processingHints: Size = (config, at) =>
  tagLocation.of(registerValue(tagLocation.register, config, at)) === "capability"
    ? tphCapability.size + bitsOf(tagCount, config, at) * 2 + 2
    : tphCapability.size;

const vsecLength = vsecHead.field("vendorHeader.length");
const dvsecLength = dvsecHead.field("header1.length");
const substates = dynamicPowerAllocationHead.field("capability.substates");
const barCount = resizableBarEntry.field("control.numBars");

const standard: Readonly<Record<number, Size>> = {
  [capabilityId.powerManagement]: powerManagementCapability.size,
  [capabilityId.agp]: agpCapability.size,
  [capabilityId.vpd]: vpdCapability.size,
  [capabilityId.msi]: msi,
  [capabilityId.pcix]: (config, at) =>
    bitsOf(pcixVersion, config, at) ? pcixEccCapability.size : pcixEndpointCapability.size,
  [capabilityId.hypertransport]: (config, at) =>
    bitsOf(htType, config, at) ? htSecondaryCapability.size : htPrimaryCapability.size,
  [capabilityId.vendor]: (config, at) => registerValue(vendorLength, config, at),
  [capabilityId.express]: express,
  [capabilityId.msix]: msixCapability.size,
  [capabilityId.sata]: (config, at) =>
    sataLocation.of(registerValue(sataLocation.register, config, at)) === "InCfgSpace"
      ? sataPairCapability.size
      : sataCapability.size,
  [capabilityId.advancedFeatures]: advancedFeaturesCapability.size,
};

const extended: Readonly<Record<number, Size>> = {
  [extendedCapabilityId.aer]: aerCapability.size,
  [extendedCapabilityId.virtualChannel]: virtualChannels,
  [extendedCapabilityId.serialNumber]: serialNumberCapability.size,
  [extendedCapabilityId.powerBudgeting]: powerBudgetingCapability.size,
  [extendedCapabilityId.multiFunctionVirtualChannel]: virtualChannels,
  [extendedCapabilityId.virtualChannel9]: virtualChannels,
  [extendedCapabilityId.vendor]: (config, at) => bitsOf(vsecLength, config, at),
  [extendedCapabilityId.acs]: accessControl,
  [extendedCapabilityId.ari]: ariCapability.size,
  [extendedCapabilityId.ats]: atsCapability.size,
  [extendedCapabilityId.srIov]: srIovCapability.size,
  [extendedCapabilityId.multicast]: multicastCapability.size,
  [extendedCapabilityId.pri]: priCapability.size,
  // The first entry, right behind the head, says how many there are.
  [extendedCapabilityId.resizableBar]: (config, { offset }) =>
    unknownExtended.size +
    bitsOf(barCount, config, { offset: offset + unknownExtended.size }) * resizableBarEntry.size,
  [extendedCapabilityId.dynamicPowerAllocation]: (config, at) =>
    dynamicPowerAllocationHead.size + bitsOf(substates, config, at) + 1,
  [extendedCapabilityId.tph]: processingHints,
  [extendedCapabilityId.ltr]: ltrCapability.size,
  [extendedCapabilityId.dvsec]: (config, at) => bitsOf(dvsecLength, config, at),
};

const sizeOf = (size: Size | undefined, config: DataView, capability: Located): number =>
  typeof size === "function" ? size(config, capability) : (size ?? 0);

/** Bytes that a standard capability takes; 0 for one that vfio-pci takes out of the list. */
export const standardSize = (id: number, config: DataView, capability: Located): number =>
  sizeOf(standard[id], config, capability);
/** Bytes that an extended capability takes; 0 for one that vfio-pci takes out of the list. */
export const extendedSize = (id: number, config: DataView, capability: Located): number =>
  sizeOf(extended[id], config, capability);
