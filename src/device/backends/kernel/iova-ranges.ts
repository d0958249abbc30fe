import type { IovaSpan } from "../../../ffi/vfio-type1.ts";
import type { Range } from "../../address/range.ts";

const top = BigInt(Number.MAX_SAFE_INTEGER);

/** Ranges as numbers below 2^53: what of an IOMMU's lies above is not used. Ascending, none empty. */
export function toRanges(spans: readonly IovaSpan[]): Range[] {
  return spans
    .filter(({ first, last }) => first < top && last >= first)
    .map(({ first, last }) => {
      const end = last < top ? last + 1n : top;
      return { base: Number(first), size: Number(end - first) };
    })
    .sort((a, b) => a.base - b.base);
}
