// The folder of a PCI function in sysfs, and the links of it that one needs without the rest.
import type { Sysroot } from "./sysroot.ts";

/** `/sys/bus/pci/devices/0000:01:00.0`. */
export const deviceFolder = (bdf: string): string => `/sys/bus/pci/devices/${bdf}`;

/** The driver that a function is bound to; undefined where it is bound to none. */
export const driverOf = (files: Sysroot, bdf: string): string | undefined =>
  files.linkName(`${deviceFolder(bdf)}/driver`);

/** The physical function of a virtual one; undefined for any other. */
export const physicalFunctionOf = (files: Sysroot, bdf: string): string | undefined =>
  files.linkName(`${deviceFolder(bdf)}/physfn`);

/** Whether a driver is vfio-pci, or one made of it, which is named after it: `mlx5_vfio_pci`, `hisi-acc-vfio-pci`. */
export const isVfioDriver = (driver: string): boolean => /(?:^|[-_])vfio[-_]pci$/.test(driver);

/** Whether a function is bound to vfio-pci or a driver made of it, whatever that is called. */
export function isBoundToVfio(files: Sysroot, bdf: string): boolean {
  const driver = driverOf(files, bdf);
  return driver !== undefined && (isVfioDriver(driver) || files.exists(`${deviceFolder(bdf)}/vfio-dev`));
}
