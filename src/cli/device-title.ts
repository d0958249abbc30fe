// What a PCI function is called, for people.
import type { KernelNames } from "../device/host/kernel-names.ts";
import type { PciDevice } from "../device/host/pci-device.ts";
import type { PciNames } from "../device/host/pci-names.ts";
import type { DeviceVerdict } from "../device/host/verdict.ts";

/** A function, as the list shows it. */
export interface Row {
  readonly device: PciDevice;
  readonly verdict: DeviceVerdict;
  readonly kernel: KernelNames | undefined;
}

/** What a function is called, or at least its vendor; undefined where no database knows it. */
export const deviceName = (device: PciDevice, names: PciNames): string | undefined =>
  ownName(device, names) ?? names.vendor.get(device.vendorId ?? 0);
/** What the function itself is called. */
export const ownName = ({ vendorId = 0, deviceId = 0 }: PciDevice, names: PciNames): string | undefined =>
  names.device.get(vendorId * 0x10000 + deviceId);
/** What its class is called; undefined where no database knows it. */
export const className = ({ classCode = 0 }: PciDevice, names: PciNames): string | undefined =>
  names.class.get(classCode >>> 8);

/** What a disk says that it is, else what the database calls the function. */
export const titleOf = (
  { device, kernel }: Pick<Row, "device" | "kernel">,
  names: PciNames,
): string | undefined => kernel?.models[0] ?? deviceName(device, names);
