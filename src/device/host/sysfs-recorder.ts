import { closeSync, openSync, writeSync } from "node:fs";
import { VfioError } from "../../ffi/errors.ts";
import { maxContentBytes, type DeviceImage, type ImageHost } from "../../image/image.ts";
import { imageFromRaw } from "../../image/raw.ts";
import { readConfigFile } from "./config-file.ts";
import { errorText } from "./error-text.ts";
import type { Sysroot } from "./sysroot.ts";
import { readHostInfo, type HostIommu } from "./host-info.ts";
import { deviceFolder } from "./device-folder.ts";
import type { PciDevice } from "./pci-device.ts";

const iommuNames: Readonly<Record<HostIommu["type"], string>> = {
  intel: "Intel VT-d",
  amd: "AMD-Vi",
  smmu: "Arm SMMU",
  virtio: "virtio-iommu",
  other: "another IOMMU",
};

/** Where a recording comes from. */
export function imageHost(files: Sysroot, { driver, iommuGroup }: PciDevice): ImageHost {
  const { kernel, iommus } = readHostInfo(files);
  const iommu = iommuGroup === undefined ? undefined : iommus[0] && iommuNames[iommus[0].type];
  return {
    ...(kernel !== undefined && { kernel }),
    ...(iommu !== undefined && { iommu }),
    ...(driver !== undefined && { driver }),
  };
}

/**
 * Records a device from sysfs alone, whatever driver it has: config space as far as this process may read it, BARs by
 * their resources, interrupts by their capabilities. What BARs hold can be had through VFIO alone.
 * @param options `rom`: the ROM's contents as well, which asks the device for them
 * @throws VfioError where config space or the ROM cannot be read; ImageError where sysfs makes no sense
 */
export function recordFromSysfs(
  files: Sysroot,
  device: PciDevice,
  { rom = false }: { readonly rom?: boolean | undefined } = {},
): DeviceImage {
  const { bdf, resettable } = device;
  const config = readConfigFile(files, bdf);
  if (device.physicalFunction !== undefined) completeVirtual(config, device);
  const image = imageFromRaw({
    bdf,
    config,
    resource: files.text(`${deviceFolder(bdf)}/resource`, 65536) ?? "",
    host: { ...imageHost(files, device), notes: ["recorded from sysfs, without VFIO"] },
  });
  if (!rom) return { ...image, resettable };
  const bytes = readRom(files, bdf);
  const regions = image.regions.map((region) =>
    region.index === 6
      ? { ...region, contents: [{ offset: 0, bytes: bytes.subarray(0, region.size) }] }
      : region,
  );
  return { ...image, regions, resettable };
}

/** Memory decoding, bit 1 of COMMAND. */
const command = { at: 0x04, memory: 2 } as const;

/**
 * A virtual function has neither IDs nor memory decoding in its config space: its physical one tells them. They
 * are put there, as the kinds of its BARs are by their resources, as vfio-pci does for who opens it (vfio_config_init in drivers/vfio/pci/vfio_pci_config.c).
 */
function completeVirtual(config: Uint8Array<ArrayBuffer>, device: PciDevice): void {
  const { vendorId = 0xffff, deviceId = 0xffff } = device;
  const view = new DataView(config.buffer);
  view.setUint16(0, vendorId, true);
  view.setUint16(2, deviceId, true);
  view.setUint16(command.at, view.getUint16(command.at, true) | command.memory, true);
}

/** Sysfs gives a ROM after a write of 1 to its file, until one of 0 (Documentation/PCI/sysfs-pci.rst). */
function readRom(files: Sysroot, bdf: string): Uint8Array {
  const path = `${deviceFolder(bdf)}/rom`;
  const set = (value: string): void => {
    const fd = openSync(files.at(path), "r+");
    try {
      writeSync(fd, value);
    } finally {
      closeSync(fd);
    }
  };
  try {
    set("1");
    try {
      const bytes = files.bytes(path, maxContentBytes);
      if (bytes.length === 0) throw new Error("it is empty");
      return bytes;
    } finally {
      set("0");
    }
  } catch (error) {
    const { code = "EIO", syscall } = error as NodeJS.ErrnoException;
    throw new VfioError(`${bdf}: cannot read its ROM: ${errorText(error)}`, {
      code,
      syscall,
      request: path,
      device: bdf,
      hint:
        code === "ENOENT"
          ? "The device has no ROM that Linux knows: record it without --rom."
          : "It takes root, and a ROM that the firmware did not hide: record it without --rom otherwise.",
      cause: error,
    });
  }
}
