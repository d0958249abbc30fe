// TypeScript of a value: for a test that has it written down.

const isPlain = (value: object): boolean =>
  Object.getPrototypeOf(value) === Object.prototype || Object.getPrototypeOf(value) === null;

/** An expression that makes the value. @throws TypeError for what is not data */
export function sourceOf(value: unknown): string {
  if (typeof value === "bigint") return `${value}n`;
  if (typeof value === "number") return Object.is(value, -0) ? "-0" : String(value);
  if (value === undefined) return "undefined";
  if (typeof value !== "object" || value === null) return JSON.stringify(value);
  if (value instanceof Uint8Array) return bytesSource(value);
  if (Array.isArray(value)) return `[${value.map(sourceOf).join(", ")}]`;
  if (!isPlain(value)) throw new TypeError(`${Object.prototype.toString.call(value)} cannot be written down`);
  const entries = Object.entries(value).map(
    // A plain "__proto__" would be the prototype.
    ([key, one]) => `${key === "__proto__" ? '["__proto__"]' : JSON.stringify(key)}: ${sourceOf(one)}`,
  );
  return `{ ${entries.join(", ")} }`;
}

/** Zeros at the end are most of a config space. */
function bytesSource(bytes: Uint8Array): string {
  const used = bytes.findLastIndex((byte) => byte !== 0) + 1;
  const hex = JSON.stringify(bytes.subarray(0, used).toHex());
  return used === bytes.length
    ? `Uint8Array.fromHex(${hex})`
    : `Uint8Array.fromHex(${hex}.padEnd(${2 * bytes.length}, "0"))`;
}
