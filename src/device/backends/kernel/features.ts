// VFIO_DEVICE_FEATURE as a typed report.
import { getFeature, probeFeature } from "../../../ffi/vfio-feature.ts";
import { view } from "../../../regs/ioctl/struct.ts";
import { vfioFeature } from "../../../regs/ioctl/vfio-feature.ts";
import { VfioDeviceFeatureMigration, vfioMigrationFlag } from "../../../regs/ioctl/vfio-migration.ts";
import type { FeatureSupport } from "../../seam/backend.ts";

/** What a device migrates by. */
export interface MigrationSupport extends FeatureSupport {
  /** Whether its state can be read while it is stopped; always there. */
  readonly stopCopy: boolean;
  /** Whether it can be kept from reaching peers while they are stopped. */
  readonly peerToPeer: boolean;
  /** Whether its state can be read while it runs. */
  readonly preCopy: boolean;
}

/** Each feature that Linux has; undefined where the device does not have it. */
export interface FeatureReport {
  /** VFIO_DEVICE_FEATURE_PCI_VF_TOKEN. */
  readonly vfToken: FeatureSupport | undefined;
  /** VFIO_DEVICE_FEATURE_MIGRATION, with what the device can. */
  readonly migration: MigrationSupport | undefined;
  /** VFIO_DEVICE_FEATURE_MIG_DEVICE_STATE. */
  readonly migrationState: FeatureSupport | undefined;
  /** VFIO_DEVICE_FEATURE_MIG_DATA_SIZE. */
  readonly migrationDataSize: FeatureSupport | undefined;
  /** VFIO_DEVICE_FEATURE_MIG_PRECOPY_INFOv2. */
  readonly preCopyInfo2: FeatureSupport | undefined;
  /** VFIO_DEVICE_FEATURE_LOW_POWER_ENTRY. */
  readonly lowPowerEntry: FeatureSupport | undefined;
  /** VFIO_DEVICE_FEATURE_LOW_POWER_ENTRY_WITH_WAKEUP. */
  readonly lowPowerEntryWithWakeup: FeatureSupport | undefined;
  /** VFIO_DEVICE_FEATURE_LOW_POWER_EXIT. */
  readonly lowPowerExit: FeatureSupport | undefined;
  /** VFIO_DEVICE_FEATURE_DMA_LOGGING_START. */
  readonly dmaLoggingStart: FeatureSupport | undefined;
  /** VFIO_DEVICE_FEATURE_DMA_LOGGING_STOP. */
  readonly dmaLoggingStop: FeatureSupport | undefined;
  /** VFIO_DEVICE_FEATURE_DMA_LOGGING_REPORT. */
  readonly dmaLoggingReport: FeatureSupport | undefined;
  /** VFIO_DEVICE_FEATURE_BUS_MASTER. */
  readonly busMaster: FeatureSupport | undefined;
  /** VFIO_DEVICE_FEATURE_DMA_BUF. */
  readonly dmaBuf: FeatureSupport | undefined;
  /** VFIO_DEVICE_FEATURE_ZPCI_ERROR, of s390x. */
  readonly zpciError: FeatureSupport | undefined;
}

/** Asks for every feature, without using any. @throws VfioError */
export function readFeatures(device: number, bdf: string): FeatureReport {
  const probe = (feature: number): FeatureSupport | undefined => probeFeature(device, feature);
  return {
    vfToken: probe(vfioFeature.PCI_VF_TOKEN),
    migration: migration(device, bdf),
    migrationState: probe(vfioFeature.MIG_DEVICE_STATE),
    migrationDataSize: probe(vfioFeature.MIG_DATA_SIZE),
    preCopyInfo2: probe(vfioFeature.MIG_PRECOPY_INFOv2),
    lowPowerEntry: probe(vfioFeature.LOW_POWER_ENTRY),
    lowPowerEntryWithWakeup: probe(vfioFeature.LOW_POWER_ENTRY_WITH_WAKEUP),
    lowPowerExit: probe(vfioFeature.LOW_POWER_EXIT),
    dmaLoggingStart: probe(vfioFeature.DMA_LOGGING_START),
    dmaLoggingStop: probe(vfioFeature.DMA_LOGGING_STOP),
    dmaLoggingReport: probe(vfioFeature.DMA_LOGGING_REPORT),
    busMaster: probe(vfioFeature.BUS_MASTER),
    dmaBuf: probe(vfioFeature.DMA_BUF),
    zpciError: probe(vfioFeature.ZPCI_ERROR),
  };
}

function migration(device: number, bdf: string): MigrationSupport | undefined {
  const support = probeFeature(device, vfioFeature.MIGRATION);
  if (!support?.get) return undefined;
  const data = new Uint8Array(new ArrayBuffer(VfioDeviceFeatureMigration.baseSize));
  getFeature(device, vfioFeature.MIGRATION, data, { device: bdf });
  const flags = Number(view(VfioDeviceFeatureMigration, data).flags & 0xffff_ffffn);
  return {
    ...support,
    stopCopy: (flags & vfioMigrationFlag.STOP_COPY) !== 0,
    peerToPeer: (flags & vfioMigrationFlag.P2P) !== 0,
    preCopy: (flags & vfioMigrationFlag.PRE_COPY) !== 0,
  };
}
