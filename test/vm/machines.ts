// The machines that tests can ask for, and the devices in them. A test file names its machines in a line
// `// machines: intel (virtio) [arm]`; one that does not runs on each of them.

/** A PCI device of QEMU's, alone on a root port of its own. */
export interface Device {
  /** What follows QEMU's `-device`; of one that is served, the name that served.ts has for it. */
  readonly device: string;
  /** A vfio-user server of this host has it, and QEMU its client. */
  readonly served?: boolean;
  /** It has a disk of 16 MiB of zeros; the guest's tests see its backing file as /out/disk-NAME.img. */
  readonly disk?: boolean;
  /** It has a network of its own, which leads nowhere. */
  readonly network?: boolean;
}

/** Which suite of Debian a kernel is of: as it is, or rebuilt in part (prepare/modules.sh), but for bookworm's. */
export const kernelSuites = ["bookworm", "trixie", "trixie-backports"] as const;
export const architectures = ["x86-64", "aarch64"] as const;

export interface Machine {
  readonly name: string;
  readonly iommu: "intel" | "amd" | "virtio" | "smmuv3" | "none";
  /** x86-64 unless given. */
  readonly arch?: (typeof architectures)[number];
  /** trixie's unless given. What a suite has moves: what a test expects goes by feature, and each start tells its release. */
  readonly kernel?: (typeof kernelSuites)[number];
  /** Of the kernel, in KiB; 4 unless given. aarch64 has a kernel with 16, too. */
  readonly pages?: 4 | 16;
  /** The C library of Bun; glibc unless given. */
  readonly libc?: "glibc" | "musl";
  /** By the name that they have in QEMU, in the order of their buses: the first is 0000:01:00.0. */
  readonly devices: Readonly<Record<string, Device>>;
  /** In MiB; 2048 unless given. */
  readonly memory?: number;
  /** 2 unless given. */
  readonly cpus?: number;
  /** aarch64: the CPUs have EL2, and the guest's kernel KVM. */
  readonly virtualization?: boolean;
  /** More words of the kernel's command line; `module.parameter=value` works for every module that is loaded at boot. */
  readonly words?: readonly string[];
  /** Modules of Debian's kernel to load besides those of VFIO. */
  readonly modules?: readonly string[];
  /**
   * Shares more programs, with the 9p tag `system`: on x86-64 those that the machine itself is made of, QEMU among them; on aarch64
   * a C compiler, which is then `cc` in the guest.
   */
  readonly system?: boolean;
  /** More words of QEMU's command line. */
  readonly qemu?: readonly string[];
}

/** Nine devices of many kinds: with and without MSI, MSI-X, INTx, extended config space, I/O ports, SR-IOV, resets. */
export const devices = {
  edu: { device: "edu" },
  nvme: { device: "nvme,serial=BUNVFIO0", disk: true },
  e1000e: { device: "e1000e,mac=52:54:00:00:00:01", network: true },
  igb: { device: "igb,mac=52:54:00:00:00:02", network: true },
  "pci-testdev": { device: "pci-testdev,membar=2M" },
  "virtio-net": {
    device: "virtio-net-pci,aer=on,disable-legacy=on,iommu_platform=on,mac=52:54:00:00:00:03",
    network: true,
  },
  "virtio-blk": { device: "virtio-blk-pci,disable-legacy=on,iommu_platform=on", disk: true },
  xhci: { device: "qemu-xhci" },
  ahci: { device: "ich9-ahci" },
} as const satisfies Record<string, Device>;

/** A device of several MSI messages, which none of those has: alone, for what the host has of them. */
const messages = { nec: { device: "nec-usb-xhci,msix=off,msi=on" } } as const;

/** Devices written in TypeScript, and a recorded one, at the other end of a socket. Memory that they share is one file. */
const served = {
  edu: { device: "edu", served: true },
  nvme: { device: "nvme", served: true, disk: true },
  uart: { device: "uart", served: true },
  xhci: { device: "recorded xhci", served: true },
} as const satisfies Record<string, Device>;
const sharedMemory = [
  ...["-object", "memory-backend-memfd,id=ram,size=2048M,share=on"],
  ...["-machine", "memory-backend=ram"],
];

/** A bridge to conventional PCI, which puts what is behind it into one IOMMU group with itself; its driver is shpchp. */
const oldBus = ["-device", "pcie-pci-bridge,id=old,addr=1d.0", "-device", "virtio-rng-pci,bus=old,addr=1"];
const nativeHotplug = ["-global", "ICH9-LPC.acpi-pci-hotplug-with-bridge-support=off"];
/** What the firmware would show its messages on. */
const display = ["-device", "VGA,addr=1b.0,romfile="];
/** An IOMMU that remaps no interrupts: a device could send any. */
const unsafe = ["vfio_iommu_type1.allow_unsafe_interrupts=1", "iommufd.allow_unsafe_interrupts=1"];
/** AMD's virtualization, which QEMU emulates: machines in the machine. */
const modules = ["kvm", "kvm_amd"];
// Of more than one CPU, what one has to tell the other makes QEMU deliver injected interrupts twice all the oftener: see
// prepare/inject-once.c, which is there for one as well.
const cpus = 1;

export const machines: readonly Machine[] = [
  { name: "intel", iommu: "intel", devices, qemu: [...oldBus, ...display] },
  // Slots that the kernel serves by itself, by registers of their ports, in place of the firmware's tables.
  { name: "native", iommu: "intel", devices, qemu: nativeHotplug },
  { name: "virtio", iommu: "virtio", devices, words: unsafe },
  { name: "none", iommu: "none", devices },
  // With interrupt remapping, and without.
  { name: "messages", iommu: "intel", devices: messages },
  { name: "few-messages", iommu: "virtio", devices: messages, words: unsafe },
  { name: "kvm", iommu: "intel", devices, modules, cpus },
  // One that runs whole guests.
  { name: "vmm", iommu: "intel", devices, modules, cpus, system: true },
  // The oldest kernel, as Debian has it: groups and type1 alone.
  { name: "intel-old", iommu: "intel", devices, kernel: "bookworm", qemu: [...oldBus, ...display] },
  // The newest.
  { name: "intel-new", iommu: "intel", devices, kernel: "trixie-backports", qemu: [...oldBus, ...display] },
  { name: "amd", iommu: "amd", devices, kernel: "trixie-backports" },
  { name: "virtio-new", iommu: "virtio", devices, kernel: "trixie-backports", words: unsafe },
  { name: "none-new", iommu: "none", devices, kernel: "trixie-backports" },
  { name: "kvm-new", iommu: "intel", devices, kernel: "trixie-backports", modules, cpus },
  // Bun over musl in place of glibc.
  { name: "musl", iommu: "intel", devices, libc: "musl" },
  { name: "vfio-user", iommu: "intel", devices: served, qemu: sharedMemory },
  // Behind an IOMMU that translates nothing.
  {
    ...{ name: "vfio-user-pt", iommu: "intel", devices: served, qemu: sharedMemory },
    words: ["iommu.passthrough=1"],
  },
  { name: "arm", iommu: "smmuv3", arch: "aarch64", devices, kernel: "trixie-backports", system: true },
  { name: "arm-16k", iommu: "smmuv3", arch: "aarch64", devices, kernel: "trixie-backports", pages: 16 },
  { name: "arm-none", iommu: "none", arch: "aarch64", devices, kernel: "trixie-backports" },
  {
    ...{ name: "arm-kvm", iommu: "smmuv3", arch: "aarch64", devices, kernel: "trixie-backports" },
    virtualization: true,
    cpus,
  },
];
