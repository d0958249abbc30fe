// The devices of the virtual machine, found by their IDs, and given to vfio-pci.
import { existsSync, readdirSync, readFileSync, readlinkSync, writeFileSync } from "node:fs";

export const sysDevices = "/sys/bus/pci/devices";

if (process.env.BUN_VFIO_VM !== "1")
  throw new Error(
    "these tests run in the virtual machine alone (BUN_VFIO_VM=1): they take devices from their drivers",
  );

/** Vendor and device ID, as sysfs writes them. */
export const devices = {
  edu: "1234:11e8",
  nvme: "1b36:0010",
  e1000e: "8086:10d3",
  igb: "8086:10c9",
  "pci-testdev": "1b36:0005",
  "virtio-net": "1af4:1041",
  "virtio-blk": "1af4:1042",
  xhci: "1b36:000d",
  ahci: "8086:2922",
} as const;
export type DeviceName = keyof typeof devices;
export const deviceNames = Object.keys(devices) as DeviceName[];

const id = (bdf: string, name: string): string =>
  readFileSync(`${sysDevices}/${bdf}/${name}`, "utf8").trim().slice(2);

/** Whether this machine was started with an IOMMU. */
export const hasIommu = readdirSync("/sys/class/iommu").length > 0;

/** The BDF of a device. @throws Error where the machine has none */
export function find(name: DeviceName): string {
  // The machine has an AHCI controller of its own on bus 0, which stays the host's.
  const found = readdirSync(sysDevices).find(
    (bdf) => !bdf.startsWith("0000:00:") && `${id(bdf, "vendor")}:${id(bdf, "device")}` === devices[name],
  );
  if (found === undefined) throw new Error(`the machine has no ${name} (${devices[name]})`);
  return found;
}

export function driverOf(bdf: string): string | undefined {
  try {
    return readlinkSync(`${sysDevices}/${bdf}/driver`).split("/").at(-1);
  } catch {
    return undefined;
  }
}

/** Takes a device from its driver, and gives it to another if one is named. */
export function bindTo(bdf: string, driver: string | undefined): void {
  if (driverOf(bdf) === driver) return;
  writeFileSync(`${sysDevices}/${bdf}/driver_override`, driver ?? "\n");
  if (existsSync(`${sysDevices}/${bdf}/driver`)) writeFileSync(`${sysDevices}/${bdf}/driver/unbind`, bdf);
  if (driver === undefined) return;
  // A device that was just plugged in is there some time before the kernel lets drivers have it (pci_bus_add_device).
  for (let i = 0; i < 250 && driverOf(bdf) !== driver; i++) {
    if (i > 0) Bun.sleepSync(20);
    writeFileSync("/sys/bus/pci/drivers_probe", bdf);
  }
  if (driverOf(bdf) !== driver)
    throw new Error(`${bdf} is bound to ${driverOf(bdf) ?? "nothing"}, not ${driver}`);
}

/** A device of the machine, bound to vfio-pci. */
export function take(name: DeviceName): string {
  const bdf = find(name);
  bindTo(bdf, "vfio-pci");
  return bdf;
}

/** This process's descriptors and what each is open on, without those that looking opens. */
export function descriptors(): string[] {
  return readdirSync("/proc/self/fd").flatMap((fd) => {
    try {
      return [`${fd} ${readlinkSync(`/proc/self/fd/${fd}`)}`];
    } catch {
      return [];
    }
  });
}

/** Of these, what VFIO, an iommufd or an eventfd is behind. */
export const ownDescriptors = (): string[] => descriptors().filter((line) => /vfio|iommu|eventfd/.test(line));

/** Mappings of this process that are a device's memory. */
export const deviceMappings = (): string[] =>
  readFileSync("/proc/self/maps", "utf8")
    .split("\n")
    .filter((line) => /vfio/.test(line));
