// linux/vfio.h: hot reset (a bus or slot and all functions on it).
import { constants } from "./constants.ts";
import { Struct, type Fields } from "./struct.ts";

/** `struct vfio_pci_dependent_device`: a function that the reset would touch. */
export const VfioPciDependentDevice = new Struct("vfio_pci_dependent_device")
  .UInt32LE(["group_id", "devid"]) // devid where the DEV_ID flag is set: an iommufd object or vfioPciDevid
  .UInt16LE("segment")
  .UInt8("bus")
  .UInt8("devfn") // device << 3 | function
  .compile();
export type VfioPciDependentDevice = Fields<typeof VfioPciDependentDevice>;

/** `VFIO_PCI_DEVID_*`. C has NOT_OWNED as -1; here it is the 32 bits of the field. */
export const vfioPciDevid = constants("VFIO_PCI_DEVID_", { OWNED: 0, NOT_OWNED: 0xffff_ffff });

/** `struct vfio_pci_hot_reset_info`, of DEVICE_GET_PCI_HOT_RESET_INFO. Tail: 8 bytes a device. */
export const VfioPciHotResetInfo = new Struct("vfio_pci_hot_reset_info")
  .UInt32LE("argsz")
  .UInt32LE("flags") // vfioPciHotResetFlag
  .UInt32LE("count")
  .StructArray("devices", VfioPciDependentDevice)
  .compile();
export type VfioPciHotResetInfo = Fields<typeof VfioPciHotResetInfo>;

/** `VFIO_PCI_HOT_RESET_FLAG_*`. */
export const vfioPciHotResetFlag = constants("VFIO_PCI_HOT_RESET_FLAG_", { DEV_ID: 1, DEV_ID_OWNED: 2 });

/**
 * `struct vfio_pci_hot_reset`, of DEVICE_PCI_HOT_RESET. Tail: 4 bytes a file descriptor of each affected group; none
 * (count 0) for a device bound to an iommufd.
 */
export const VfioPciHotReset = new Struct("vfio_pci_hot_reset")
  .UInt32LE("argsz")
  .UInt32LE("flags") // 0
  .UInt32LE("count")
  .Int32Array("group_fds")
  .compile();
export type VfioPciHotReset = Fields<typeof VfioPciHotReset>;
