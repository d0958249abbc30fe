// What `bind` would do to which devices: asked by bind itself, and by doctor before it advises it.
import { readBinding, bindTo, detachDriver, type Rebinding } from "../device/host/binding.ts";
import type { Sysroot } from "../device/host/sysroot.ts";
import { readGroup } from "../device/host/iommu-group.ts";
import { isHostPart, type PciDevice } from "../device/host/pci-device.ts";

/** Functions with all of their groups but bridges that are in nobody's way, each once. */
export function withGroups(files: Sysroot, devices: readonly PciDevice[]): PciDevice[] {
  const all = devices.flatMap((device) => {
    const members =
      device.iommuGroup === undefined ? undefined : readGroup(files, device.iommuGroup)?.members;
    return members
      ? members.flatMap(({ pci, state }) => (pci && (!isHostPart(pci) || state === "blocks") ? pci : []))
      : device;
  });
  return each(all);
}

/** Functions, each once. */
export const each = (devices: readonly PciDevice[]): PciDevice[] => [
  ...new Map(devices.map((device) => [device.bdf, device])).values(),
];

/**
 * The changes that give functions to a VFIO driver; none of those that it has already. A bridge that nobody asked for
 * keeps forwarding without its driver; vfio-pci takes none.
 * @param asked BDFs that the user named
 */
export const plannedBindings = (
  files: Sysroot,
  devices: readonly PciDevice[],
  asked: ReadonlySet<string>,
  driver = "vfio-pci",
): Rebinding[] =>
  devices
    .filter((device) => device.driver !== driver || device.driverOverride !== driver)
    .map(({ bdf, bridge }): Rebinding => {
      const now = readBinding(files, bdf);
      return { now, wanted: bridge && !asked.has(bdf) ? detachDriver(now) : bindTo(driver) };
    });
