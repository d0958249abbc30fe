// What differs from kernel to kernel and from architecture to architecture, told by features, and with the change that made it.
import { existsSync, readFileSync } from "node:fs";
import { pageSize } from "../../../../src/ffi/page-size.ts";

/** As uname -r has it. */
export const release = readFileSync("/proc/sys/kernel/osrelease", "utf8").trim();
console.log(`Linux ${release} on ${process.arch}, pages of ${pageSize()}`);

/** What IOMMU the machine was started with: intel, amd, virtio, smmuv3, none. */
export const iommu = process.env.BUN_VFIO_VM_IOMMU;

const symbols = new Set(
  readFileSync("/proc/kallsyms", "utf8")
    .split("\n")
    .map((line) => line.split(/\s/)[2] ?? ""),
);
/** Whether the kernel, as it is loaded, has this function. */
const hasFunction = (name: string): boolean => symbols.has(name);

/** iommufd, and with it the cdevs of devices; bookworm's Linux 6.1 has neither. */
export const hasIommufd = existsSync("/dev/iommu");

/** IOMMU_IOAS_MAP_FILE: memory of files by descriptor and offset (Linux 6.13). */
export const mapsFiles = hasFunction("iommufd_ioas_map_file");

/** VFIO_DEVICE_FEATURE_DMA_BUF: a BAR as a dma-buf, which an iommufd maps for other devices (Linux 6.19). */
export const hasDmaBufs = hasFunction("vfio_pci_core_feature_dma_buf");

/** A VF token goes with VFIO_DEVICE_BIND_IOMMUFD (Linux 6.18); before, a virtual function's cdev takes any who may open it. */
export const takesTokenByCdev = hasFunction("vfio_pci_core_match_token_uuid");

/** Devices without an IOMMU have cdevs, and iommufd tells physical addresses, IOMMU_IOAS_NOIOMMU_GET_PA (Linux 7.3). */
export const hasNoIommuCdevs = hasFunction("iommufd_ioas_noiommu_get_pa");

/** Whether the kernel is of this version or newer: for what nothing else tells. */
const isSince = (major: number, minor: number): boolean => {
  const [own = 0, ownMinor = 0] = release.split(".").map(Number);
  return own > major || (own === major && ownMinor >= minor);
};

/**
 * The error interrupt is offered for every function (Linux 7.3); before, for those of PCI Express (vfio_pci_get_irq_count of
 * drivers/vfio/pci/vfio_pci_core.c).
 */
export const offersErrorsEverywhere = isSince(7, 3);

/**
 * Where messages go that are interrupts, and where nothing can be mapped therefore: on x86 what the Local APIC answers to; on
 * aarch64 what Linux maps the doorbell of the ITS at (MSI_IOVA_BASE of drivers/iommu/arm/arm-smmu-v3/arm-smmu-v3.c).
 */
export const messageWindow =
  process.arch === "arm64" ? { base: 0x800_0000, size: 0x10_0000 } : { base: 0xfee0_0000, size: 0x10_0000 };

/** MSI-X vectors are added while others are on (Linux 6.5): VFIO_IRQ_INFO_NORESIZE is clear. */
export const addsVectors = isSince(6, 5);

/** In bytes: what the kernel maps at least, in a process and by an IOMMU. */
export const page = pageSize();
