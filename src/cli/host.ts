import { Sysroot } from "../device/host/sysroot.ts";
import { readHostInfo, type HostInfo } from "../device/host/host-info.ts";
import { readInUse, type InUse } from "../device/host/in-use.ts";
import { readGroups, type IommuGroup } from "../device/host/iommu-group.ts";
import { functionsNamed, readKernelNames, type KernelNames } from "../device/host/kernel-names.ts";
import { readPciDevice, readPciDevices, type PciDevice } from "../device/host/pci-device.ts";
import { formatBdf, parseBdf } from "../regs/bdf.ts";
import { hexDigits } from "../regs/hex-text.ts";
import { CliError } from "./failure.ts";

/** The host to look at: this one, or for tests the copy that BUN_VFIO_ROOT names. */
export const sysroot = (): Sysroot => new Sysroot(process.env["BUN_VFIO_ROOT"] || "/");

/** All that the commands about the host's devices look at. */
export interface HostState {
  readonly files: Sysroot;
  readonly host: HostInfo;
  readonly devices: readonly PciDevice[];
  readonly groups: readonly IommuGroup[];
  readonly uses: ReadonlyMap<string, readonly InUse[]>;
  readonly names: ReadonlyMap<string, KernelNames>;
}

export function readHostState(files: Sysroot = sysroot()): HostState {
  const devices = readPciDevices(files);
  return {
    files,
    host: readHostInfo(files),
    devices,
    groups: readGroups(files, devices),
    uses: readInUse(files),
    names: readKernelNames(files),
  };
}

/** What is written as a BDF is, right or wrong. */
export const looksLikeBdf = (text: string): boolean =>
  /^[0-9a-f]{1,8}(?::[0-9a-f]+){1,2}\.[0-9a-f]+$/i.test(text);

/**
 * The functions that a word of the user's stands for: a BDF in full or of domain 0, `vendor:device`, or what the kernel
 * calls its interface, disk or controller. None where there is none.
 * @throws CliError for a BDF that is none
 */
export function devicesOf(files: Sysroot, text: string): PciDevice[] {
  if (looksLikeBdf(text)) {
    try {
      return [readPciDevice(files, formatBdf(parseBdf(text))) ?? []].flat();
    } catch (error) {
      throw new CliError((error as Error).message);
    }
  }
  if (/^[0-9a-f]{4}:[0-9a-f]{4}$/i.test(text))
    return readPciDevices(files).filter((device) => idsText(device) === text.toLowerCase());
  return functionsNamed(files, text).flatMap((bdf) => readPciDevice(files, bdf) ?? []);
}

/** Whether a word is written as a BDF is, or stands for a function of the host. */
export const namesDevice = (files: Sysroot, text: string): boolean =>
  looksLikeBdf(text) || devicesOf(files, text).length > 0;

/** The one function that a word of the user's stands for. @throws CliError where it is none, not there, or several */
export function findDevice(files: Sysroot, text: string): PciDevice {
  const [device, ...others] = devicesOf(files, text);
  if (!device) {
    const lists = "bun-vfio ls lists those it has";
    if (looksLikeBdf(text))
      throw new CliError(`${formatBdf(parseBdf(text))}: this host has no such device; ${lists}`);
    throw new CliError(
      `${JSON.stringify(text.slice(0, 80))}: this host has no such device: expected a BDF, vendor:device, or the name of an interface or disk; ${lists}`,
    );
  }
  if (others.length > 0)
    throw new CliError(
      `${text}: several devices: ${[device, ...others].map(({ bdf }) => bdf).join(", ")}; give the BDF of one`,
    );
  return device;
}

/** `1b36:0010`. */
export const idsText = ({ vendorId, deviceId }: PciDevice): string =>
  [vendorId, deviceId].map((id) => (id === undefined ? "????" : hexDigits(id, 4))).join(":");

/** Base class and subclass: `0108`. */
export const classText = ({ classCode }: PciDevice): string =>
  classCode === undefined ? "????" : hexDigits(classCode >>> 8, 4);
