// The nodes of /dev through which user space reaches VFIO, and which of them are a function's.
import type { Sysroot } from "./sysroot.ts";
import { deviceFolder, isBoundToVfio } from "./device-folder.ts";

export const containerNode = "/dev/vfio/vfio";
export const iommufdNode = "/dev/iommu";

/** The number of an IOMMU group, or of one that VFIO made up for a device without IOMMU. */
export interface GroupId {
  readonly number: number;
  readonly noiommu: boolean;
}

/** The group of a function; undefined where it has none, or is not there. */
export function groupIdOf(files: Sysroot, bdf: string): GroupId | undefined {
  const number = files.linkName(`${deviceFolder(bdf)}/iommu_group`);
  if (number === undefined || !/^\d{1,9}$/.test(number)) return undefined;
  const noiommu = files.text(`/sys/kernel/iommu_groups/${number}/name`) === "vfio-noiommu";
  return { number: Number(number), noiommu };
}

/** `/dev/vfio/12`, `/dev/vfio/noiommu-0`. */
export const groupNode = ({ number, noiommu }: GroupId): string =>
  `/dev/vfio/${noiommu ? "noiommu-" : ""}${number}`;

/**
 * `vfio3`, `noiommu-vfio3`: the name of a function's own node in `/dev/vfio/devices`; undefined where there is no such node, since the
 * kernel shows the name whether or not it was built to make one.
 */
export const cdevName = (files: Sysroot, bdf: string): string | undefined =>
  files
    .list(`${deviceFolder(bdf)}/vfio-dev`)
    .find((name) => /^(?:noiommu-)?vfio\d+$/.test(name) && files.exists(`/dev/vfio/devices/${name}`));

/** `/dev/vfio/devices/vfio3`; undefined where there is no such node. */
export function cdevNode(files: Sysroot, bdf: string): string | undefined {
  const name = cdevName(files, bdf);
  return name === undefined ? undefined : `/dev/vfio/devices/${name}`;
}

/**
 * Whether VFIO has a function without an IOMMU, so that nothing keeps it from writing all memory: it is bound to a VFIO
 * driver, and its group is one that VFIO made up, or it has none, or its own node says so: `noiommu-vfio0`, from Linux 7.3
 * on (vfio_device_set_noiommu_and_name in drivers/vfio/vfio_main.c).
 */
export function isWithoutIommu(files: Sysroot, bdf: string): boolean {
  if (!isBoundToVfio(files, bdf)) return false;
  const group = groupIdOf(files, bdf);
  return group === undefined || group.noiommu || cdevName(files, bdf)?.startsWith("noiommu-") === true;
}

/** The nodes that a function's user has open: its group's and its own, of those that are there. */
export function deviceNodes(files: Sysroot, bdf: string): string[] {
  const group = groupIdOf(files, bdf);
  return [group && groupNode(group), cdevNode(files, bdf)].filter(
    (node) => node !== undefined && files.exists(node),
  ) as string[];
}
