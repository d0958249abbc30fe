// Lists of all that is declared, taken from the modules themselves: nothing can be forgotten.
import { uapiName } from "./constants.ts";
import * as declarations from "./declarations.ts";
import { isStruct } from "./struct-builder.ts";

/** A struct class whose members may be of any kind. */
export interface AnyStruct {
  /** The C name; a member that has no tag of its own is named by its path, as `kvm_run.io`. */
  readonly name: string;
  /** The C `sizeof`, in bytes. */
  readonly baseSize: number;
  /** The struct over memory, which it shares. @param raw `baseSize` bytes or more */
  new (raw: Buffer): { readonly __struct: string };
  /** The offset of each member, in bytes. */
  getOffsets(): Readonly<Record<string, number>>;
}

/** Every struct of this folder. */
export const allStructs: readonly AnyStruct[] = Object.values<unknown>(declarations).filter(
  (value): value is AnyStruct => isStruct(value),
);

/** One constant under its C name. */
export interface UapiConstant {
  /** As the kernel's headers have it. */
  readonly name: string;
  /** What it stands for. */
  readonly value: number | bigint;
}

/** Every constant and ioctl request of this folder. */
export const allConstants: readonly UapiConstant[] = Object.values<unknown>(declarations).flatMap((table) => {
  const name = typeof table === "object" && table !== null ? uapiName(table) : undefined;
  return name
    ? Object.entries(table as Readonly<Record<string, number | bigint>>).map(([key, value]) => ({
        name: `${name.prefix}${key}${name.suffix}`,
        value,
      }))
    : [];
});
