// What bits count: a unit of more than nothing, and values that are exact.
import { said } from "../said.ts";
import { scaledBits, scaledValue, type Scale } from "../scale.ts";

/**
 * @param bits that count
 * @param big whether its values are bigints: below 2^64, where numbers are below 2^53
 * @param say what makes them bigints
 * @throws RangeError for units that count nothing, or values that are not exact
 */
export function checkScale(where: string, scale: Scale, bits: number, big: boolean, say: string): void {
  if (typeof scale !== "object" || scale === null)
    throw new RangeError(`"${where}" must have a scale with units, not ${said(scale)}`);
  const { by, plus, base, zero } = scale;
  if (!Number.isFinite(by) || by <= 0)
    throw new RangeError(`"${where}" must count units of a number above 0, not of ${said(by)}`);
  for (const value of [plus, zero])
    if (value !== undefined && !Number.isFinite(value))
      throw new RangeError(`"${where}" must be a number of units, and not ${said(value)}`);
  if (base !== undefined && !(Number.isSafeInteger(base) && base >= 2))
    throw new RangeError(`"${where}" must have a base of 2 or more, not ${said(base)}`);
  const broken = [by, plus, zero].find((part) => part !== undefined && !Number.isSafeInteger(part));
  if (big && broken !== undefined)
    throw new RangeError(`"${where}" must count in whole numbers as a bigint, not in ${broken}`);
  const most = Math.max(scaledValue(scale, 2 ** bits - 1), zero ?? 0);
  if (big ? most > 2 ** 64 : most > Number.MAX_SAFE_INTEGER)
    throw new RangeError(
      `"${where}" must be below 2^${big ? "64" : `53 as a number`}, not up to ${most}${big ? "" : `: say ${say}`}`,
    );
  const min = scaledValue({ by, plus, base }, 0);
  if (!big && min < -Number.MAX_SAFE_INTEGER)
    throw new RangeError(`"${where}" must be above -2^53, not down to ${min}`);
  if (!big && !isToldApart({ by, plus, base }, bits, Math.max(Math.abs(min), Math.abs(most))))
    throw new RangeError(
      `"${where}" must have a value for each of its bits, not one for several: units of ${by} are too small`,
    );
  const row = zero === undefined ? undefined : scaledBits({ by, plus, base }, zero);
  if (row !== undefined && row > 0 && row < 2 ** bits)
    throw new RangeError(
      `"${where}" must be a value of bits that are 0 alone, not ${zero}, as of bits ${row}`,
    );
}

/**
 * Whether each of the bits has a value of its own, which leads back to them. Whole numbers do, as they are below 2^53; parts of
 * a whole where a unit is far above the rounding of the largest value. Exponents are few enough to be tried.
 */
function isToldApart(scale: Scale, bits: number, largest: number): boolean {
  const { by, plus = 0, base } = scale;
  if (base === undefined) return (Number.isInteger(by) && Number.isInteger(plus)) || by >= largest * 2 ** -49;
  for (let step = 0; step < 2 ** bits; step++)
    if (scaledBits(scale, scaledValue(scale, step)) !== step) return false;
  return true;
}
