// Who answers for each byte of config space, and what a write of it does: from the tables of the model.
import type { Patch } from "../device/passthrough/config/patches.ts";

/** Who answers a guest's read of a byte. */
export type ByteOwner = "hidden" | "emulated" | "device" | "static" | "unknown";

/** What a page says of an owner. */
export const ownerWords: Readonly<Record<ByteOwner, string>> = {
  emulated: "emulated: the model answers for it, or for some of its bits",
  static: "static: read from the device once, and never changed",
  device: "the device's: asked at each read, or after a write",
  hidden: "hidden: a capability that the guest is not shown; reads 0",
  unknown: "unknown: nobody could read it",
};

/** The tables of a byte for each of config space. */
export interface ByteTables {
  readonly emulated: Uint8Array;
  readonly write: Uint8Array;
  readonly clear: Uint8Array;
  readonly source: Uint8Array;
  readonly effects: Uint8Array;
  readonly patches: readonly Patch[];
}

/** Of `Source` in the model's tables: asked each time. */
const fromDevice = 2;

/** @param unknown whether nobody could read the byte */
export function ownerOf(tables: ByteTables, at: number, unknown = false): ByteOwner {
  const { emulated, write, clear, source, patches } = tables;
  const isHidden = patches.some(
    ({ kind, offset, size }) => kind === "hidden" && offset <= at && at < offset + size,
  );
  if (isHidden) return "hidden";
  if (emulated[at]) return "emulated";
  if (unknown) return "unknown";
  return source[at] === fromDevice || write[at] || clear[at] ? "device" : "static";
}

/** Bits that a write of a guest changes: it stores them, or a 1 clears them. */
export const writableBits = ({ write, clear }: ByteTables, at: number): number => write[at]! | clear[at]!;

/** Whether a write does more than change its bits: it moves a BAR, turns interrupts on, resets, or clears by a 1. */
export const hasEffect = ({ effects, clear, write }: ByteTables, at: number): boolean =>
  (effects[at] !== 0 && write[at] !== 0) || clear[at] !== 0;
