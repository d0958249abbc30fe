// Where the members of a declared struct lie: worked out without typed-struct, since ioctl numbers need a struct's size.
import { integerRange, type IntegerRange } from "./integer.ts";
import { arrays, codecs } from "./struct-members.ts";

export type Names = string | string[];
/** One call of the builder: a method, and what it was given. */
export interface Step {
  readonly method: string;
  readonly args: readonly unknown[];
}

/** What is known of a struct before anything lies in memory. */
export interface Layout {
  /** The C `sizeof`, in bytes: without a flexible tail. */
  readonly size: number;
  /** Byte offsets by member. */
  readonly offsets: Readonly<Record<string, number>>;
  /** What each integer may be, and each element of an array of integers. */
  readonly ranges: ReadonlyMap<string, IntegerRange>;
}

/** Bytes of a member; undefined for one that only typed-struct knows. */
function sizeOf({ method, args }: Step): number | undefined {
  const [, second, third] = args;
  if (codecs[method]) return codecs[method].bytes;
  // Without a length, or a count, it is a flexible tail.
  if (arrays[method]) return arrays[method].bytes * ((second as number | undefined) ?? 0);
  if (method === "Buffer") return (second as number | undefined) ?? 0;
  const { baseSize } = (second ?? {}) as { readonly baseSize: number };
  if (method === "Struct") return baseSize;
  return method === "StructArray" ? baseSize * ((third as number | undefined) ?? 0) : undefined;
}

/** @returns undefined where a member is of a kind that only typed-struct knows */
export function layoutOf(name: string, steps: readonly Step[]): Layout | undefined {
  const offsets: Record<string, number> = {};
  const ranges = new Map<string, IntegerRange>();
  let at = 0;
  let size = 0;
  for (const step of steps) {
    const [first] = step.args;
    if (step.method === "seek") {
      at = first === 0 ? size : at + (first as number);
    } else {
      const bytes = sizeOf(step);
      if (bytes === undefined) return undefined;
      const names = [first as Names].flat();
      const integer = codecs[step.method] ?? arrays[step.method];
      const range = integer && integerRange(`${name}.${names[0]}`, integer.bytes, integer.signed);
      for (const member of names) {
        offsets[member] = at;
        if (range) ranges.set(member, range);
      }
      at += bytes;
    }
    size = Math.max(size, at);
  }
  return { size, offsets, ranges };
}
