// Whether there is an IOMMU, whether it remaps interrupts, and why not.
import type { HostInfo, HostIommu } from "../device/host/host-info.ts";
import type { KernelBuild } from "../device/host/kernel-build.ts";
import type { Surroundings } from "../device/host/surroundings.ts";
import { missing, note, ok, type Check } from "./doctor-check.ts";

/** What the causes are looked for in. */
export interface Causes {
  readonly host: HostInfo;
  readonly kernel: KernelBuild;
  readonly surroundings: Surroundings;
}

/** @param groups how many there are with an IOMMU behind them */
export function iommuCheck(causes: Causes, groups: number): Check {
  const name = "iommu";
  const { iommus, noiommu } = causes.host;
  if (groups > 0) {
    const types = [...new Set(iommus.map(kindOf))].join(", ");
    const bits = iommus.flatMap(({ addressBits }) => addressBits ?? []);
    const width = bits.length === 0 ? "" : `, IOVAs of ${Math.min(...bits)} bits`;
    return ok(
      name,
      `an IOMMU is on: ${types || "of a kind that sysfs does not tell"}, ${groups} groups${width}`,
    );
  }
  if (noiommu)
    return note(name, "no IOMMU is on, and VFIO was told to do without: devices can write to all of memory");
  const [cause, fix] = noIommu(causes);
  return missing(name, `no IOMMU is on: ${cause}`, fix);
}

/** Arm's have versions, which their drivers name them by. */
const kindOf = ({ name, type }: HostIommu): string =>
  type === "smmu" ? (name.startsWith("smmu3.") ? "Arm's SMMUv3" : "Arm's SMMU") : type;

const kinds = {
  intel: { option: "INTEL_IOMMU", text: "VT-d" },
  amd: { option: "AMD_IOMMU", text: "AMD-Vi" },
  arm: { option: "ARM_SMMU_V3", text: "the SMMU" },
} as const;

/** Why there is none, and what to do about it. */
function noIommu({ host, kernel, surroundings }: Causes): [cause: string, fix: string] {
  const { firmwareIommu, commandLine } = host;
  const off = commandLine.find((word) => /^(?:iommu|intel_iommu|amd_iommu)=off$/.test(word));
  if (off !== undefined)
    return [`the kernel's command line says ${off}`, `take ${off} off the kernel's command line`];
  if (firmwareIommu !== undefined) {
    const { option, text } = kinds[firmwareIommu];
    if (kernel.option(option) === "n")
      return [`this kernel is built without CONFIG_${option}`, "boot a kernel that has it"];
    const isOn = commandLine.some((word) => /^intel_iommu=on/.test(word));
    if (firmwareIommu === "intel" && !isOn && kernel.option("INTEL_IOMMU_DEFAULT_ON") !== "y")
      return [
        "the firmware describes one, and the kernel was not told to use it",
        "add intel_iommu=on to the kernel's command line",
      ];
    return [
      `the firmware describes ${text}, and the kernel does not use it`,
      `the kernel's log tells why: dmesg | grep -i ${firmwareIommu === "arm" ? "-e smmu" : "-e DMAR -e AMD-Vi"} -e iommu`,
    ];
  }
  if (host.architecture === "aarch64")
    return [
      "the firmware describes none",
      "turn on the SMMU in the firmware's setup; in a virtual machine, give it one (QEMU: -machine virt,gic-version=3,iommu=smmuv3)",
    ];
  if (surroundings.hypervisor !== undefined)
    return [
      `this is a virtual machine without one (${surroundings.hypervisor})`,
      `give the virtual machine a virtual IOMMU (QEMU: -machine q35,kernel-irqchip=split -device intel-iommu,intremap=on)${without(host, kernel)}`,
    ];
  return [
    "the firmware describes none",
    `turn on VT-d, AMD-Vi or the SMMU in the firmware's setup; in a virtual machine, give it a virtual IOMMU`,
  ];
}

/** No-IOMMU mode, where the kernel has it. */
function without({ noiommu }: HostInfo, kernel: KernelBuild): string {
  const option = kernel.option("VFIO_NOIOMMU");
  if (noiommu === undefined && option !== "y") return "";
  const set =
    noiommu === undefined
      ? "modprobe vfio enable_unsafe_noiommu_mode=1"
      : "echo 1 > /sys/module/vfio/parameters/enable_unsafe_noiommu_mode";
  return `; or, if the device is trusted with all memory, let VFIO do without: ${set}`;
}

export function remappingCheck(host: HostInfo): Check {
  const { interruptsIsolated, armMessages, unsafeInterrupts, noiommu, iommus } = host;
  const name = "interrupt-remapping";
  if (interruptsIsolated)
    return ok(
      name,
      armMessages === undefined
        ? "interrupts are remapped"
        : "the ITS takes interrupts, for each device its own",
    );
  if (unsafeInterrupts)
    return note(name, "interrupts are not remapped, and VFIO was told to accept it: allow_unsafe_interrupts");
  if (noiommu && iommus.length === 0) return note(name, "interrupts are not remapped, nor is there an IOMMU");
  if (interruptsIsolated === undefined)
    return note(name, "whether interrupts are remapped cannot be told from /proc/interrupts");
  if (iommus.length === 0)
    return missing(name, "interrupts are not remapped", "turn on the IOMMU first, which does it", "iommu");
  if (armMessages !== undefined)
    return missing(
      name,
      `interrupts come by ${armMessages}, which does not tell devices apart: type1 and iommufd refuse devices with EPERM`,
      "give the virtual machine a GICv3 with an ITS (QEMU: gic-version=3), or trust the device and set allow_unsafe_interrupts=1 of vfio_iommu_type1 or iommufd",
    );
  const could = iommus.some(({ remapsInterrupts }) => remapsInterrupts);
  return missing(
    name,
    "interrupts are not remapped: type1 and iommufd refuse devices with EPERM",
    could
      ? "the IOMMU can do it, so take intremap=off or nox2apic off the kernel's command line"
      : "turn it on in the firmware's setup, or trust the device and set allow_unsafe_interrupts=1 of vfio_iommu_type1 or iommufd",
  );
}
