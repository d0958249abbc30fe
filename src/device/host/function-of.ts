// From the host's devices, as disks and network interfaces, to the PCI functions that they are of.
import type { Sysroot } from "./sysroot.ts";
import { isBdfName } from "./pci-device.ts";

/** PCI functions on the way to a device of sysfs, by BDF: bridges, and last the one that it is of. */
export const functionsOn = (path: string | undefined): string[] => (path ?? "").split("/").filter(isBdfName);

/** Where a block device hangs in sysfs: once, or below each controller that reaches it. */
export function blockPaths(files: Sysroot, name: string): string[] {
  const path = files.resolve(`/sys/class/block/${name}`);
  if (path === undefined) return [];
  // A namespace that several NVMe controllers may reach hangs below their subsystem, not below one of them.
  const subsystem = /\/nvme-subsys\d+(?=\/)/.exec(path)?.[0];
  if (subsystem === undefined) return [path];
  const folder = `/sys/class/nvme-subsystem${subsystem}`;
  return files
    .list(folder)
    .filter((one) => /^nvme\d+$/.test(one))
    .flatMap((one) => files.resolve(`${folder}/${one}`) ?? []);
}
