// linux/vfio.h: DEVICE_FEATURE and the features that are not migration.
import { constants } from "./constants.ts";
import { Struct, type Fields } from "./struct.ts";

/** `struct vfio_device_feature`, of DEVICE_FEATURE. Tail: the feature's own struct; `argsz` counts it. */
export const VfioDeviceFeature = new Struct("vfio_device_feature")
  .UInt32LE("argsz")
  .UInt32LE("flags") // a vfioFeature and what to do with it
  .Buffer("data")
  .compile();
export type VfioDeviceFeature = Fields<typeof VfioDeviceFeature>;

/** `VFIO_DEVICE_FEATURE_*`: what to do; MASK covers the feature's number. PROBE with GET or SET asks if it would work. */
export const vfioFeatureFlag = constants("VFIO_DEVICE_FEATURE_", {
  MASK: 0xffff,
  GET: 0x1_0000,
  SET: 0x2_0000,
  PROBE: 0x4_0000,
});

/** `VFIO_DEVICE_FEATURE_*`: the features' numbers. */
export const vfioFeature = constants("VFIO_DEVICE_FEATURE_", {
  PCI_VF_TOKEN: 0, // 16 bytes, a UUID
  MIGRATION: 1,
  MIG_DEVICE_STATE: 2,
  LOW_POWER_ENTRY: 3, // no data
  LOW_POWER_ENTRY_WITH_WAKEUP: 4,
  LOW_POWER_EXIT: 5, // no data
  DMA_LOGGING_START: 6,
  DMA_LOGGING_STOP: 7, // no data
  DMA_LOGGING_REPORT: 8,
  MIG_DATA_SIZE: 9,
  BUS_MASTER: 10,
  DMA_BUF: 11, // Linux 6.19
  MIG_PRECOPY_INFOv2: 12, // Linux 7.1; no data
  ZPCI_ERROR: 13, // Linux 7.3
});

/** `struct vfio_device_low_power_entry_with_wakeup`. */
export const VfioDeviceLowPowerEntryWithWakeup = new Struct("vfio_device_low_power_entry_with_wakeup")
  .Int32LE("wakeup_eventfd")
  .UInt32LE("reserved")
  .compile();
export type VfioDeviceLowPowerEntryWithWakeup = Fields<typeof VfioDeviceLowPowerEntryWithWakeup>;

/** `struct vfio_device_feature_bus_master`: bus mastering of a device whose config space the user cannot reach. */
export const VfioDeviceFeatureBusMaster = new Struct("vfio_device_feature_bus_master")
  .UInt32LE("op") // vfioBusMaster
  .compile();
export type VfioDeviceFeatureBusMaster = Fields<typeof VfioDeviceFeatureBusMaster>;

/** `VFIO_DEVICE_FEATURE_*_MASTER`. */
export const vfioBusMaster = constants("VFIO_DEVICE_FEATURE_", { CLEAR: 0, SET: 1 }, "_MASTER");

/** `struct vfio_region_dma_range`: a slice of a region, in bytes from its start. Linux 6.19. */
export const VfioRegionDmaRange = new Struct("vfio_region_dma_range")
  .BigUInt64LE("offset")
  .BigUInt64LE("length")
  .compile();
export type VfioRegionDmaRange = Fields<typeof VfioRegionDmaRange>;

/** `struct vfio_device_feature_dma_buf`: GET returns a dma-buf over the slices. Tail: 16 bytes a slice. Linux 6.19. */
export const VfioDeviceFeatureDmaBuf = new Struct("vfio_device_feature_dma_buf")
  .UInt32LE("region_index")
  .UInt32LE("open_flags") // as of open(2)
  .UInt32LE("flags") // 0
  .UInt32LE("nr_ranges")
  .StructArray("dma_ranges", VfioRegionDmaRange)
  .compile();
export type VfioDeviceFeatureDmaBuf = Fields<typeof VfioDeviceFeatureDmaBuf>;

/** `struct vfio_device_feature_zpci_err`: an opaque buffer of the length that the capability ZPCI_BASE tells, on s390. Linux 7.3. */
export const VfioDeviceFeatureZpciErr = new Struct("vfio_device_feature_zpci_err")
  .BigUInt64LE("data")
  .compile();
export type VfioDeviceFeatureZpciErr = Fields<typeof VfioDeviceFeatureZpciErr>;
