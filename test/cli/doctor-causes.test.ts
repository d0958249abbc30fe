// What doctor finds behind what is missing: one root cause, what follows from it, and advice that works.
import { expect, setDefaultTimeout, test } from "bun:test";
import { gzipSync } from "node:zlib";
import { bindCommand } from "../../src/cli/bind.ts";
import { doctorCommand } from "../../src/cli/doctor.ts";
import { systemChecks } from "../../src/cli/doctor-system.ts";
import { readHostState } from "../../src/cli/host.ts";
import { Machine } from "../support/host-machine.ts";
import { busy, inProcess, nvme, printed } from "./on-machine.ts";

// Each test makes a machine of some hundred files.
setDefaultTimeout(60_000);

const ahci = "0000:09:00.0";
/** What doctor prints. */
function doctor(machine: Machine, device?: string, color = false): string[] {
  using _ = inProcess(machine);
  printed.splice(0);
  doctorCommand(device, { memory: "4M", color });
  return printed.join("").trimEnd().split("\n");
}
const first = (machine: Machine, device?: string): string => doctor(machine, device)[0]!;
const noPart = [
  "/sys/module/vfio_pci",
  "/sys/bus/pci/drivers/vfio-pci",
  "/sys/module/vfio_iommu_type1",
  "/sys/module/iommufd",
  "/dev/iommu",
  "/dev/vfio/vfio",
];

function withoutIommu(machine: Machine): void {
  for (const { id } of readHostState(machine.files).groups) machine.remove(`/sys/kernel/iommu_groups/${id}`);
  for (const bdf of [nvme, ahci]) machine.unlink(`${machine.folder(bdf)}/iommu_group`);
  for (const name of ["dmar0", "dmar1"]) machine.unlink(`/sys/class/iommu/${name}`);
  machine.put("/proc/interrupts", " 24: 0 PCI-MSI-0000:00:01.0  0-edge  x");
}

test("no IOMMU: firmware, command line, kernel, virtual machine", () => {
  using machine = new Machine();
  withoutIommu(machine);
  expect(first(machine)).toBe(
    "✗ no IOMMU is on: the firmware describes none; fix: turn on VT-d, AMD-Vi or the SMMU in the firmware's setup; in a virtual machine, give it a virtual IOMMU",
  );
  machine.put("/proc/cpuinfo", "processor : 0\nflags\t\t: fpu hypervisor lahf_lm");
  machine.put("/sys/class/dmi/id/sys_vendor", "QEMU");
  const inQemu =
    "✗ no IOMMU is on: this is a virtual machine without one (QEMU); fix: give the virtual machine a virtual IOMMU (QEMU: -machine q35,kernel-irqchip=split -device intel-iommu,intremap=on)";
  const mode = "/sys/module/vfio/parameters/enable_unsafe_noiommu_mode";
  const trusted = "; or, if the device is trusted with all memory, let VFIO do without: ";
  expect(first(machine)).toBe(`${inQemu}${trusted}echo 1 > ${mode}`);
  machine.remove(mode);
  expect(first(machine)).toBe(inQemu);
  machine.put("/boot/config-6.12.95", "CONFIG_VFIO_NOIOMMU=y\n# CONFIG_INTEL_IOMMU is not set");
  expect(first(machine)).toBe(`${inQemu}${trusted}modprobe vfio enable_unsafe_noiommu_mode=1`);

  machine.put("/sys/firmware/acpi/tables/DMAR", "");
  expect(first(machine)).toBe(
    "✗ no IOMMU is on: this kernel is built without CONFIG_INTEL_IOMMU; fix: boot a kernel that has it",
  );
  machine.put("/boot/config-6.12.95", "CONFIG_INTEL_IOMMU=y");
  expect(first(machine)).toStartWith(
    "✗ no IOMMU is on: the firmware describes VT-d, and the kernel does not use it; fix: the kernel's log tells why",
  );
  machine.put("/proc/cmdline", "quiet");
  expect(first(machine)).toEndWith("; fix: add intel_iommu=on to the kernel's command line");
  machine.put("/boot/config-6.12.95", "CONFIG_INTEL_IOMMU=y\nCONFIG_INTEL_IOMMU_DEFAULT_ON=y");
  expect(first(machine)).toContain("the kernel's log tells why");
  machine.put("/proc/cmdline", "quiet iommu=off");
  expect(first(machine)).toBe(
    "✗ no IOMMU is on: the kernel's command line says iommu=off; fix: take iommu=off off the kernel's command line",
  );
});

test("what follows from a cause stands below it, dimmed, and its fix is the cause's", () => {
  using machine = new Machine();
  withoutIommu(machine);
  const found = doctor(machine, ahci);
  expect(found.slice(1, 4)).toEqual([
    "  ✗ interrupts are not remapped",
    "  ✗ 0000:09:00.0 is in no IOMMU group",
    "  ✗ 0000:09:00.0 is bound to ahci",
  ]);
  expect(found.slice(4).join()).not.toContain("✗");
  expect(found.at(-1)).toBe("Verdict: not ready: no IOMMU is on: the firmware describes none");
  expect(doctor(machine, ahci, true)[1]).toBe("\u001b[2m  ✗ interrupts are not remapped\u001b[22m");
  machine.put("/sys/module/vfio/parameters/enable_unsafe_noiommu_mode", "Y");
  expect(doctor(machine, ahci).filter((one) => one.includes("✗"))).toEqual([
    "✗ 0000:09:00.0 is bound to ahci; fix: bun-vfio bind 0000:09:00.0",
  ]);
});

test("modules that are not loaded: the kernel's config, its modules, its command line, a container", () => {
  using machine = new Machine();
  for (const path of noPart) machine.remove(path);
  const pci = (): string => first(machine).replace("✗ vfio-pci is not loaded", "");
  expect(pci()).toBe(
    ", and /lib/modules/6.12.95 is not there, as after an update of the kernel; fix: boot the kernel that is installed, or install the modules of this one",
  );
  machine.put("/lib/modules/6.12.95/modules.dep", "kernel/drivers/net/igb.ko.xz:");
  expect(pci()).toStartWith(", and /lib/modules/6.12.95 has it not; fix: install the rest");
  machine.put("/lib/modules/6.12.95/modules.dep", "kernel/drivers/vfio/pci/vfio-pci.ko.xz: x\nx/iommufd.ko:");
  expect(pci()).toBe("; fix: modprobe vfio-pci");
  machine.put("/proc/cmdline", "modprobe.blacklist=nouveau,vfio_pci");
  expect(pci()).toBe(
    ": the kernel's command line says modprobe.blacklist=nouveau,vfio_pci; fix: take it off there; then modprobe vfio-pci",
  );
  machine.put("/proc/config.gz", gzipSync("CONFIG_VFIO=m\n# CONFIG_VFIO_PCI is not set\n"));
  expect(pci()).toBe(": this kernel is built without CONFIG_VFIO_PCI; fix: boot a kernel that has it");
  machine.put("/proc/config.gz", Uint8Array.from(gzipSync(new Uint8Array(2 ** 25))));
  expect(pci()).toContain("modprobe.blacklist");
  machine.put("/.dockerenv", "");
  expect(pci()).toBe(" (this is a container: docker); fix: on the host: modprobe vfio-pci");
  expect(doctor(machine).find((one) => one.includes("neither /dev/vfio/vfio"))).toBe(
    "✗ there is neither /dev/vfio/vfio nor /dev/iommu: this container (docker) was not given them; fix: pass the nodes into it, as docker run --device /dev/vfio/vfio --device /dev/vfio/GROUP",
  );
});

test("machines and kernels that are not served are refused in words", () => {
  using machine = new Machine();
  machine.put("/proc/sys/kernel/arch", "x86_64");
  expect(first(machine)).toBe("✓ an IOMMU is on: intel, 14 groups, IOVAs of 48 bits");
  for (const [architecture, trait] of [
    ["armv7l", ", of 32 bits"],
    ["i686", ", of 32 bits"],
    ["s390x", ", which is big-endian"],
    ["aarch64_be", ", which is big-endian"],
    ["riscv64", ""],
  ] as const) {
    machine.put("/proc/sys/kernel/arch", architecture);
    const found = doctor(machine);
    expect(found[0]).toBe(
      `✗ this machine is ${architecture}${trait}: x86-64 and aarch64 alone are served; fix: use a machine of one of these, with a kernel of 64 bits`,
    );
    expect(found.at(-1)).toStartWith(`Verdict: not ready: this machine is ${architecture}`);
  }
  machine.put("/proc/sys/kernel/arch", "x86_64");
  machine.put("/proc/sys/kernel/osrelease", "5.10.0-33-amd64");
  expect(first(machine)).toBe(
    "– Linux 5.10.0-33-amd64 is older than any that the tests run on: from Linux 6.1 on",
  );
  expect(systemChecks(readHostState(machine.files).host, "darwin")).toMatchObject([
    { name: "system", status: "missing", message: "this is darwin, and VFIO is Linux's" },
  ]);
});

test("Arm: which SMMU, and what takes the interrupts", () => {
  using machine = new Machine();
  for (const name of ["dmar0", "dmar1"]) machine.unlink(`/sys/class/iommu/${name}`);
  machine.put("/proc/sys/kernel/arch", "aarch64");
  const smmu = "/sys/devices/platform/9050000.smmuv3/iommu/smmu3.0x0000000009050000";
  machine.put(`${smmu}/uevent`, "");
  machine.link("/sys/class/iommu/smmu3.0x0000000009050000", smmu);
  machine.put("/proc/interrupts", " 24: 10 ITS-PCI-MSI-0000:00:02.0  0-edge  PCIe PME");
  expect(doctor(machine).slice(0, 2)).toEqual([
    "✓ an IOMMU is on: Arm's SMMUv3, 14 groups",
    "✓ the ITS takes interrupts, for each device its own",
  ]);
  machine.put("/proc/interrupts", " 24: 10 GICv2m-PCI-MSI-0000:00:02.0  0-edge  PCIe PME");
  expect(first(machine)).toStartWith(
    "✗ interrupts come by GICv2m, which does not tell devices apart: type1 and iommufd refuse devices with EPERM; fix: ",
  );
  machine.unlink("/sys/class/iommu/smmu3.0x0000000009050000");
  for (const { id } of readHostState(machine.files).groups) machine.remove(`/sys/kernel/iommu_groups/${id}`);
  for (const bdf of [nvme, ahci]) machine.unlink(`${machine.folder(bdf)}/iommu_group`);
  expect(first(machine)).toStartWith(
    "✗ no IOMMU is on: the firmware describes none; fix: turn on the SMMU in the firmware's setup; in a virtual machine, give it one (QEMU: -machine virt",
  );
  machine.put("/sys/firmware/devicetree/base/smmuv3@9050000/compatible", "arm,smmu-v3");
  expect(first(machine)).toStartWith(
    "✗ no IOMMU is on: the firmware describes the SMMU, and the kernel does not use it; fix: the kernel's log tells why: dmesg | grep -i -e smmu",
  );
  machine.put("/boot/config-6.12.95", "CONFIG_INTEL_IOMMU=y");
  expect(first(machine)).toContain("this kernel is built without CONFIG_ARM_SMMU_V3");
});

test("a kernel that is locked down is told of", () => {
  using machine = new Machine();
  machine.put("/sys/kernel/security/lockdown", "none [integrity] confidentiality");
  expect(doctor(machine).find((one) => one.includes("locked down"))).toStartWith(
    "– the kernel is locked down (integrity): ",
  );
  machine.put("/sys/kernel/security/lockdown", "[none] integrity confidentiality");
  expect(doctor(machine).join()).not.toContain("locked down");
});

test("no command is advised that refuses: what is advised is done, or the reason is told", () => {
  using machine = new Machine();
  busy(machine);
  machine.put(`${machine.folder("0000:01:00.0")}/boot_vga`, "1");
  machine.block("0000:00:1f.2", "ata1/host0/block/sda", "8:0");
  machine.put("/proc/swaps", "Filename Type\n/dev/sda partition 1 0 -2");
  const advised: string[] = [];
  for (const { bdf } of readHostState(machine.files).devices) {
    const fixes = doctor(machine, bdf).flatMap((one) => one.split("; fix: ")[1] ?? []);
    for (const fix of fixes) {
      const command = /^bun-vfio bind (.*?)(?:;|$)/.exec(fix)?.[1]?.split(" ");
      if (command === undefined) continue;
      advised.push(command.join(" "));
      using _ = inProcess(machine);
      const options = {
        group: command.includes("--group"),
        force: command.includes("--force"),
        dryRun: true,
      };
      expect([command, bindCommand([command.at(-1)!], options, machine.write)]).toEqual([command, 0]);
    }
  }
  expect(advised).toEqual(["0000:04:10.0", "0000:04:10.2", "0000:09:00.0"]);
  expect(first(machine, "00:1f.3")).toBe(
    "✗ group 10 is held by the host, with 0000:00:1f.2 (ahci); fix: 0000:00:1f.2: sda is swap space; turn it off with swapoff first, then bun-vfio bind --group 0000:00:1f.3",
  );
  expect(first(machine, "01:00.0")).toEndWith(
    "; fix: if the host can do without it, bun-vfio bind --force 0000:01:00.0",
  );
  // A part of the host in the group is no device's to take.
  machine.bind("0000:00:1f.0", "igb");
  machine.put("/proc/swaps", "Filename Type");
  expect(first(machine, "00:1f.3")).toEndWith(
    "; fix: 0000:00:1f.0 stays: it is a bridge of the host, which relies on it; pass through another device",
  );
});
