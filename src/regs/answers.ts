// A device that is gone, asleep or stuck answers no read: the root complex completes each one with all ones.
import { isUnknown, noGaps, type Gaps } from "./gaps.ts";

/** Bytes that every header has. */
const headerSize = 64;
/** Of the IDs, with which a header begins; alone they tell nothing of a device. */
const idsSize = 4;

/** What is said of a config space that `readsAllOnes`. */
export const allOnesText = "config space reads all ones: the device is gone, asleep or stuck";

/**
 * Whether no known byte of the header, or of as much of it as is there, is anything but all ones. A virtual function's IDs
 * read all ones while it is well (PCI Express Base Specification 9.3.4.1.1): they alone settle nothing.
 */
export const readsAllOnes = (config: Uint8Array, gaps: Gaps = noGaps): boolean => {
  const end = Math.min(config.length, headerSize);
  let known = 0;
  for (let at = 0; at < end; at++) {
    if (isUnknown(gaps, at, 1)) continue;
    if (config[at] !== 0xff) return false;
    known++;
  }
  return known > (gaps.length === 0 ? 0 : idsSize);
};
