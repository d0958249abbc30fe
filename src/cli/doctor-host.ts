import type { HostFiles } from "../device/host/host-files.ts";
import type { Host } from "../device/host/host-info.ts";
import type { PciDevice } from "../device/host/pci-device.ts";
import type { HostView } from "./host.ts";

/** One thing that passing through needs. `note`: it is not there, or not needed, and that is no hindrance. */
export interface Check {
  /** Stable, for `--json`. */
  readonly name: string;
  readonly status: "ok" | "missing" | "note";
  readonly message: string;
  /** What to do about it. */
  readonly fix?: string | undefined;
}

export const ok = (name: string, message: string): Check => ({ name, status: "ok", message });
export const note = (name: string, message: string, fix?: string): Check => ({
  name,
  status: "note",
  message,
  fix,
});
export const missing = (name: string, message: string, fix: string): Check => ({
  name,
  status: "missing",
  message,
  fix,
});

/** What every device of the host needs. */
export function hostChecks({ files, host, groups }: HostView, device?: PciDevice): Check[] {
  return [
    iommuCheck(host, groups.filter(({ noiommu }) => !noiommu).length),
    remappingCheck(host),
    pciModuleCheck(host, device),
    backendCheck(host),
    ...nodeChecks(files, host),
  ];
}

function iommuCheck(host: Host, groups: number): Check {
  const name = "iommu";
  const { iommus, noiommu } = host;
  if (groups > 0) {
    const types = [...new Set(iommus.map(({ type }) => type))].join(", ");
    const bits = iommus.flatMap(({ addressBits }) => addressBits ?? []);
    const width = bits.length === 0 ? "" : `, IOVAs of ${Math.min(...bits)} bits`;
    return ok(
      name,
      `an IOMMU is on: ${types || "of a kind that sysfs does not tell"}, ${groups} groups${width}`,
    );
  }
  if (noiommu)
    return note(name, "no IOMMU is on, and VFIO was told to do without: devices can write to all of memory");
  return missing(name, "no IOMMU is on", iommuFix(host));
}

function iommuFix({ firmwareIommu, commandLine }: Host): string {
  const off = commandLine.find((word) => /^(?:iommu|intel_iommu|amd_iommu)=off$/.test(word));
  if (off !== undefined) return `take ${off} off the kernel's command line`;
  if (firmwareIommu === "intel" && !commandLine.some((word) => /^intel_iommu=on/.test(word)))
    return "add intel_iommu=on to the kernel's command line";
  if (firmwareIommu !== undefined)
    return "the firmware describes one, so the kernel's log tells why it is not used";
  return "turn on VT-d, AMD-Vi or the SMMU in the firmware's setup; in a virtual machine, give it a virtual IOMMU";
}

function remappingCheck({ interruptsIsolated, unsafeInterrupts, noiommu, iommus }: Host): Check {
  const name = "interrupt-remapping";
  if (interruptsIsolated) return ok(name, "interrupts are remapped");
  if (unsafeInterrupts)
    return note(name, "interrupts are not remapped, and VFIO was told to accept it: allow_unsafe_interrupts");
  if (noiommu && iommus.length === 0) return note(name, "interrupts are not remapped, nor is there an IOMMU");
  if (interruptsIsolated === undefined)
    return note(name, "whether interrupts are remapped cannot be told from /proc/interrupts");
  if (iommus.length === 0)
    return missing(name, "interrupts are not remapped", "turn on the IOMMU first, which does it");
  const could = iommus.some(({ remapsInterrupts }) => remapsInterrupts);
  return missing(
    name,
    "interrupts are not remapped: type1 and iommufd refuse devices with EPERM",
    could
      ? "the IOMMU can do it, so take intremap=off or nox2apic off the kernel's command line"
      : "turn it on in the firmware's setup, or trust the device and set allow_unsafe_interrupts=1 of vfio_iommu_type1 or iommufd",
  );
}

function pciModuleCheck({ modules }: Host, device?: PciDevice): Check {
  const name = "vfio-pci";
  if (modules.includes("vfio_pci")) return ok(name, "vfio-pci is loaded");
  // A driver made of it does without.
  if (device?.vfio) return ok(name, `${device.driver} is loaded in place of vfio-pci`);
  return missing(name, "vfio-pci is not loaded", "modprobe vfio-pci");
}

function backendCheck({ modules }: Host): Check {
  const name = "iommu-backend";
  const there = (["vfio_iommu_type1", "iommufd"] as const).filter((one) => modules.includes(one));
  if (there.length > 0) return ok(name, `${there.join(" and ")} ${there.length > 1 ? "are" : "is"} loaded`);
  return missing(
    name,
    "neither vfio_iommu_type1 nor iommufd is loaded",
    "modprobe vfio_iommu_type1, or modprobe iommufd",
  );
}

/** One of the two is enough. */
function nodeChecks(files: HostFiles, { noiommu }: Host): Check[] {
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
  if (nodes.length === 0)
    return [
      missing(
        name,
        "there is neither /dev/vfio/vfio nor /dev/iommu",
        "modprobe vfio-pci; in a container, pass the nodes into it",
      ),
    ];
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
export function memlockCheck({ memlock }: Host, memory: number, bars: number): Check {
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
