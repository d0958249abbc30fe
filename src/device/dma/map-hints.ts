// The next step a person can take when a mapping is refused, by errno name: for who checks before the kernel is asked, and for
// what the kernel says.

const mapHints = {
  ENOMEM:
    "Raise RLIMIT_MEMLOCK (`ulimit -l unlimited`, LimitMEMLOCK= of a systemd unit), run with CAP_IPC_LOCK, " +
    "or let several devices share one container or IOAS: memory is locked once for each of them.",
  ENOSPC:
    "Map in larger pieces, raise the parameter dma_entry_limit of the module vfio_iommu_type1, or use iommufd, which has no such limit.",
  EEXIST: "Part of these IOVAs is mapped already.",
  EINVAL:
    "IOVA, size and address must be whole pages, the IOVAs inside of what the IOMMU allows (`ranges`), and nothing of it mapped already.",
  EFAULT:
    "The memory is not mapped in this process, is not writable, or is a device's: an IOAS of iommufd takes no device memory by address.",
} as const satisfies Readonly<Record<string, string>>;

/** More locked memory, or less of it. */
export const memlockHint: string = mapHints.ENOMEM;
/** More mappings, or fewer. */
export const entriesHint: string = mapHints.ENOSPC;

/** What helps against a mapping that the kernel refuses. */
export const mapHint = (code: string): string | undefined =>
  Object.hasOwn(mapHints, code) ? mapHints[code as keyof typeof mapHints] : undefined;

/** What helps against an unmap that the kernel refuses. */
export function unmapHint(code: string): string | undefined {
  if (code === "ENOENT")
    return "Nothing is mapped there, or no whole mapping: a part of one cannot be unmapped.";
  return code === "EINVAL" ? "A part of a mapping cannot be unmapped: unmap whole mappings." : undefined;
}
