import { hex } from "./hex-text.ts";
import { readsAllOnes } from "./answers.ts";
import { isUnknown, noGaps, type Gaps } from "./gaps.ts";
// The one walker for capability lists and the one for extended ones. A device, a recording or a guest
// may hold anything: both are bounded by the space, stop at the first offset seen twice, read only
// inside the bytes given, and report what is wrong instead of throwing.

/** First byte of config space that a standard capability may have (PCI Express Base Specification 7.5.1.1.11). */
export const standardStart = 0x40;
/** First byte that is not a standard capability's. */
export const standardEnd = 0x100;
/** Byte at which the list of extended capabilities begins (PCI Express Base Specification 7.6). */
export const extendedStart = 0x100;
/** The size of an extended config space, in bytes. */
export const extendedEnd = 0x1000;
/** More capabilities than fit: every standard one takes 4 bytes at least, every extended one 4. */
const standardLimit = (standardEnd - standardStart) / 4;
const extendedLimit = (extendedEnd - extendedStart) / 4;

/** A capability of a list, as its head says. */
export interface FoundCapability {
  /** Of the specification. */
  readonly id: number;
  /** Byte offset in config space. */
  readonly offset: number;
  /** Offset of the next one as the device states it; 0 ends the list. */
  readonly next: number;
  /** Whether it is in the list of extended capabilities. */
  readonly extended: boolean;
  /** Of an extended capability, 0 to 15; 0 for a standard one. */
  readonly version: number;
}

/** How a capability list can be wrong. */
export type MalformationKind =
  "pointer-unaligned" | "pointer-outside" | "cycle" | "too-many" | "all-ones" | "truncated" | "overlap";

/** What is wrong with a capability list, as data. */
export interface Malformation {
  /** What it is. */
  readonly kind: MalformationKind;
  /** Of the register that holds the fault. */
  readonly offset: number;
  /** In words. */
  readonly message: string;
}

/** What a walk found, in the order of the list, and what is wrong with it. */
export interface Walk {
  /** In list order. */
  readonly found: readonly FoundCapability[];
  /** What is wrong with the list. */
  readonly malformations: readonly Malformation[];
}

const hexOffset = (offset: number): string => hex(offset);
const unreadText = (what: string, at: number): string =>
  `the ${what} at ${hexOffset(at)} is among the bytes that nobody read`;

/**
 * Walks the capability list of a config space image of any length, as far as `gaps` lets it.
 * Follows nothing where STATUS says that there is no list (bit 4) or the header has no pointer.
 */
export function walkCapabilities(config: Uint8Array, gaps: Gaps = noGaps): Walk {
  const found: FoundCapability[] = [];
  const malformations: Malformation[] = [];
  const report = (kind: MalformationKind, offset: number, message: string): void =>
    void malformations.push({ kind, offset, message });
  const header = (config[0x0e] ?? 0) & 0x7f;
  const pointerAt = header === 2 ? 0x14 : 0x34;
  if (config.length < standardStart) return { found, malformations };
  const isUnread = (at: number): boolean => isUnknown(gaps, at, 1);
  if (!isUnread(0x06) && !(config[0x06]! & 0x10)) return { found, malformations };
  if ([0x06, 0x0e, pointerAt].some(isUnread)) {
    const at = isUnread(0x0e) ? 0x34 : pointerAt;
    report("truncated", at, "where the capability list begins is among the bytes that nobody read");
    return { found, malformations };
  }
  if (header > 2) return { found, malformations };
  const seen = new Set<number>();
  let from = pointerAt;
  let pointer = config[pointerAt]!;
  while (pointer !== 0) {
    if (pointer & 3) {
      report("pointer-unaligned", from, `capability pointer ${hexOffset(pointer)} has its low bits set`);
      // The low two bits are reserved: software must mask them (7.5.1.1.11).
      pointer &= 0xfc;
      if (pointer === 0) break;
    }
    if (pointer < standardStart) {
      report("pointer-outside", from, `capability pointer ${hexOffset(pointer)} points into the header`);
      break;
    }
    if (seen.has(pointer)) {
      report("cycle", from, `capability pointer ${hexOffset(pointer)} goes back to a capability seen before`);
      break;
    }
    if (found.length >= standardLimit) {
      report("too-many", from, `more than ${standardLimit} capabilities`);
      break;
    }
    if (pointer + 2 > config.length) {
      report(
        "truncated",
        from,
        `the capability at ${hexOffset(pointer)} lies past the ${config.length} bytes there are`,
      );
      break;
    }
    if (isUnknown(gaps, pointer, 2)) {
      report("truncated", from, unreadText("capability", pointer));
      break;
    }
    const id = config[pointer]!;
    const next = config[pointer + 1]!;
    if (id === 0xff) {
      report("all-ones", pointer, `the capability at ${hexOffset(pointer)} reads all ones`);
      break;
    }
    seen.add(pointer);
    found.push({ id, offset: pointer, next, extended: false, version: 0 });
    from = pointer + 1;
    pointer = next;
  }
  return { found, malformations };
}

const unreadableText =
  "config space reads all ones from 0x100 on: its extended part could not be read, and what is there is unknown";

/** Walks the extended capability list, from 0x100, as far as `gaps` lets it; an image of 256 bytes or less has none. */
export function walkExtendedCapabilities(config: Uint8Array, gaps: Gaps = noGaps): Walk {
  const found: FoundCapability[] = [];
  const malformations: Malformation[] = [];
  const report = (kind: MalformationKind, offset: number, message: string): void =>
    void malformations.push({ kind, offset, message });
  if (config.length < extendedStart + 4) return { found, malformations };
  const memory = new DataView(config.buffer, config.byteOffset, config.byteLength);
  const seen = new Set<number>();
  let from = extendedStart;
  let pointer = extendedStart;
  for (;;) {
    if (seen.has(pointer)) {
      report(
        "cycle",
        from,
        `extended capability pointer ${hexOffset(pointer)} goes back to a capability seen before`,
      );
      break;
    }
    if (found.length >= extendedLimit) {
      report("too-many", from, `more than ${extendedLimit} extended capabilities`);
      break;
    }
    if (pointer + 4 > config.length) {
      report(
        "truncated",
        from,
        `the extended capability at ${hexOffset(pointer)} lies past the ${config.length} bytes there are`,
      );
      break;
    }
    if (isUnknown(gaps, pointer, 4)) {
      report("truncated", from, unreadText("extended capability", pointer));
      break;
    }
    const header = memory.getUint32(pointer, true);
    // All zeros end the list, and at 0x100 say that there is none (7.6.2); all ones: no answer from the device.
    if (header === 0) break;
    if (header === 0xffffffff) {
      if (pointer === extendedStart) {
        // Of a device that is gone it is said of the whole.
        if (!readsAllOnes(config, gaps)) report("all-ones", pointer, unreadableText);
      } else report("all-ones", pointer, `the extended capability at ${hexOffset(pointer)} reads all ones`);
      break;
    }
    const id = header & 0xffff;
    const version = (header >>> 16) & 0xf;
    const next = header >>> 20;
    seen.add(pointer);
    found.push({ id, offset: pointer, next, extended: true, version });
    if (next === 0) break;
    from = pointer + 2;
    pointer = next;
    if (pointer & 3) {
      report(
        "pointer-unaligned",
        from,
        `extended capability pointer ${hexOffset(pointer)} has its low bits set`,
      );
      pointer &= 0xffc;
    }
    if (pointer < extendedStart) {
      report(
        "pointer-outside",
        from,
        `extended capability pointer ${hexOffset(next)} points into the first 256 bytes`,
      );
      break;
    }
  }
  return { found, malformations };
}
