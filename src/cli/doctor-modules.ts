// Whether the parts of VFIO are in the kernel, and why not.
import type { PciDevice } from "../device/host/pci-device.ts";
import { missing, note, ok, type Check } from "./doctor-check.ts";
import type { Causes } from "./doctor-iommu.ts";

/** Why modules are not there, and how they come: one of them is enough. */
function whyNot(
  { host, kernel, surroundings }: Causes,
  modules: readonly (readonly [name: string, option: string])[],
): [cause: string, fix: string] {
  const load = modules.map(([name]) => `modprobe ${name}`).join(", or ");
  if (surroundings.container !== undefined)
    return [` (this is a container: ${surroundings.container})`, `on the host: ${load}`];
  const options = modules.map(([, option]) => option);
  if (options.every((option) => kernel.option(option) === "n"))
    return [
      `: this kernel is built without ${options.map((one) => `CONFIG_${one}`).join(" and ")}`,
      "boot a kernel that has it",
    ];
  if (kernel.modulesFolder !== undefined && !kernel.hasModules)
    return [
      `, and ${kernel.modulesFolder} is not there, as after an update of the kernel`,
      "boot the kernel that is installed, or install the modules of this one",
    ];
  if (modules.every(([name]) => kernel.moduleOf(name) === "absent"))
    return [
      `, and ${kernel.modulesFolder} has it not`,
      "install the rest of the kernel's modules, as linux-modules-extra, or boot a kernel that has it",
    ];
  const [first] = modules;
  const listed = host.commandLine.find(
    (word) =>
      /^(?:module_blacklist|modprobe\.blacklist)=/.test(word) &&
      word.split(/[=,]/).some((one) => one.replaceAll("-", "_") === first![0].replaceAll("-", "_")),
  );
  if (listed !== undefined)
    return [`: the kernel's command line says ${listed}`, `take it off there; then ${load}`];
  return ["", load];
}

export function pciModuleCheck(causes: Causes, device?: PciDevice): Check {
  const name = "vfio-pci";
  if (causes.host.modules.includes("vfio_pci")) return ok(name, "vfio-pci is loaded");
  // A driver made of it does without.
  if (device?.vfio) return ok(name, `${device.driver} is loaded in place of vfio-pci`);
  const [cause, fix] = whyNot(causes, [["vfio-pci", "VFIO_PCI"]]);
  return missing(name, `vfio-pci is not loaded${cause}`, fix);
}

/** Loading vfio-pci loads vfio_iommu_type1 as well, where there is one (a soft dependency of vfio). */
export function backendCheck(causes: Causes, hasPci: boolean): Check {
  const name = "iommu-backend";
  const there = (["vfio_iommu_type1", "iommufd"] as const).filter((one) => causes.host.modules.includes(one));
  if (there.length > 0) return ok(name, `${there.join(" and ")} ${there.length > 1 ? "are" : "is"} loaded`);
  const [cause, fix] = whyNot(causes, [
    ["vfio_iommu_type1", "VFIO_IOMMU_TYPE1"],
    ["iommufd", "IOMMUFD"],
  ]);
  return missing(
    name,
    `neither vfio_iommu_type1 nor iommufd is loaded${cause}`,
    fix,
    hasPci ? undefined : "vfio-pci",
  );
}

/** What a locked-down kernel does not do, which may explain what fails later. */
export const lockdownCheck = ({ surroundings: { lockdown } }: Causes): Check[] =>
  lockdown === undefined
    ? []
    : [
        note(
          "lockdown",
          `the kernel is locked down (${lockdown}): it takes no unsigned modules, and no writes to config space through sysfs; VFIO works`,
        ),
      ];
