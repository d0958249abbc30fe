// The IOMMUs that machines have, as QEMU and the kernel are told of them.
import type { Machine } from "../machines.ts";

interface Iommu {
  readonly args?: readonly string[];
  /** Of the kernel's command line. */
  readonly words?: readonly string[];
}

const iommus: Readonly<Record<Machine["iommu"], Iommu>> = {
  intel: {
    args: ["-device", "intel-iommu,intremap=on,caching-mode=on"],
    words: ["intel_iommu=on"],
  },
  amd: {
    args: [
      // Linux 7.3 remaps no interrupts where it finds no south bridge at this address (drivers/iommu/amd/init.c,
      // check_ioapic_information); a disk that says it is an ISA bridge is taken for one.
      ...["-blockdev", "driver=null-co,node-name=bridge,size=1048576"],
      ...["-device", "virtio-blk-pci,drive=bridge,class=0x0601,addr=14.0"],
      ...["-device", "amd-iommu,intremap=on,dma-remap=on,xtsup=on"],
    ],
  },
  virtio: { args: ["-device", "virtio-iommu-pci,addr=1e.0"] },
  // A part of the board itself.
  smmuv3: {},
  none: {},
};

export const iommuNames: readonly string[] = Object.keys(iommus);
export const argumentsOf = (name: Machine["iommu"]): readonly string[] => iommus[name].args ?? [];
export const wordsOf = (name: Machine["iommu"]): readonly string[] => iommus[name].words ?? [];
