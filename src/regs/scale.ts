// What a number in a register stands for, where it counts units: an offset in units of 8 bytes, a size as a power of two.

/** How bits become the value that they stand for: `bits * by + plus`, or with a base `by * base ** bits + plus`. */
export interface Scale {
  /** What 1 stands for. */
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

/** The value that `bits` stand for; exact as long as it is below 2^53 and counts in whole numbers. */
export function scaledValue({ by, plus = 0, base, zero }: Scale, bits: number): number {
  if (bits === 0 && zero !== undefined) return zero;
  return times(base === undefined ? bits : base ** bits, by) + plus;
}
/** Tenths are divided by 10, not multiplied by what is nearly 0.1: 3 of them are 0.3. */
const times = (count: number, by: number): number =>
  by < 1 && Number.isInteger(1 / by) ? count / (1 / by) : count * by;
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
  return Number.isSafeInteger(bits) && bits >= 0 && isSame(scale, scaledValue(scale, bits), value)
    ? bits
    : undefined;
}
/** Parts of a whole are not exact: what is nearer than any two steps is the same. */
const isSame = ({ by, plus = 0 }: Scale, value: number, given: number): boolean =>
  value === given ||
  (!(Number.isInteger(by) && Number.isInteger(plus)) &&
    Math.abs(value - given) <= Math.abs(value) * 2 ** -50);

/** The same for values beyond 2^53. */
export function scaledBigintBits({ by, plus = 0, base, zero }: Scale, value: bigint): bigint | undefined {
  if (zero !== undefined && value === BigInt(zero)) return 0n;
  const rest = value - BigInt(plus);
  if (rest < 0n || rest % BigInt(by) !== 0n) return undefined;
  const steps = rest / BigInt(by);
  return base === undefined ? steps : exponentOf(BigInt(base), steps);
}
function exponentOf(base: bigint, power: bigint): bigint | undefined {
  let exponent = 0n;
  let reached = 1n;
  for (; reached < power && exponent < 64n; exponent++) reached *= base;
  return reached === power ? exponent : undefined;
}
