// What a device says of itself (linux/vfio.h): the device, its regions, its interrupts.
import { bytesOf } from "../regs/ioctl/struct.ts";
import {
  VfioDeviceInfo,
  VfioDeviceInfoCapPciAtomicComp,
  vfioDeviceCapability,
  vfioDeviceFlag,
  vfioPciAtomicCompletion,
} from "../regs/ioctl/vfio-device.ts";
import { VfioIrqInfo, vfioIrqInfoFlag, vfioPciIrq } from "../regs/ioctl/vfio-irq.ts";
import type { IrqInfo } from "../regs/vfio/irqs.ts";
import { vfioRequest } from "../regs/ioctl/vfio-requests.ts";
import { valueName, type IoctlContext } from "./ioctl.ts";
import { askInfo, capabilityView, infoCapabilities, type InfoCapability } from "./vfio-info.ts";

/** What the kernel says of a device (VFIO_DEVICE_GET_INFO). */
export interface DeviceInfo {
  /** Of `vfioDeviceFlag`. */
  readonly flags: number;
  /** Whether vfio-pci, or a driver made of it, has it. */
  readonly isPci: boolean;
  /** DEVICE_RESET works. */
  readonly resettable: boolean;
  /** Highest region index + 1. */
  readonly regions: number;
  /** Highest interrupt index + 1. */
  readonly irqs: number;
  /** Widths in bits of the AtomicOps that the host completes for the device; undefined where the kernel does not say. */
  readonly atomicCompletion: readonly number[] | undefined;
  /** All of them, those above too. */
  readonly capabilities: readonly InfoCapability[];
}

/** VFIO_DEVICE_GET_INFO. @throws VfioError EINVAL for a cdev that is not bound yet */
export function getDeviceInfo(device: number, context: IoctlContext = {}): DeviceInfo {
  const what = { ...context, request: "VFIO_DEVICE_GET_INFO" };
  const info = askInfo(device, vfioRequest.DEVICE_GET_INFO, VfioDeviceInfo, () => {}, what);
  const has = (flag: number): boolean => (info.flags & flag) !== 0;
  const first = has(vfioDeviceFlag.CAPS) ? info.cap_offset : 0;
  const capabilities = infoCapabilities(bytesOf(info), first, VfioDeviceInfo.baseSize, what);
  const atomic = capabilities.find(({ id }) => id === vfioDeviceCapability.PCI_ATOMIC_COMP);
  const { COMP32, COMP64, COMP128 } = vfioPciAtomicCompletion;
  const widths = [
    [COMP32, 32],
    [COMP64, 64],
    [COMP128, 128],
  ] as const;
  const atomicFlags = atomic && capabilityView(VfioDeviceInfoCapPciAtomicComp, atomic.bytes, what).flags;
  return {
    flags: info.flags,
    isPci: has(vfioDeviceFlag.PCI),
    resettable: has(vfioDeviceFlag.RESET),
    regions: info.num_regions,
    irqs: info.num_irqs,
    atomicCompletion:
      atomicFlags === undefined
        ? undefined
        : widths.filter(([bit]) => (atomicFlags & bit) !== 0).map(([, width]) => width),
    capabilities,
  };
}

/** What the kernel says of one interrupt index (VFIO_DEVICE_GET_IRQ_INFO). */
export type DeviceIrqInfo = IrqInfo;

/** VFIO_DEVICE_GET_IRQ_INFO. @throws VfioError EINVAL for an index that the device does not have */
export function getIrqInfo(device: number, index: number, context: IoctlContext = {}): DeviceIrqInfo {
  const what = {
    ...context,
    request: () => `VFIO_DEVICE_GET_IRQ_INFO ${valueName(vfioPciIrq, index)}`,
  };
  const info = askInfo(
    device,
    vfioRequest.DEVICE_GET_IRQ_INFO,
    VfioIrqInfo,
    (irq) => void (irq.index = index),
    what,
  );
  const has = (flag: number): boolean => (info.flags & flag) !== 0;
  return {
    index,
    count: info.count,
    eventfd: has(vfioIrqInfoFlag.EVENTFD),
    maskable: has(vfioIrqInfoFlag.MASKABLE),
    automasked: has(vfioIrqInfoFlag.AUTOMASKED),
    noResize: has(vfioIrqInfoFlag.NORESIZE),
  };
}
