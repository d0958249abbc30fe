// What a number in a register stands for, where it counts units: an offset in units of 8 bytes, a size as a power of two.

/** How bits become the value that they stand for: `bits * by + plus`, or with a base `by * base ** bits + plus`. */
export interface Scale {
  readonly by: number;
  /** Added last; 0 without it. */
  readonly plus?: number | undefined;
  /** With it the bits are an exponent. */
  readonly base?: number | undefined;
  /** What bits that are all 0 stand for, where that is no value of the row: "0 is 256". */
  readonly zero?: number | undefined;
  /** Of the value, as `ns` or `W`: printed behind it. */
  readonly unit?: string | undefined;
}

/** The value that `bits` stand for; exact as long as it is below 2^53. */
export function scaledValue({ by, plus = 0, base, zero }: Scale, bits: number): number {
  if (bits === 0 && zero !== undefined) return zero;
  return (base === undefined ? bits : base ** bits) * by + plus;
}
/** The same for bits beyond 2^53. */
export function scaledBigint({ by, plus = 0, base, zero }: Scale, bits: bigint): bigint {
  if (bits === 0n && zero !== undefined) return BigInt(zero);
  return (base === undefined ? bits : BigInt(base) ** bits) * BigInt(by) + BigInt(plus);
}

/** The bits that stand for `value`, or undefined where none do: it lies between two steps. */
export function scaledBits(scale: Scale, value: number): number | undefined {
  const { by, plus = 0, base, zero } = scale;
  if (zero !== undefined && value === zero) return 0;
  const steps = (value - plus) / by;
  const bits = base === undefined ? Math.round(steps) : Math.round(Math.log(steps) / Math.log(base));
  return bits >= 0 && scaledValue(scale, bits) === value ? bits : undefined;
}
/** The same for values beyond 2^53; a base is not for them. */
export function scaledBigintBits({ by, plus = 0, zero }: Scale, value: bigint): bigint | undefined {
  if (zero !== undefined && value === BigInt(zero)) return 0n;
  const steps = value - BigInt(plus);
  return steps >= 0n && steps % BigInt(by) === 0n ? steps / BigInt(by) : undefined;
}
