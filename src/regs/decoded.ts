// What decoding makes of registers and capabilities.
import type { DecodedValues } from "./derived-decode.ts";

/** A flag, a number, the name of a value (or `reserved(n)`), or 64 bits as `0x` and 16 hexadecimal digits. */
export type DecodedValue = boolean | number | string;
/** A register without fields is one value; another has the value of each field by its name. */
export type DecodedRegister = DecodedValue | { readonly [field: string]: DecodedValue };
/** The registers of a map by their names. */
export type DecodedRegisters = { readonly [register: string]: DecodedRegister };

/** A capability as data. */
export interface DecodedCapability {
  /** Of the specification. */
  readonly id: number;
  /** Short name; `unknown` for an ID without a map. */
  readonly name: string;
  /** Byte offset in config space. */
  readonly offset: number;
  /** Whether it is in the list of extended capabilities. */
  readonly extended: boolean;
  /** Of an extended capability alone. */
  readonly version?: number;
  /** By name. */
  readonly registers: DecodedRegisters;
  /** What its registers mean together, where the map says so. */
  readonly values?: DecodedValues;
  /** What no register describes, in hexadecimal: the body of a vendor's or an unknown capability. */
  readonly bytes?: string;
}
