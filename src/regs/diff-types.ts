// What may differ between two config spaces, as data.
import type { Access } from "./access.ts";
import type { DecodedValue } from "./decode.ts";

/** A field, or a register without fields, that has another value. */
export interface FieldDifference {
  /** A value differs. */
  readonly kind: "field";
  /** `header`, or the capability and its offset, as `MSI-X @0x40`. */
  readonly where: string;
  /** Byte offset of the register in the second config space, or in the first where only that one has it. */
  readonly offset: number;
  /** Names of the maps, as in decoded config space. */
  readonly register: string;
  /** Undefined of a register without fields. */
  readonly field?: string | undefined;
  /** The names that PCI tools print, as `Control: BusMaster`. */
  readonly label: string;
  /**
   * Null where only the other config space has the register, whose whole value the other side then is; or where several fields
   * mean nothing together.
   */
  readonly from: DecodedValue | null;
  /** The second device's; null: it has none. */
  readonly to: DecodedValue | null;
  /** What software may do to it. */
  readonly access: Access;
  /** In bits. */
  readonly width: number;
  /** The value is one that is printed as hexadecimal. */
  readonly hex: boolean;
  /** Of a value that several fields have together: what it is made of. Those that differ are not listed by themselves. */
  readonly parts?: readonly DifferencePart[];
}
/** A register, or a field of one, as a part of a value that differs. */
export interface DifferencePart {
  /** By name. */
  readonly register: string;
  /** Undefined of a register without fields. */
  readonly field?: string | undefined;
  /** Byte offset of the register in the second config space. */
  readonly offset: number;
}
/** A capability that only one of both has, or that both have at different offsets. */
export interface CapabilityDifference {
  /** What became of it. */
  readonly kind: "added" | "removed" | "moved";
  /** Which capability, in words. */
  readonly where: string;
  /** Of the specification. */
  readonly id: number;
  /** Whether it is in the list of extended capabilities. */
  readonly extended: boolean;
  /** As `MSI-X`. */
  readonly name: string;
  /** Byte offset; null where it was added. */
  readonly from: number | null;
  /** Null where it was removed. */
  readonly to: number | null;
}
/** Bytes of which no register describes all the bits that differ. */
export interface ByteDifference {
  /** No map describes the bytes. */
  readonly kind: "bytes";
  /** Of the first byte. */
  readonly offset: number;
  /** In hexadecimal; the same length in both. */
  readonly from: string;
  /** The second device's, in hexadecimal. */
  readonly to: string;
}
/** Config spaces of different sizes, in bytes: only what both have is compared. */
export interface SizeDifference {
  /** Not as many bytes of both are there. */
  readonly kind: "size";
  /** Bytes of the first. */
  readonly from: number;
  /** Bytes of the second. */
  readonly to: number;
}
/** One thing in which two config spaces differ. */
export type ConfigDifference = FieldDifference | CapabilityDifference | ByteDifference | SizeDifference;
