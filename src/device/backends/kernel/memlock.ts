import { getIommuOption } from "../../../ffi/iommufd-option.ts";
import { getLimit, lockedMemory } from "../../../ffi/limits.ts";
import { iommuOption } from "../../../regs/ioctl/iommufd-ioas.ts";

/**
 * What pinned memory counts against: this process alone, as in a container of type 1 (mm->locked_vm, VmLck in /proc), or all
 * processes of its user together, as in an iommufd that was opened as one (user->locked_vm, of which VmPin is this process's
 * part; drivers/iommu/iommufd/pages.c).
 */
export type MemlockAccount = "process" | "user";

/** Which of them an iommufd does (IOMMU_OPTION_RLIMIT_MODE). @throws VfioError */
export const memlockAccount = (iommufd: number): MemlockAccount =>
  getIommuOption(iommufd, iommuOption.RLIMIT_MODE, 0, { device: "iommufd" }) === 1n ? "process" : "user";

/**
 * How much more memory may be pinned, in bytes; undefined where there is no limit. Of what other processes of the user have
 * pinned Linux tells nothing: by "user" it may be less.
 */
export function lockableBytes(account: MemlockAccount): number | undefined {
  if (getLimit("MEMLOCK").soft === Infinity) return undefined;
  const { soft, locked, pinned, exempt } = lockedMemory();
  if (exempt) return undefined;
  return Math.max(0, soft - (account === "process" ? locked : pinned));
}
