import type { CapabilityType } from "../capability.ts";
import { acs } from "./acs.ts";
import { aer } from "./aer.ts";
import { ari } from "./ari.ts";
import { ats } from "./ats.ts";
import { dataLinkFeature } from "./data-link-feature.ts";
import { registerBlockLocator } from "./block-locator.ts";
import { device3 } from "./device3.ts";
import { flitErrorInjection, flitLogging } from "./flit.ts";
import { doe } from "./doe.ts";
import { dpa } from "./dpa.ts";
import { dpc } from "./dpc.ts";
import { dvsec } from "./dvsec.ts";
import { enclosure } from "./enclosure.ts";
import {
  alternateProtocol,
  configAccessCorrelation,
  flitPerformance,
  lnRequester,
  mrIov,
  nopFlit,
  nullCapability,
  pcieOverMPhy,
  protocolMultiplexing,
  shadowFunctions,
  siov,
  streamlinedVirtualChannel,
  systemFirmwareIntermediary,
} from "./header-only.ts";
import { hierarchyId } from "./hierarchy-id.ts";
import { ide } from "./ide.ts";
import { l1Substates } from "./l1-substates.ts";
import { laneMargining } from "./lane-margining.ts";
import { ltr } from "./ltr.ts";
import { multicast } from "./multicast.ts";
import { pasid } from "./pasid.ts";
import { physicalLayer16, physicalLayer32, physicalLayer64 } from "./physical-layer.ts";
import { powerBudgeting } from "./power-budgeting.ts";
import { pri } from "./pri.ts";
import { ptm } from "./ptm.ts";
import { frsQueueing, readinessTime } from "./readiness.ts";
import { resizableBar, vfResizableBar } from "./rebar.ts";
import { eventCollector, rcrb, rootComplexInternalLink, rootComplexLink } from "./root-complex.ts";
import { secondaryPcie } from "./secondary-pcie.ts";
import { serialNumber } from "./serial-number.ts";
import { srIov } from "./sr-iov.ts";
import { tph } from "./tph.ts";
import { multiFunctionVirtualChannel, virtualChannel, virtualChannel9 } from "./virtual-channel.ts";
import { vsec } from "./vsec.ts";

/** Every extended capability that has a register map, by ID. */
export const extendedCapabilities: readonly CapabilityType[] = [
  nullCapability,
  aer,
  virtualChannel,
  serialNumber,
  powerBudgeting,
  rootComplexLink,
  rootComplexInternalLink,
  eventCollector,
  multiFunctionVirtualChannel,
  virtualChannel9,
  rcrb,
  vsec,
  configAccessCorrelation,
  acs,
  ari,
  ats,
  srIov,
  mrIov,
  multicast,
  pri,
  resizableBar,
  dpa,
  tph,
  ltr,
  secondaryPcie,
  protocolMultiplexing,
  pasid,
  lnRequester,
  dpc,
  l1Substates,
  ptm,
  pcieOverMPhy,
  frsQueueing,
  readinessTime,
  dvsec,
  vfResizableBar,
  dataLinkFeature,
  physicalLayer16,
  laneMargining,
  hierarchyId,
  enclosure,
  physicalLayer32,
  alternateProtocol,
  systemFirmwareIntermediary,
  shadowFunctions,
  doe,
  device3,
  ide,
  physicalLayer64,
  flitLogging,
  flitPerformance,
  flitErrorInjection,
  streamlinedVirtualChannel,
  registerBlockLocator,
  nopFlit,
  siov,
];
