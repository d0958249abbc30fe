// What sysfs and procfs say about a device, its group and who holds it: no more than opening and its errors need.
import { readdirSync, readFileSync, readlinkSync, statSync } from "node:fs";

/** Where the kernel's file systems are mounted; other places are for tests. */
export interface HostPaths {
  readonly sys: string;
  readonly dev: string;
  readonly proc: string;
}

export const hostPaths: HostPaths = { sys: "/sys", dev: "/dev", proc: "/proc" };

/** The last part of what a link points to; undefined where there is none. */
function linkName(path: string): string | undefined {
  try {
    return readlinkSync(path).split("/").at(-1);
  } catch {
    return undefined;
  }
}

/** The names in a folder; none where there is no such folder. */
function names(path: string): string[] {
  try {
    return readdirSync(path);
  } catch {
    return [];
  }
}

/** A file's text without white space around it; undefined where it cannot be read. */
export function readText(path: string): string | undefined {
  try {
    return readFileSync(path, "utf8").trim();
  } catch {
    return undefined;
  }
}

export function exists(path: string): boolean {
  try {
    statSync(path);
    return true;
  } catch {
    return false;
  }
}

export const deviceFolder = (host: HostPaths, bdf: string): string => `${host.sys}/bus/pci/devices/${bdf}`;

/** The driver that a device is bound to; undefined where it is bound to none. */
export const driverOf = (host: HostPaths, bdf: string): string | undefined =>
  linkName(`${deviceFolder(host, bdf)}/driver`);

/** The physical function of a virtual one; undefined for any other. */
export const physicalFunctionOf = (host: HostPaths, bdf: string): string | undefined =>
  linkName(`${deviceFolder(host, bdf)}/physfn`);

/** Whether a driver is one of VFIO's. */
export const isVfioDriver = (driver: string | undefined): boolean =>
  driver !== undefined && /(?:^|[-_])vfio(?:[-_]|$)/.test(driver);

/** An IOMMU group, or one that VFIO made up for a device without IOMMU. */
export interface GroupId {
  readonly number: number;
  readonly noiommu: boolean;
}

/** The group of a device; undefined where it has none. */
export function groupOf(host: HostPaths, bdf: string): GroupId | undefined {
  const name = linkName(`${deviceFolder(host, bdf)}/iommu_group`);
  if (name === undefined || !/^\d+$/.test(name)) return undefined;
  const noiommu = readText(`${host.sys}/kernel/iommu_groups/${name}/name`) === "vfio-noiommu";
  return { number: Number(name), noiommu };
}

/** `/dev/vfio/12`, `/dev/vfio/noiommu-0`. */
export const groupNode = (host: HostPaths, { number, noiommu }: GroupId): string =>
  `${host.dev}/vfio/${noiommu ? "noiommu-" : ""}${number}`;

export const containerNode = (host: HostPaths): string => `${host.dev}/vfio/vfio`;
export const iommufdNode = (host: HostPaths): string => `${host.dev}/iommu`;

/** `/dev/vfio/devices/vfio0`; undefined where the kernel has made none: sysfs names it even without cdev support. */
export function cdevNode(host: HostPaths, bdf: string): string | undefined {
  const name = names(`${deviceFolder(host, bdf)}/vfio-dev`).find((one) => /^vfio\d+$/.test(one));
  const node = name && `${host.dev}/vfio/devices/${name}`;
  return node && exists(node) ? node : undefined;
}

/** A device of a group. */
export interface GroupMember {
  readonly bdf: string;
  /** 24 bits, as 0x010802. */
  readonly classCode: number;
  readonly driver: string | undefined;
  /** It keeps the group from being given away: its driver may do DMA for the host. */
  readonly blocks: boolean;
}

/** Drivers that leave DMA to VFIO (`driver_managed_dma` in the kernel). */
const harmless: readonly string[] = ["pci-stub", "pcieport", "shpchp"];

/** The devices of a group, by BDF. */
export function groupMembers(host: HostPaths, number: number): GroupMember[] {
  return names(`${host.sys}/kernel/iommu_groups/${number}/devices`)
    .sort()
    .map((bdf) => {
      const driver = driverOf(host, bdf);
      const blocks = driver !== undefined && !isVfioDriver(driver) && !harmless.includes(driver);
      return { bdf, classCode: Number(readText(`${deviceFolder(host, bdf)}/class`) ?? 0), driver, blocks };
    });
}

/** A process that has a file open. */
export interface Holder {
  readonly pid: number;
  readonly command: string;
}

/**
 * Who has a device node open, as far as this process may look: others' descriptors are theirs alone without root.
 * @param except a descriptor of this process that does not count
 */
export function holdersOf(host: HostPaths, nodes: readonly string[], except?: number): Holder[] {
  const found: Holder[] = [];
  for (const name of names(host.proc)) {
    if (!/^\d+$/.test(name)) continue;
    const folder = `${host.proc}/${name}/fd`;
    const open = names(folder).some((fd) => {
      if (Number(name) === process.pid && Number(fd) === except) return false;
      try {
        return nodes.includes(readlinkSync(`${folder}/${fd}`));
      } catch {
        return false;
      }
    });
    if (open) found.push({ pid: Number(name), command: readText(`${host.proc}/${name}/comm`) ?? "?" });
  }
  return found;
}
