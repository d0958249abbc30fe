import { HostFiles } from "../device/host/host-files.ts";
import { readHost, type Host } from "../device/host/host-info.ts";
import { readHostUse, type HostUse } from "../device/host/host-use.ts";
import { readGroups, type IommuGroup } from "../device/host/iommu-group.ts";
import { readPciDevice, readPciDevices, type PciDevice } from "../device/host/pci-device.ts";
import { formatBdf, parseBdf } from "../regs/bdf.ts";
import { CliError } from "./failure.ts";

/** The host to look at: this one, or for tests the copy that BUN_VFIO_ROOT names. */
export const hostFiles = (): HostFiles => new HostFiles(process.env["BUN_VFIO_ROOT"] || "/");

/** All that the commands about the host's devices look at. */
export interface HostView {
  readonly files: HostFiles;
  readonly host: Host;
  readonly devices: readonly PciDevice[];
  readonly groups: readonly IommuGroup[];
  readonly uses: ReadonlyMap<string, readonly HostUse[]>;
}

export function viewHost(files: HostFiles = hostFiles()): HostView {
  const devices = readPciDevices(files);
  return {
    files,
    host: readHost(files),
    devices,
    groups: readGroups(files, devices),
    uses: readHostUse(files),
  };
}

/** A function that the user named, by a BDF in full or of domain 0. @throws CliError where it is none, or not there */
export function findDevice(files: HostFiles, text: string): PciDevice {
  let bdf: string;
  try {
    bdf = formatBdf(parseBdf(text));
  } catch (error) {
    throw new CliError((error as Error).message);
  }
  const device = readPciDevice(files, bdf);
  if (!device) throw new CliError(`${bdf}: this host has no such device; bun-vfio ls lists those it has`);
  return device;
}

/** `1b36:0010`. */
export const idsText = ({ vendorId, deviceId }: PciDevice): string =>
  [vendorId, deviceId].map((id) => id?.toString(16).padStart(4, "0") ?? "????").join(":");

/** Base class and subclass: `0108`. */
export const classText = ({ classCode }: PciDevice): string =>
  classCode === undefined ? "????" : (classCode >>> 8).toString(16).padStart(4, "0");
