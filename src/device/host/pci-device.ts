import { formatBdf, parseBdf } from "../../regs/bdf.ts";
import { readableConfig } from "./config-file.ts";
import { deviceFolder, driverOf, isBoundToVfio } from "./device-folder.ts";
import type { Sysroot } from "./sysroot.ts";
import { parseResources, type PciResource } from "./resources.ts";
import { cdevName, isWithoutIommu } from "./vfio-nodes.ts";

/** A PCI function as `/sys/bus/pci/devices/BDF` describes it. Undefined where the host does not say. */
export interface PciDevice {
  /** In full, as `0000:01:00.0`. */
  readonly bdf: string;
  /** Where it sits, with every bridge above it: `/sys/devices/pci0000:00/0000:00:02.0/0000:01:00.0`. */
  readonly path: string;
  /** 16 bits; undefined where sysfs does not tell. */
  readonly vendorId: number | undefined;
  /** 16 bits; undefined where sysfs does not tell. */
  readonly deviceId: number | undefined;
  /** 16 bits; undefined where sysfs does not tell. */
  readonly subsystemVendorId: number | undefined;
  /** 16 bits; undefined where sysfs does not tell. */
  readonly subsystemId: number | undefined;
  /** 24 bits: base class 23:16, subclass 15:8, programming interface 7:0. */
  readonly classCode: number | undefined;
  /** 8 bits; undefined where sysfs does not tell. */
  readonly revision: number | undefined;
  /** It forwards the requests of others: a PCI-to-PCI bridge, as a root port, or one of its kind. */
  readonly bridge: boolean;
  /** Undefined: none has it. */
  readonly driver: string | undefined;
  /** The one driver that may bind to it, whatever IDs it knows. */
  readonly driverOverride: string | undefined;
  /** Bound to vfio-pci or a driver made of it. */
  readonly vfio: boolean;
  /** The kernel's number; undefined without an IOMMU. */
  readonly iommuGroup: number | undefined;
  /** VFIO has it without an IOMMU: nothing keeps it from writing all memory. */
  readonly noiommu: boolean;
  /** Undefined where the firmware does not tell. */
  readonly numaNode: number | undefined;
  /** BDF of the physical function that this one is a virtual function of. */
  readonly physicalFunction: string | undefined;
  /** BDFs of the virtual functions that are enabled. */
  readonly virtualFunctions: readonly string[];
  /** Virtual functions that it could have. */
  readonly maxVirtualFunctions: number | undefined;
  /** Ways to reset it in the order in which the kernel tries them: `flr`, `pm`, `bus`, ...; undefined before Linux 5.15. */
  readonly resetMethods: readonly string[] | undefined;
  /** Whether the kernel knows a way to reset it. */
  readonly resettable: boolean;
  /** The firmware's console is on it. */
  readonly bootVga: boolean;
  /** BARs by index 0 to 5, and the ROM with index 6; those that have a size. */
  readonly resources: readonly PciResource[];
  /** Bytes of config space that this process can read: 0, 64 (without privileges), 256 or 4096. */
  readonly configBytes: number;
  /** Name of its character device below `/dev/vfio/devices`, where there is one. */
  readonly cdev: string | undefined;
  /** What modules match, as udev has it. */
  readonly modalias: string | undefined;
  /** Attributes whose content makes no sense, told as `class: "0xzz"`. */
  readonly problems: readonly string[];
}

const devices = "/sys/bus/pci/devices";
const name = /^[0-9a-f]{4,8}:[0-9a-f]{2}:[01][0-9a-f]\.[0-7]$/;
/** Whether a directory is named as PCI functions are. */
export const isBdfName = (text: string): boolean => name.test(text);

/** PCI-to-PCI, CardBus and semi-transparent bridges: those with a header of another type. */
const bridgeClasses: readonly number[] = [0x0604, 0x0607, 0x0609];
/** Whether it is the host's own part: a bridge of any kind, the host bridge and the one to ISA among them. */
export const isHostPart = ({ classCode }: PciDevice): boolean =>
  classCode !== undefined && classCode >>> 16 === 0x06;

/** Every PCI function of the host, by BDF. */
export const readPciDevices = (files: Sysroot): PciDevice[] =>
  files
    .list(devices)
    .filter(isBdfName)
    .flatMap((bdf) => readPciDevice(files, bdf) ?? [])
    .sort((a, b) => order(a.bdf) - order(b.bdf));

const order = (bdf: string): number => {
  const { segment, bus, device, function: fn } = parseBdf(bdf);
  return ((segment * 256 + bus) * 32 + device) * 8 + fn;
};

/**
 * One PCI function; undefined where the host has none there.
 * @throws RangeError if `bdf` is no BDF
 */
export function readPciDevice(files: Sysroot, bdf: string): PciDevice | undefined {
  const full = formatBdf(parseBdf(bdf));
  const folder = deviceFolder(full);
  const path = files.resolve(folder);
  if (path === undefined) return undefined;
  const problems: string[] = [];
  const parsed = <T>(attribute: string, parse: (text: string) => T | undefined): T | undefined => {
    const text = files.text(`${folder}/${attribute}`);
    if (text === undefined) return undefined;
    const value = parse(text);
    if (value === undefined) problems.push(`${attribute}: ${JSON.stringify(text.slice(0, 40))}`);
    return value;
  };
  const hex = (attribute: string, digits: number): number | undefined =>
    parsed(attribute, (text) =>
      new RegExp(`^0x[0-9a-f]{1,${digits}}$`, "i").test(text) ? Number(text) : undefined,
    );
  const count = (attribute: string, max: number): number | undefined =>
    parsed(attribute, (text) => (/^-?\d{1,9}$/.test(text) && Number(text) <= max ? Number(text) : undefined));
  const words = (attribute: string): string[] | undefined =>
    files.text(`${folder}/${attribute}`)?.split(/\s+/).filter(Boolean);
  const bdfLink = (link: string): string | undefined => {
    const target = files.linkName(`${folder}/${link}`);
    return target !== undefined && isBdfName(target) ? target : undefined;
  };

  const names = files.list(folder);
  const classCode = hex("class", 6);
  const driverOverride = files.text(`${folder}/driver_override`);
  const group = files.linkName(`${folder}/iommu_group`);
  const numaNode = count("numa_node", 65535);
  const resetMethods = words("reset_method");
  return {
    bdf: full,
    path,
    vendorId: hex("vendor", 4),
    deviceId: hex("device", 4),
    subsystemVendorId: hex("subsystem_vendor", 4),
    subsystemId: hex("subsystem_device", 4),
    classCode,
    revision: hex("revision", 2),
    bridge: classCode !== undefined && bridgeClasses.includes(classCode >>> 8),
    driver: driverOf(files, full),
    driverOverride: driverOverride === "(null)" || driverOverride === "" ? undefined : driverOverride,
    vfio: isBoundToVfio(files, full),
    noiommu: isWithoutIommu(files, full),
    iommuGroup: group !== undefined && /^\d{1,9}$/.test(group) ? Number(group) : undefined,
    numaNode: numaNode === undefined || numaNode < 0 ? undefined : numaNode,
    physicalFunction: bdfLink("physfn"),
    virtualFunctions: names.filter((one) => /^virtfn\d+$/.test(one)).flatMap((one) => bdfLink(one) ?? []),
    maxVirtualFunctions: count("sriov_totalvfs", 65535),
    resetMethods,
    resettable: resetMethods ? resetMethods.length > 0 : names.includes("reset"),
    bootVga: files.text(`${folder}/boot_vga`) === "1",
    resources: parsed("resource", parseResources) ?? [],
    configBytes: readableConfig(files, full),
    cdev: cdevName(files, full),
    modalias: files.text(`${folder}/modalias`),
    problems,
  };
}
