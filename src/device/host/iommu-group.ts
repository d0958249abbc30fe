import type { Sysroot } from "./sysroot.ts";
import { isBdfName, readPciDevice, type PciDevice } from "./pci-device.ts";

/**
 * What a member does to its group: bound to a VFIO driver, to one that never drives it (`stub`), to none, a bridge, or
 * bound to a driver of the host, which keeps the group from user space.
 */
export type MemberState = "vfio" | "stub" | "unbound" | "bridge" | "blocks";

/** A device of an IOMMU group. */
export interface GroupMember {
  /** BDF, or the name of a device that is no PCI function. */
  readonly name: string;
  /** Undefined: none has it. */
  readonly driver: string | undefined;
  /** What it does to its group. */
  readonly state: MemberState;
  /** Undefined for a device that is no PCI function. */
  readonly pci: PciDevice | undefined;
}

/** A range of IOVAs that an IOMMU group reserves, its last byte included; 64 bits. */
export interface ReservedRegion {
  /** The first address. */
  readonly start: bigint;
  /** The last address. */
  readonly end: bigint;
  /** `msi`: its writes interrupt; `direct`: mapped one to one for firmware; `direct-relaxable`; `reserved`. */
  readonly kind: string;
}

/** The smallest set of devices that the IOMMU keeps apart from others. */
export interface IommuGroup {
  /** The kernel's number. */
  readonly id: number;
  /** Type of its default domain: `DMA`, `DMA-FQ`, `identity`. */
  readonly domain: string | undefined;
  /** There is no IOMMU behind it: made by vfio for `enable_unsafe_noiommu_mode`. */
  readonly noiommu: boolean;
  /** All functions of it, by BDF. */
  readonly members: readonly GroupMember[];
  /** No member blocks it: what VFIO_GROUP_GET_STATUS calls viable. */
  readonly viable: boolean;
  /** What no mapping may use. */
  readonly reserved: readonly ReservedRegion[];
}

const groups = "/sys/kernel/iommu_groups";
const maxReserved = 4096;

/** Every IOMMU group of the host, by number. @param devices those of `readPciDevices` */
export function readGroups(files: Sysroot, devices: readonly PciDevice[]): IommuGroup[] {
  const known = new Map(devices.map((device) => [device.bdf, device]));
  return files
    .list(groups)
    .filter((name) => /^\d{1,9}$/.test(name))
    .map(Number)
    .sort((a, b) => a - b)
    .map((id) => groupOf(files, id, (bdf) => known.get(bdf)));
}

/** One IOMMU group; undefined where the host has none of that number. */
export function readGroup(files: Sysroot, id: number): IommuGroup | undefined {
  if (!files.exists(`${groups}/${id}/devices`)) return undefined;
  return groupOf(files, id, (bdf) => readPciDevice(files, bdf));
}

function groupOf(files: Sysroot, id: number, find: (bdf: string) => PciDevice | undefined): IommuGroup {
  const folder = `${groups}/${id}`;
  const members = files.list(`${folder}/devices`).map((name): GroupMember => {
    const pci = isBdfName(name) ? find(name) : undefined;
    const driver = pci ? pci.driver : files.linkName(`${folder}/devices/${name}/driver`);
    return { name, driver, state: memberState(driver, pci), pci };
  });
  return {
    id,
    domain: files.text(`${folder}/type`),
    noiommu: files.text(`${folder}/name`) === "vfio-noiommu",
    members,
    viable: members.every(({ state }) => state !== "blocks"),
    reserved: parseReserved(files.lines(`${folder}/reserved_regions`)),
  };
}

/**
 * The kernel lets go of a group when every member has no driver, a VFIO driver, or one that leaves DMA to user space:
 * pci-stub and pcieport (`driver_managed_dma` in drivers/pci; iommu_device_use_default_domain in drivers/iommu/iommu.c).
 * A bridge with any other driver, as shpchp, blocks from Linux 6.0 on; before that no bridge did (drivers/vfio/vfio.c).
 */
export function memberState(driver: string | undefined, pci: PciDevice | undefined): MemberState {
  if (driver === undefined) return pci?.bridge ? "bridge" : "unbound";
  if (pci?.vfio || (!pci && /^vfio[-_]/.test(driver))) return "vfio";
  if (driver === "pci-stub") return "stub";
  return driver === "pcieport" ? "bridge" : "blocks";
}

/** Lines of `reserved_regions`, as `0x00000000fee00000 0x00000000feefffff msi`; others are left out. */
export const parseReserved = (lines: readonly string[]): ReservedRegion[] =>
  lines.slice(0, maxReserved).flatMap((line) => {
    const parts = /^0x([0-9a-f]{1,16}) 0x([0-9a-f]{1,16}) ([a-z-]{1,20})$/i.exec(line);
    if (!parts) return [];
    const [start, end] = [BigInt(`0x${parts[1]}`), BigInt(`0x${parts[2]}`)];
    return end < start ? [] : [{ start, end, kind: parts[3]! }];
  });
