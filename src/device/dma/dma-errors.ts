// Why memory cannot be mapped for a device, and the next step: the facts as data, then as an error.
import { VfioError } from "../../ffi/errors.ts";
import { bytesText } from "../address/size-text.ts";
import { entriesHint, mapHint, memlockHint } from "./map-hints.ts";
import type { Iommu } from "../seam/iommu.ts";
import { formatRange, hex, type Range } from "../address/range.ts";
import { messageOf } from "../../regs/message-of.ts";

/** What stands against a mapping. */
export type DmaProblem =
  | { readonly kind: "no-access" }
  | { readonly kind: "device-memory" }
  | { readonly kind: "unaligned"; readonly part: "iova" | "size" | "hva"; readonly pageSize: number }
  | { readonly kind: "outside"; readonly ranges: readonly Range[]; readonly outside: readonly Range[] }
  | { readonly kind: "overlap" | "cut"; readonly there: Asked }
  | { readonly kind: "short"; readonly bytes: number }
  | { readonly kind: "entries"; readonly used: number; readonly limit: number }
  | { readonly kind: "memlock"; readonly lockable: number; readonly locked: number }
  | { readonly kind: "kernel"; readonly cause: unknown; readonly mappings: number };

interface Asked extends Range {
  readonly iova: number;
  readonly size: number;
  readonly hva: number;
  readonly label: string | undefined;
}

const shownRanges = 8;
const verb: Partial<Record<DmaProblem["kind"], string>> = { cut: "unmap", short: "unmap" };
const partName = { iova: "the IOVA", size: "the size", hva: "the host address" } as const;

const nameOf = ({ label, ...range }: Asked): string =>
  `${label ? `${label}, ` : ""}IOVA ${formatRange({ base: range.iova, size: range.size })}`;

function listRanges(ranges: readonly Range[]): string {
  const shown = ranges.slice(0, shownRanges).map(formatRange).join(", ");
  return ranges.length > shownRanges ? `${shown} and ${ranges.length - shownRanges} more` : shown;
}

/** The error for a mapping that cannot be made or taken back. */
export function refuseDma(iommu: Iommu, asked: Asked, problem: DmaProblem): VfioError {
  const { code, why, hint } = explain(asked, problem);
  const { request, errno, syscall } = problem.kind === "kernel" ? factsOf(problem.cause) : {};
  return new VfioError(`cannot ${verb[problem.kind] ?? "map"} ${nameOf(asked)} (${iommu.name}): ${why}`, {
    code,
    hint,
    request,
    errno,
    syscall,
    cause: problem.kind === "kernel" ? problem.cause : undefined,
  });
}

const factsOf = (cause: unknown): Partial<VfioError> => (cause instanceof VfioError ? cause : {});

function explain(asked: Asked, problem: DmaProblem): { code: string; why: string; hint?: string } {
  switch (problem.kind) {
    case "no-access":
      return {
        code: "EINVAL",
        why: "the device may neither read nor write it",
        hint: "Ask for one of them.",
      };
    case "device-memory":
      return {
        code: "EOPNOTSUPP",
        why: "iommufd can map device memory only through a dma-buf, and this BAR has none",
        hint: 'Peers reach it through a container (api: "group"), or with a kernel that has dma-bufs of VFIO devices (Linux 6.19 or newer); without, everything else works.',
      };
    case "unaligned":
      return {
        code: "EINVAL",
        why: `${partName[problem.part]} ${hex(asked[problem.part])} is not a multiple of the IOMMU's page of ${bytesText(problem.pageSize)}`,
        hint: `Map whole pages of ${bytesText(problem.pageSize)}.`,
      };
    case "outside":
      return {
        code: "ERANGE",
        why: `${listRanges(problem.outside)} cannot be used; the IOMMU allows ${listRanges(problem.ranges)}`,
        hint: "What lies between is reserved (for MSIs, or by firmware) or beyond the IOMMU's address width; leave it free in the guest's memory map.",
      };
    case "overlap":
      return { code: "EEXIST", why: `it overlaps ${nameOf(problem.there)}`, hint: "Unmap that first." };
    case "cut":
      return {
        code: "EINVAL",
        why: `it would cut ${nameOf(problem.there)} in two`,
        hint: "Unmap the whole of it, or map in the pieces that you want to unmap.",
      };
    case "short":
      return {
        code: "EIO",
        why: `the IOMMU took back ${bytesText(problem.bytes)} of ${bytesText(asked.size)}`,
      };
    case "entries":
      return {
        code: "ENOSPC",
        why: `${problem.used} of ${problem.limit} mappings are in use`,
        hint: entriesHint,
      };
    case "memlock":
      return {
        code: "ENOMEM",
        why: `it needs ${bytesText(asked.size)} of locked memory, the process may lock ${bytesText(problem.lockable)} more (${bytesText(problem.locked)} are mapped here)`,
        hint: memlockHint,
      };
    case "kernel":
      return explainKernel(problem.cause, problem.mappings);
  }
}

function explainKernel(cause: unknown, mappings: number): { code: string; why: string; hint?: string } {
  const why = messageOf(cause);
  if (!(cause instanceof VfioError)) return { code: "EIO", why };
  const { code } = cause;
  const hint = mapHint(code) ?? cause.hint;
  const told = code === "ENOSPC" ? `${why}, with ${mappings} mappings in use` : why;
  return hint === undefined ? { code, why: told } : { code, why: told, hint };
}
