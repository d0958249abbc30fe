import type { CapabilityType } from "../capability.ts";
import { agpBridge, agpType } from "./agp.ts";
import { enhancedAllocation } from "./enhanced-allocation.ts";
import { express } from "./express.ts";
import { centralResource, flatteningPortalBridge, hotSwap, secureDevice } from "./header-only.ts";
import { hypertransport } from "./hypertransport.ts";
import { msi } from "./msi.ts";
import { msix } from "./msix.ts";
import { pcix } from "./pci-x.ts";
import { powerManagement } from "./power-management.ts";
import { sata } from "./sata.ts";
import { advancedFeatures, debugPort, hotPlug, nullType, slotId, ssvid } from "./small-capabilities.ts";
import { vendorSpecific } from "./vendor.ts";
import { vpd } from "./vpd.ts";

/** Every standard capability that has a register map. */
export const standardCapabilities: readonly CapabilityType[] = [
  nullType,
  powerManagement,
  agpType,
  vpd,
  slotId,
  msi,
  pcix,
  hypertransport,
  vendorSpecific,
  debugPort,
  hotPlug,
  ssvid,
  agpBridge,
  express,
  msix,
  sata,
  advancedFeatures,
  enhancedAllocation,
  hotSwap,
  centralResource,
  secureDevice,
  flatteningPortalBridge,
];
