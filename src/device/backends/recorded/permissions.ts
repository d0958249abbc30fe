// What Linux's vfio-pci lets its user see and write of config space, as data: for each capability the bits that it keeps
// itself (`virtual`) and the bits that a write changes (`write`). Facts of drivers/vfio/pci/vfio_pci_config.c, Linux 6.12.
// What a table does not name is read from the device and not writable.

/** One register of a table: bytes from the capability's start, width in bytes, the two masks. */
export interface Permission {
  readonly at: number;
  readonly width: 1 | 2 | 4;
  readonly virtual: number;
  readonly write: number;
}
const all = 0xffffffff;
const row = (at: number, width: 1 | 2 | 4, virtual: number, write: number): Permission => ({
  at,
  width,
  virtual,
  write,
});

/** How writes of a capability are let through: by a table, or all of them as they are. */
export type CapabilityPermissions = readonly Permission[] | "raw";

/** The first 64 bytes. */
export const headerPermissions: readonly Permission[] = [
  row(0x00, 4, all, 0),
  // Memory, I/O and bus master reach the device; the interrupt disable bit is vfio-pci's.
  row(0x04, 2, 0x0400, 0xffff),
  row(0x06, 2, 0x0010, 0),
  row(0x0c, 2, 0, 0xffff),
  row(0x0f, 1, 0, 0xff),
  ...[0x10, 0x14, 0x18, 0x1c, 0x20, 0x24, 0x30].map((at) => row(at, 4, all, all)),
  row(0x34, 1, 0xff, 0),
  row(0x3c, 1, 0xff, 0xff),
  row(0x3d, 1, 0xff, 0),
];

/** Bits of PM that vfio-pci keeps, and starts at zero: wake-up is the host's. */
export const pmeSupport = 0xf800;
export const pmeControl = 0x8100;
const powerState = 0x0003;

/** MSI by its layout: flags, address and data are virtual; mask and pending bits are the device's. */
export function msiPermissions(wide: boolean, maskable: boolean): readonly Permission[] {
  const data = wide ? 12 : 8;
  const rows = [row(2, 1, 0xff, 0xff), row(4, 4, all, all), row(data, 2, 0xffff, 0xffff)];
  if (wide) rows.push(row(8, 4, all, all));
  if (maskable) rows.push(row(data + 4, 4, 0, all), row(data + 8, 4, 0, all));
  return rows;
}

/** Of standard capabilities, but for MSI. One that is not here is read-only. */
export const standardPermissions: ReadonlyMap<number, CapabilityPermissions> = new Map<
  number,
  CapabilityPermissions
>([
  // PM: the state is changed by the host at the user's request.
  [0x01, [row(2, 2, pmeSupport, 0), row(4, 4, pmeControl, (all & ~(pmeControl | powerState)) >>> 0)]],
  // VPD: the host does the transfers.
  [0x03, [row(2, 2, 0xffff, 0xffff), row(4, 4, all, all)]],
  // PCI-X.
  [0x07, [row(2, 2, 0, 0xffff), row(8, 4, 0, all)]],
  [0x09, "raw"],
  // PCI Express: payload and read request sizes, and the reset bit, are virtual; phantom functions and ARI are the host's.
  [0x10, [row(8, 2, 0xf0e0, 0xfdff), row(40, 2, 0, 0xffdf)]],
  // AF: the reset bit.
  [0x13, [row(4, 1, 0x01, 0x01)]],
]);

/** The error bits that the kernel knows; those above bit 25 are younger than its table. */
const uncorrectable = 0x03fff031;
const correctable = 0x0000f1c1;

/** Of extended capabilities. One that is not here is read-only. */
export const extendedPermissions: ReadonlyMap<number, CapabilityPermissions> = new Map<
  number,
  CapabilityPermissions
>([
  [
    0x01,
    [
      row(0x04, 4, 0, uncorrectable),
      row(0x08, 4, 0, uncorrectable),
      row(0x0c, 4, 0, uncorrectable),
      row(0x10, 4, 0, correctable),
      row(0x14, 4, 0, correctable),
      row(0x18, 4, 0, 0x140),
    ],
  ],
  // Power budgeting: meant for the data select register, but the table of the kernel has the data register.
  [0x04, [row(8, 1, 0, 0xff)]],
  [0x0b, "raw"],
  [0x23, "raw"],
]);
