// One field: its bits, and what their values are called or stand for.
import type { Field } from "../field.ts";
import { said } from "../said.ts";
import { checkScale } from "./scale.ts";

/** The bits of a field in words. */
export const bitsText = ({ hi, lo }: Pick<Field, "hi" | "lo">): string =>
  hi === lo ? `bit ${said(lo)}` : `bits ${said(hi)}:${said(lo)}`;

/** @param width of the field's register @throws RangeError for bits outside of it, or values that the bits cannot have */
export function checkField(where: string, width: number, field: Field): void {
  if (typeof field !== "object" || field === null)
    throw new RangeError(`"${where}" must be a field, not ${said(field)}`);
  const { hi, lo, values, scale, big, label } = field;
  if (label !== undefined && typeof label !== "string")
    throw new RangeError(`"${where}" must have a text as its label, not ${said(label)}`);
  if (!(Number.isInteger(lo) && Number.isInteger(hi) && lo >= 0 && hi >= lo && hi < width))
    throw new RangeError(
      `"${where}" must have bits of its register's ${width}, high to low, not ${bitsText(field)}`,
    );
  const count = hi - lo + 1;
  if (count === 1 && (big || scale))
    throw new RangeError(
      `"${where}" must be a boolean or have names, being ${bitsText(field)} alone, not ${big ? "a bigint" : "a number of units"}`,
    );
  if (values !== undefined && (big || scale))
    throw new RangeError(`"${where}" must have names or be ${big ? "a bigint" : "scaled"}, not both`);
  if (count > 53 && !big)
    throw new RangeError(`"${where}" must have 53 bits at most to be a number, not ${count}: say big(...)`);
  if (scale !== undefined) checkScale(where, scale, count, big === true, "big(...)");
  if (values !== undefined) checkValues(where, count, values);
}

function checkValues(where: string, count: number, values: unknown): void {
  if (Array.isArray(values)) throw new RangeError(`"${where}" must have ${namesWrong(values)}`);
  if (typeof values !== "object" || values === null)
    throw new RangeError(`"${where}" must have names by their values, not ${said(values)}`);
  const most = 2 ** count - 1;
  const seen = new Map<number, string>();
  for (const name in values) {
    if (name === "") throw new RangeError(`"${where}" must have names of a letter or more, not ""`);
    if (name.startsWith("reserved("))
      throw new RangeError(`"${where}" must have another name, not "${name}": values without one read so`);
    const named = (values as Readonly<Record<string, unknown>>)[name];
    const list: readonly unknown[] = Array.isArray(named) ? named : [named];
    if (list.length === 0) throw new RangeError(`"${where}" must have a value that is "${name}", not none`);
    for (const bits of list) {
      if (typeof bits !== "number" || !Number.isInteger(bits) || bits < 0 || bits > most)
        throw new RangeError(
          `"${where}" must have values of ${count} bits, 0 to ${most}, not ${said(bits)}, which is "${name}"`,
        );
      const other = seen.get(bits);
      if (other !== undefined)
        throw new RangeError(`"${where}" must have one name for ${bits}, not "${other}" and "${name}"`);
      seen.set(bits, name);
    }
  }
  if (seen.size === 0) throw new RangeError(`"${where}" must have a name at least, not none`);
}

/** What a list of names should have been; it is no list any more where nothing is wrong with it. */
function namesWrong(names: readonly unknown[]): string {
  const wrong = Array.from(names).find((name) => typeof name !== "string");
  if (wrong !== undefined || names.includes(undefined)) return `names that are strings, not ${said(wrong)}`;
  const twice = names.find((name, index) => names.indexOf(name) !== index);
  return `each name once, not ${said(twice)} twice: say { name: [1, 2] } for several values`;
}
