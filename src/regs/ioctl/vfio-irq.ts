// linux/vfio.h: interrupts of a device.
import { IrqIndex } from "../vfio/irqs.ts";
import { constants } from "./constants.ts";
import { Struct, type Fields } from "./struct.ts";

/** `VFIO_PCI_*_IRQ_INDEX`: interrupt indexes of vfio-pci. */
export const vfioPciIrq = constants(
  "VFIO_PCI_",
  {
    INTX: IrqIndex.intx,
    MSI: IrqIndex.msi,
    MSIX: IrqIndex.msix,
    ERR: IrqIndex.error,
    REQ: IrqIndex.request,
  },
  "_IRQ_INDEX",
);

/** `struct vfio_irq_info`, of DEVICE_GET_IRQ_INFO. */
export const VfioIrqInfo = new Struct("vfio_irq_info")
  .UInt32LE("argsz")
  .UInt32LE("flags") // vfioIrqInfoFlag
  .UInt32LE("index") // in
  .UInt32LE("count") // vectors
  .compile();
export type VfioIrqInfo = Fields<typeof VfioIrqInfo>;

/** `VFIO_IRQ_INFO_*`. NORESIZE clear: vectors may be added while others are enabled. */
export const vfioIrqInfoFlag = constants("VFIO_IRQ_INFO_", {
  EVENTFD: 1,
  MASKABLE: 2,
  AUTOMASKED: 4,
  NORESIZE: 8,
});

/**
 * `struct vfio_irq_set`, of DEVICE_SET_IRQS. Tail: nothing for DATA_NONE, one byte a vector for DATA_BOOL, a 32-bit file
 * descriptor (-1 = none) a vector for DATA_EVENTFD. `argsz` counts the tail.
 */
export const VfioIrqSet = new Struct("vfio_irq_set")
  .UInt32LE("argsz")
  .UInt32LE("flags") // one DATA and one ACTION of vfioIrqSetFlag
  .UInt32LE("index")
  .UInt32LE("start") // first vector
  .UInt32LE("count") // vectors
  .Buffer("data")
  .compile();
export type VfioIrqSet = Fields<typeof VfioIrqSet>;

/** `VFIO_IRQ_SET_*`. */
export const vfioIrqSetFlag = constants("VFIO_IRQ_SET_", {
  DATA_NONE: 0x1,
  DATA_BOOL: 0x2,
  DATA_EVENTFD: 0x4,
  ACTION_MASK: 0x8,
  ACTION_UNMASK: 0x10,
  ACTION_TRIGGER: 0x20,
  DATA_TYPE_MASK: 0x7,
  ACTION_TYPE_MASK: 0x38,
});
