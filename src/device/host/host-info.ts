import type { Sysroot } from "./sysroot.ts";

/** Whose IOMMU it is. */
export type IommuType = "intel" | "amd" | "smmu" | "virtio" | "other";

/** An IOMMU as `/sys/class/iommu` lists it. */
export interface HostIommu {
  /** `dmar0`, `ivhd0`, `smmu3.0x0000000009050000`, or the place of a virtio device. */
  readonly name: string;
  /** Whose it is, which says how it is turned on. */
  readonly type: IommuType;
  /** Bits of an IOVA that it can translate; of Intel's alone. */
  readonly addressBits: number | undefined;
  /** Whether it could remap interrupts; of Intel's alone. */
  readonly remapsInterrupts: boolean | undefined;
}

/** A limit in bytes; undefined for none. */
export interface MemlockLimit {
  /** In bytes, what counts; undefined: no limit. */
  readonly soft: number | undefined;
  /** In bytes, up to which a process may raise it; undefined: no limit. */
  readonly hard: number | undefined;
  /** CAP_IPC_LOCK: no limit holds. */
  readonly ignored: boolean;
}

/** What a host's kernel says about VFIO as a whole. */
export interface HostInfo {
  /** As `Linux 6.12.95`. */
  readonly kernel: string | undefined;
  /** As `x86_64`; undefined where the kernel does not say, before Linux 6.2. */
  readonly architecture: string | undefined;
  /** Those that the kernel drives. */
  readonly iommus: readonly HostIommu[];
  /** What the firmware's tables describe, whether or not the kernel uses it. */
  readonly firmwareIommu: "intel" | "amd" | "arm" | undefined;
  /** The kernel's, word by word. */
  readonly commandLine: readonly string[];
  /** Interrupts are remapped or isolated by hardware, so that no device can forge another's; undefined if unknown. */
  readonly interruptsIsolated: boolean | undefined;
  /** What takes devices' messages on Arm: the ITS, which tells devices apart, or the GICv2m frame, which does not. */
  readonly armMessages: "ITS" | "GICv2m" | undefined;
  /** VFIO was told to do without that: `allow_unsafe_interrupts`. */
  readonly unsafeInterrupts: boolean;
  /** VFIO was told to do without an IOMMU: `enable_unsafe_noiommu_mode`; undefined where it cannot. */
  readonly noiommu: boolean | undefined;
  /** Modules that are loaded or built in, of those that VFIO has. */
  readonly modules: readonly VfioModule[];
  /** PCI drivers that are registered. */
  readonly drivers: readonly string[];
  /** How much this process may lock; undefined where that cannot be read. */
  readonly memlock: MemlockLimit | undefined;
}

/** Modules of VFIO, by their names in `/sys/module`. */
export type VfioModule = "vfio" | "vfio_pci" | "vfio_iommu_type1" | "iommufd";
const modules: readonly VfioModule[] = ["vfio", "vfio_pci", "vfio_iommu_type1", "iommufd"];

const yes = (text: string | undefined): boolean | undefined =>
  text === undefined ? undefined : /^[Yy1]/.test(text);

/** Asks the host of `files` about itself. */
export function readHostInfo(files: Sysroot): HostInfo {
  const release = files.text("/proc/sys/kernel/osrelease");
  const drivers = files.list("/sys/bus/pci/drivers");
  const interrupts = files.lines("/proc/interrupts");
  const armMessages = (["ITS", "GICv2m"] as const).find((one) =>
    interrupts.some((line) => line.includes(` ${one}-`)),
  );
  const unsafe = ["vfio_iommu_type1", "iommufd"].some((module) =>
    yes(files.text(`/sys/module/${module}/parameters/allow_unsafe_interrupts`)),
  );
  return {
    kernel: release === undefined ? undefined : `Linux ${release}`,
    architecture: files.text("/proc/sys/kernel/arch"),
    iommus: files.list("/sys/class/iommu").map((name) => readIommu(files, name)),
    firmwareIommu: firmwareIommu(files),
    commandLine: (files.text("/proc/cmdline") ?? "").split(/\s+/).filter(Boolean),
    interruptsIsolated: armMessages === undefined ? isolated(interrupts) : armMessages === "ITS",
    armMessages,
    unsafeInterrupts: unsafe,
    noiommu: yes(files.text("/sys/module/vfio/parameters/enable_unsafe_noiommu_mode")),
    modules: modules.filter(
      (module) =>
        files.exists(`/sys/module/${module}`) ||
        (module === "vfio_pci" && drivers.includes("vfio-pci")) ||
        (module === "iommufd" && files.exists("/dev/iommu")),
    ),
    drivers,
    memlock: readMemlock(files),
  };
}

const firmware = { DMAR: "intel", IVRS: "amd", IORT: "arm" } as const;

/** By ACPI's tables, or by a device tree, which Arm's machines have. */
function firmwareIommu(files: Sysroot): HostInfo["firmwareIommu"] {
  for (const table of ["DMAR", "IVRS", "IORT"] as const)
    if (files.exists(`/sys/firmware/acpi/tables/${table}`)) return firmware[table];
  const tree = "/sys/firmware/devicetree/base";
  const nodes = [tree, `${tree}/soc`].flatMap((folder) => files.list(folder));
  return nodes.some((node) => /^(?:smmu\w*|iommu)@/.test(node)) ? "arm" : undefined;
}

function readIommu(files: Sysroot, name: string): HostIommu {
  const folder = `/sys/class/iommu/${name}`;
  const number = (text: string | undefined): bigint | undefined =>
    text !== undefined && /^[0-9a-f]{1,16}$/i.test(text) ? BigInt(`0x${text}`) : undefined;
  const capability = number(files.text(`${folder}/intel-iommu/cap`));
  const extended = number(files.text(`${folder}/intel-iommu/ecap`));
  return {
    name,
    type: iommuType(name, files.resolve(folder) ?? ""),
    // MGAW in bits 21:16 is one less than the width, IR is bit 3 (Intel VT-d specification 11.4.2, 11.4.3).
    addressBits: capability === undefined ? undefined : Number((capability >> 16n) & 0x3fn) + 1,
    remapsInterrupts: extended === undefined ? undefined : (extended & 8n) !== 0n,
  };
}

/** By the names that the kernel's drivers give; virtio's are named after the device that they are. */
function iommuType(name: string, path: string): IommuType {
  if (/^dmar\d+$/.test(name)) return "intel";
  if (/^ivhd\d+$/.test(name)) return "amd";
  if (/^smmu/.test(name)) return "smmu";
  return /\/virtio\d+(?:\/|$)/.test(path) || /^[0-9a-f]{4,8}:/.test(name) ? "virtio" : "other";
}

/** Names of interrupt controllers tell, on x86: `IR-PCI-MSI`. */
function isolated(lines: readonly string[]): boolean | undefined {
  if (lines.some((line) => /\sIR-/.test(line))) return true;
  return lines.some((line) => /\s(?:IO-APIC|PCI-MSI)/.test(line)) ? false : undefined;
}

/** CAP_IPC_LOCK (linux/capability.h). */
const ipcLock = 14n;

function readMemlock(files: Sysroot): MemlockLimit | undefined {
  const line = files.lines("/proc/self/limits").find((one) => one.startsWith("Max locked memory"));
  const values = line && /^Max locked memory\s+(\d{1,20}|unlimited)\s+(\d{1,20}|unlimited)\s/.exec(line);
  if (!values) return undefined;
  const bytes = (text: string): number | undefined => (text === "unlimited" ? undefined : Number(text));
  const status = files.lines("/proc/self/status").find((one) => one.startsWith("CapEff:"));
  const capabilities = BigInt(`0x${/[0-9a-f]{1,16}$/.exec(status ?? "")?.[0] ?? "0"}`);
  return {
    soft: bytes(values[1]!),
    hard: bytes(values[2]!),
    ignored: ((capabilities >> ipcLock) & 1n) === 1n,
  };
}
