// The folder of a PCI function in sysfs, and the links of it that one needs without the rest.
import type { HostFiles } from "./host-files.ts";

/** `/sys/bus/pci/devices/0000:01:00.0`. */
export const deviceFolder = (bdf: string): string => `/sys/bus/pci/devices/${bdf}`;

/** The driver that a function is bound to; undefined where it is bound to none. */
export const driverOf = (files: HostFiles, bdf: string): string | undefined =>
  files.linkName(`${deviceFolder(bdf)}/driver`);

/** The physical function of a virtual one; undefined for any other. */
export const physicalFunctionOf = (files: HostFiles, bdf: string): string | undefined =>
  files.linkName(`${deviceFolder(bdf)}/physfn`);

/** Drivers made of vfio-pci are named after it: `mlx5_vfio_pci`, `hisi-acc-vfio-pci`. */
const vfioDriver = /(?:^|[-_])vfio[-_]pci$/;

/** Whether a function is bound to vfio-pci or a driver made of it, whatever that is called. */
export function isBoundToVfio(files: HostFiles, bdf: string): boolean {
  const driver = driverOf(files, bdf);
  return driver !== undefined && (vfioDriver.test(driver) || files.exists(`${deviceFolder(bdf)}/vfio-dev`));
}
