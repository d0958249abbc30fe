// Interrupts of a PCI device in VFIO's words (linux/vfio.h): their indexes, what is told of each, and what can be asked.

/** Interrupt indexes of a VFIO PCI device (VFIO_PCI_*_IRQ_INDEX); device-specific ones follow from 5 on. */
export const IrqIndex = { intx: 0, msi: 1, msix: 2, error: 3, request: 4 } as const;

/** One interrupt index of a device, as VFIO_DEVICE_GET_IRQ_INFO tells it. */
export interface IrqInfo {
  /** Of `IrqIndex`, or device-specific. */
  readonly index: number;
  /** Vectors. */
  readonly count: number;
  /** Whether an eventfd can be signalled by it. */
  readonly eventfd: boolean;
  /** Whether it can be masked by a request. */
  readonly maskable: boolean;
  /** Whether each of its interrupts masks it until it is unmasked. */
  readonly automasked: boolean;
  /** Vectors cannot be added while others are enabled. */
  readonly noResize: boolean;
}

/** A VFIO_DEVICE_SET_IRQS request: what to do with which vectors. A file descriptor of -1 takes a vector's eventfd away. */
export interface IrqRequest {
  /** Of `IrqIndex`, or device-specific. */
  readonly index: number;
  /** What to do. */
  readonly action: "trigger" | "mask" | "unmask";
  /** First vector. */
  readonly start: number;
  /** For which of them: by eventfds, by yes or no, or all alike. */
  readonly data:
    | { readonly kind: "none"; readonly count: number }
    | { readonly kind: "bool"; readonly values: readonly boolean[] }
    | { readonly kind: "eventfd"; readonly fds: readonly number[] };
}

const names: readonly string[] = ["INTX", "MSI", "MSIX", "ERR", "REQ"];
const limits: readonly number[] = [1, 32, 2048, 1, 1];

/** How many interrupt indexes every VFIO PCI device has, absent ones counted (VFIO_PCI_NUM_IRQS). */
export const irqCount: number = names.length;

/** `INTX`, `MSI`, `MSIX`, `ERR`, `REQ`; `IRQ5` and up for device-specific ones. */
export const irqName = (index: number): string => names[index] ?? `IRQ${index}`;

/** The most vectors that an interrupt index can have. */
export const irqLimit = (index: number): number => limits[index] ?? 65535;

/** An interrupt index that a device does not have: no vectors, no flags. */
export const absentIrq = (index: number): IrqInfo => ({
  index,
  count: 0,
  eventfd: false,
  maskable: false,
  automasked: false,
  noResize: false,
});
