import type { HostFiles } from "./host-files.ts";
import type { PciDevice } from "./pci-device.ts";

/** A process that has a device node open. */
export interface NodeHolder {
  readonly pid: number;
  readonly name: string;
  /** As `/dev/vfio/14`. */
  readonly node: string;
}

/** The nodes of `/dev` through which user space drives a device: its group's and its own. */
export const deviceNodes = (files: HostFiles, { iommuGroup, cdev }: PciDevice): string[] =>
  [
    ...(iommuGroup === undefined ? [] : [`/dev/vfio/${iommuGroup}`, `/dev/vfio/noiommu-${iommuGroup}`]),
    ...(cdev === undefined ? [] : [`/dev/vfio/devices/${cdev}`]),
  ].filter((node) => files.exists(node));

/** The processes that have one of the nodes open, of those that this process may look at; root sees all. */
export function nodeHolders(files: HostFiles, nodes: readonly string[]): NodeHolder[] {
  if (nodes.length === 0) return [];
  const wanted = new Set(nodes);
  return files
    .list("/proc")
    .filter((name) => /^\d+$/.test(name))
    .flatMap((pid) => {
      const open = new Set(files.list(`/proc/${pid}/fd`).map((fd) => files.target(`/proc/${pid}/fd/${fd}`)));
      return [...open].flatMap((node) =>
        node !== undefined && wanted.has(node)
          ? [{ pid: Number(pid), name: files.text(`/proc/${pid}/comm`) ?? "unknown", node }]
          : [],
      );
    });
}
