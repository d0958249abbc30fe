// DEVICE_GET_INFO, DEVICE_FEATURE and the migration stream: asked and answered in the structs of linux/vfio.h.
import { wireStruct } from "../wire.ts";

/** DEVICE_GET_INFO, and its reply. */
export const deviceInfo = wireStruct(16, { argsz: "u32", flags: "u32", regions: "u32", irqs: "u32" });
/** VFIO_DEVICE_FLAGS_* of linux/vfio.h. */
export const deviceFlag = { reset: 1, pci: 2 } as const;

/** DEVICE_FEATURE, and the beginning of its reply; the feature's data follow. `flags` has the feature in bits 0 to 15. */
export const feature = wireStruct(8, { argsz: "u32", flags: "u32" });
/** VFIO_DEVICE_FEATURE_* of linux/vfio.h. */
export const featureFlag = { mask: 0xffff, get: 2 ** 16, set: 2 ** 17, probe: 2 ** 18 } as const;

/** MIG_DATA_READ and MIG_DATA_WRITE, and the reply to the first; data follows a write and a reply. In bytes. */
export const migrationData = wireStruct(8, { argsz: "u32", size: "u32" });
