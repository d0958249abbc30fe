// linux/vfio.h: device information and its capabilities.
import { constants } from "./constants.ts";
import { Struct, type Fields } from "./struct.ts";
import { VfioInfoCapHeader } from "./vfio-container.ts";

/** `struct vfio_device_info`, of DEVICE_GET_INFO. Kernels before 6.6 know 20 bytes of it. */
export const VfioDeviceInfo = new Struct("vfio_device_info")
  .UInt32LE("argsz")
  .UInt32LE("flags") // vfioDeviceFlag
  .UInt32LE("num_regions") // highest index + 1
  .UInt32LE("num_irqs") // highest index + 1
  .UInt32LE("cap_offset")
  .UInt32LE("pad")
  .compile();
export type VfioDeviceInfo = Fields<typeof VfioDeviceInfo>;

/** `VFIO_DEVICE_FLAGS_*`. */
export const vfioDeviceFlag = constants("VFIO_DEVICE_FLAGS_", {
  RESET: 0x1, // DEVICE_RESET works
  PCI: 0x2,
  PLATFORM: 0x4,
  AMBA: 0x8,
  CCW: 0x10,
  AP: 0x20,
  FSL_MC: 0x40,
  CAPS: 0x80, // cap_offset is valid
  CDX: 0x100,
});

/** `VFIO_DEVICE_INFO_CAP_*`: ids in the device's capability chain. */
export const vfioDeviceCapability = constants("VFIO_DEVICE_INFO_CAP_", {
  ZPCI_BASE: 1,
  ZPCI_GROUP: 2,
  ZPCI_UTIL: 3,
  ZPCI_PFIP: 4,
  PCI_ATOMIC_COMP: 5,
});

/** `struct vfio_device_info_cap_pci_atomic_comp`: which AtomicOps the host completes for the device. */
export const VfioDeviceInfoCapPciAtomicComp = new Struct("vfio_device_info_cap_pci_atomic_comp")
  .Struct("header", VfioInfoCapHeader)
  .UInt32LE("flags") // vfioPciAtomicCompletion
  .UInt32LE("reserved")
  .compile();
export type VfioDeviceInfoCapPciAtomicComp = Fields<typeof VfioDeviceInfoCapPciAtomicComp>;

/** `VFIO_PCI_ATOMIC_COMP*`: operand widths in bits. */
export const vfioPciAtomicCompletion = constants("VFIO_PCI_ATOMIC_", { COMP32: 1, COMP64: 2, COMP128: 4 });

/** `struct vfio_device_ioeventfd`, of DEVICE_IOEVENTFD: a device write of `data` at `offset` for each signal of `fd`. */
export const VfioDeviceIoeventfd = new Struct("vfio_device_ioeventfd")
  .UInt32LE("argsz")
  .UInt32LE("flags") // vfioDeviceIoeventfdFlag
  .BigUInt64LE("offset") // in the device file, bytes
  .BigUInt64LE("data")
  .Int32LE("fd") // -1 takes it back
  .UInt32LE("reserved")
  .compile();
export type VfioDeviceIoeventfd = Fields<typeof VfioDeviceIoeventfd>;

/** `VFIO_DEVICE_IOEVENTFD_*`: the width of the write in bits. */
export const vfioDeviceIoeventfdFlag = constants("VFIO_DEVICE_IOEVENTFD_", {
  "8": 0x1,
  "16": 0x2,
  "32": 0x4,
  "64": 0x8,
  SIZE_MASK: 0xf,
});
