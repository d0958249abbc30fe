import type { Sysroot } from "../device/host/sysroot.ts";
import type { HostInfo } from "../device/host/host-info.ts";
import { KernelBuild } from "../device/host/kernel-build.ts";
import type { PciDevice } from "../device/host/pci-device.ts";
import { readSurroundings } from "../device/host/surroundings.ts";
import { missing, note, ok, type Check } from "./doctor-check.ts";
import { iommuCheck, remappingCheck, type Causes } from "./doctor-iommu.ts";
import { backendCheck, lockdownCheck, pciModuleCheck } from "./doctor-modules.ts";
import { systemChecks } from "./doctor-system.ts";
import type { HostState } from "./host.ts";

/** What every device of the host needs. */
export function hostChecks({ files, host, groups }: HostState, device?: PciDevice): Check[] {
  const causes: Causes = { host, kernel: new KernelBuild(files), surroundings: readSurroundings(files) };
  const pci = pciModuleCheck(causes, device);
  return [
    ...systemChecks(host),
    iommuCheck(causes, groups.filter(({ noiommu }) => !noiommu).length),
    remappingCheck(host),
    pci,
    backendCheck(causes, pci.status === "ok"),
    ...nodeChecks(files, causes),
    ...lockdownCheck(causes),
  ];
}

/** One of the two is enough. */
function nodeChecks(files: Sysroot, { host: { noiommu, modules }, surroundings }: Causes): Check[] {
  const nodes = ["/dev/vfio/vfio", "/dev/iommu"].filter((node) => files.exists(node));
  const open = nodes.filter((node) => files.mayUse(node));
  const name = "permissions";
  if (open.length > 0)
    return [
      ok(name, `${open.join(" and ")} can be opened`),
      ...nodes
        .filter((node) => !open.includes(node))
        .map((node) => note(name, `${node} is not for this user`)),
    ];
  const without = "there is neither /dev/vfio/vfio nor /dev/iommu";
  if (nodes.length === 0 && surroundings.container !== undefined)
    return [
      missing(
        name,
        `${without}: this container (${surroundings.container}) was not given them`,
        "pass the nodes into it, as docker run --device /dev/vfio/vfio --device /dev/vfio/GROUP",
      ),
    ];
  if (nodes.length === 0)
    return modules.includes("vfio_pci")
      ? [missing(name, without, "see whether udev runs; in a container, pass the nodes into it")]
      : [missing(name, without, "modprobe vfio-pci; in a container, pass the nodes into it", "vfio-pci")];
  const fix = noiommu
    ? "without an IOMMU it takes root: run it as root"
    : `run it as root, or give this user read and write access, as setfacl -m u:USER:rw ${nodes[0]}`;
  return [missing(name, `${nodes.join(" and ")} cannot be opened by this user`, fix)];
}

const gib = 2 ** 30;
/** `8 MiB`, `1.5 GiB`: rounded, for people. */
export function sizeText(bytes: number): string {
  const [unit, name] = bytes >= gib ? [gib, "GiB"] : bytes >= 2 ** 20 ? [2 ** 20, "MiB"] : [1024, "KiB"];
  return `${Math.round((bytes / unit) * 10) / 10} ${name}`;
}

/** @param memory bytes of the guest's; @param bars bytes of the device's memory BARs, which are mapped for DMA as well */
export function memlockCheck({ memlock }: HostInfo, memory: number, bars: number): Check {
  const name = "memlock";
  const need = memory + bars;
  const what = `${sizeText(memory)} of guest memory${bars > 0 ? ` and ${sizeText(bars)} of BARs` : ""}`;
  if (!memlock) return note(name, "the limit of locked memory is not known: /proc/self/limits does not tell");
  if (memlock.ignored) return ok(name, "locked memory is not limited: this user has CAP_IPC_LOCK");
  if (memlock.soft === undefined) return ok(name, "locked memory is not limited");
  if (memlock.soft >= need) return ok(name, `${sizeText(memlock.soft)} may be locked, enough for ${what}`);
  const kib = Math.ceil(need / 1024);
  const raise =
    memlock.hard === undefined || memlock.hard >= need
      ? `ulimit -l ${kib}`
      : `LimitMEMLOCK= of the service, or memlock in /etc/security/limits.conf, to ${kib} KiB or more`;
  return missing(name, `${sizeText(memlock.soft)} may be locked, and ${what} have to be`, raise);
}
