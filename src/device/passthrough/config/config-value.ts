/** Why a value cannot be written to config space: only the VMM can cause that, a guest's value has 32 bits. */
export function badConfigValue(value: unknown): Error {
  if (typeof value !== "number") return new TypeError(`"value" must be a number, not ${typeof value}`);
  return new RangeError(`"value" must be an integer from 0 to 0xffffffff, not ${value}`);
}
