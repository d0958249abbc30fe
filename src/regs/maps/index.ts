import type { CapabilityType } from "../capability.ts";
import { extendedCapabilities } from "./extended.ts";
import { standardCapabilities } from "./standard.ts";

export { extendedCapabilities } from "./extended.ts";
export * from "./ids.ts";
export { standardCapabilities } from "./standard.ts";

// The maps of one fixed layout, for typed access through `view` and `live`.
export { agp3Capability, agpCapability } from "./agp.ts";
export { ioBar, memoryBar } from "./bar.ts";
export { expressCapability } from "./express.ts";
export type { SpeedSet } from "./link-speeds.ts";
export type { PowerLimit } from "./slot-power.ts";
export * from "./header.ts";
export { htPrimaryCapability, htSecondaryCapability } from "./hypertransport.ts";
export { msi32, msi32Masked, msi64, msi64Masked } from "./msi.ts";
export { msixCapability, msixTableEntry } from "./msix.ts";
export { pcixBridgeCapability, pcixEccCapability, pcixEndpointCapability } from "./pci-x.ts";
export { powerManagementCapability } from "./power-management.ts";
export { sataCapability, sataPairCapability } from "./sata.ts";
export {
  advancedFeaturesCapability,
  debugPortCapability,
  hotPlugCapability,
  slotIdCapability,
  ssvidCapability,
} from "./small-capabilities.ts";
export { dynamicPowerAllocationHead } from "./dpa.ts";
export { dvsecHead } from "./dvsec.ts";
export { virtualChannelHead } from "./virtual-channel.ts";
export { vsecHead } from "./vsec.ts";
export {
  gpuDirectCliqueCapability,
  nvidiaVendorId,
  vendorHead,
  virtioCapability,
  virtioNotifyCapability,
  virtioPciConfigCapability,
  virtioSharedMemoryCapability,
} from "./vendor.ts";
export { vpdCapability } from "./vpd.ts";
export { acsCapability } from "./acs.ts";
export { aerCapability, aerRootCapability } from "./aer.ts";
export { ariCapability } from "./ari.ts";
export { atsCapability } from "./ats.ts";
export { dataLinkFeatureCapability } from "./data-link-feature.ts";
export { device3Capability } from "./device3.ts";
export { flitErrorInjectionCapability, flitLoggingCapability } from "./flit.ts";
export { doeCapability } from "./doe.ts";
export { dpcCapability } from "./dpc.ts";
export { enclosureCapability } from "./enclosure.ts";
export { ideCapability } from "./ide.ts";
export { l1SubstatesCapability } from "./l1-substates.ts";
export { ltrCapability } from "./ltr.ts";
export { multicastCapability, multicastPortCapability } from "./multicast.ts";
export { pasidCapability } from "./pasid.ts";
export { powerBudgetingCapability } from "./power-budgeting.ts";
export { priCapability } from "./pri.ts";
export { ptmCapability } from "./ptm.ts";
export { frsQueueingCapability, readinessTimeCapability } from "./readiness.ts";
export { barSizes, resizableBarEntry } from "./rebar.ts";
export {
  eventCollectorCapability,
  rcrbCapability,
  rootComplexInternalLinkCapability,
} from "./root-complex.ts";
export { serialNumberCapability } from "./serial-number.ts";
export { srIovCapability } from "./sr-iov.ts";
export { tphCapability } from "./tph.ts";

const index = (types: readonly CapabilityType[]): ReadonlyMap<number, CapabilityType> =>
  new Map(types.map((type) => [type.id, type]));
const standard = index(standardCapabilities);
const extended = index(extendedCapabilities);

/** The description of a capability, or undefined where no map describes its ID. */
export const capabilityType = (id: number, isExtended: boolean): CapabilityType | undefined =>
  (isExtended ? extended : standard).get(id);
