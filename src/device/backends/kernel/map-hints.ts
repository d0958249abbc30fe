// The next step a person can take when the kernel refuses a mapping. `DmaMap` checks before and says it with numbers;
// this is for whoever maps without it.

export function mapHint(code: string): string | undefined {
  switch (code) {
    case "ENOMEM":
      return "The memory cannot be pinned: raise RLIMIT_MEMLOCK (ulimit -l, LimitMEMLOCK= of systemd), and share one container or IOAS among devices.";
    case "EEXIST":
      return "Part of these IOVAs is mapped already.";
    case "ENOSPC":
      return "The container holds as many mappings as it may: join neighbours, or raise dma_entry_limit of vfio_iommu_type1.";
    case "EINVAL":
      return "IOVA, size and address must be whole pages, the IOVAs inside of what the IOMMU allows (`ranges`), and nothing of it mapped already.";
    case "EFAULT":
      return "The address is no memory of this process that can be pinned; an iommufd does not map BARs by address.";
    default:
      return undefined;
  }
}

export function unmapHint(code: string): string | undefined {
  if (code === "ENOENT")
    return "Nothing is mapped there, or no whole mapping: a part of one cannot be unmapped.";
  return code === "EINVAL" ? "A part of a mapping cannot be unmapped: unmap whole mappings." : undefined;
}
