// linux/vfio.h: migration (version 2) and the device's own dirty page log.
import { constants } from "./constants.ts";
import { Struct, type Fields } from "./struct.ts";

/** `struct vfio_device_feature_migration`, of the feature MIGRATION. */
export const VfioDeviceFeatureMigration = new Struct("vfio_device_feature_migration")
  .BigUInt64LE("flags") // vfioMigrationFlag
  .compile();
export type VfioDeviceFeatureMigration = Fields<typeof VfioDeviceFeatureMigration>;

/** `VFIO_MIGRATION_*`. */
export const vfioMigrationFlag = constants("VFIO_MIGRATION_", { STOP_COPY: 1, P2P: 2, PRE_COPY: 4 });

/** `struct vfio_device_feature_mig_state`, of the feature MIG_DEVICE_STATE. */
export const VfioDeviceFeatureMigState = new Struct("vfio_device_feature_mig_state")
  .UInt32LE("device_state") // vfioMigrationState
  .Int32LE("data_fd") // out: -1 where the arc has no data
  .compile();
export type VfioDeviceFeatureMigState = Fields<typeof VfioDeviceFeatureMigState>;

/** `VFIO_DEVICE_STATE_*`: `enum vfio_device_mig_state`. */
export const vfioMigrationState = constants("VFIO_DEVICE_STATE_", {
  ERROR: 0,
  STOP: 1,
  RUNNING: 2,
  STOP_COPY: 3,
  RESUMING: 4,
  RUNNING_P2P: 5,
  PRE_COPY: 6,
  PRE_COPY_P2P: 7,
});

/** `struct vfio_precopy_info`, of MIG_GET_PRECOPY_INFO: estimates, in bytes. */
export const VfioPrecopyInfo = new Struct("vfio_precopy_info")
  .UInt32LE("argsz")
  .UInt32LE("flags") // vfioPrecopyFlag, once the feature MIG_PRECOPY_INFOv2 is set
  .BigUInt64LE("initial_bytes")
  .BigUInt64LE("dirty_bytes")
  .compile();
export type VfioPrecopyInfo = Fields<typeof VfioPrecopyInfo>;

/** `VFIO_PRECOPY_INFO_*`: new initial data is in the stream. Linux 7.1. */
export const vfioPrecopyFlag = constants("VFIO_PRECOPY_INFO_", { REINIT: 1 });

/** `struct vfio_device_feature_mig_data_size`: an estimate, in bytes. */
export const VfioDeviceFeatureMigDataSize = new Struct("vfio_device_feature_mig_data_size")
  .BigUInt64LE("stop_copy_length")
  .compile();
export type VfioDeviceFeatureMigDataSize = Fields<typeof VfioDeviceFeatureMigDataSize>;

/** `struct vfio_device_feature_dma_logging_control`, of DMA_LOGGING_START. */
export const VfioDeviceFeatureDmaLoggingControl = new Struct("vfio_device_feature_dma_logging_control")
  .BigUInt64LE("page_size") // bytes, a power of two
  .UInt32LE("num_ranges")
  .UInt32LE("__reserved")
  .BigUInt64LE("ranges") // address of an array of VfioDeviceFeatureDmaLoggingRange
  .compile();
export type VfioDeviceFeatureDmaLoggingControl = Fields<typeof VfioDeviceFeatureDmaLoggingControl>;

/** `struct vfio_device_feature_dma_logging_range`: bytes of IOVA. */
export const VfioDeviceFeatureDmaLoggingRange = new Struct("vfio_device_feature_dma_logging_range")
  .BigUInt64LE("iova")
  .BigUInt64LE("length")
  .compile();
export type VfioDeviceFeatureDmaLoggingRange = Fields<typeof VfioDeviceFeatureDmaLoggingRange>;

/** `struct vfio_device_feature_dma_logging_report`, of DMA_LOGGING_REPORT: reads and clears; bits are only ever set. */
export const VfioDeviceFeatureDmaLoggingReport = new Struct("vfio_device_feature_dma_logging_report")
  .BigUInt64LE("iova")
  .BigUInt64LE("length") // bytes
  .BigUInt64LE("page_size") // bytes a bit
  .BigUInt64LE("bitmap") // address of an array of u64
  .compile();
export type VfioDeviceFeatureDmaLoggingReport = Fields<typeof VfioDeviceFeatureDmaLoggingReport>;
