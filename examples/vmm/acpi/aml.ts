// ACPI machine language (ACPI Specification 6.5, chapter 20): the few terms that this machine's description is written in.
// Each function returns the bytes of one term; a table is their concatenation.

export type Aml = readonly number[];

const bytesOf = (value: number, width: number): number[] =>
  Array.from({ length: width }, (_, i) => Math.floor(value / 2 ** (8 * i)) % 256);
const text = (value: string): number[] => [...value].map((letter) => letter.charCodeAt(0));

/** PkgLength (20.2.4): the length of what follows with its own bytes; the first says in its top bits how many there are. */
export function withLength(body: Aml): Aml {
  const one = body.length + 1;
  if (one < 0x40) return [one, ...body];
  for (let more = 1; more <= 3; more++) {
    const length = body.length + 1 + more;
    if (length < 2 ** (4 + 8 * more))
      return [(more << 6) | (length & 0xf), ...bytesOf(length >>> 4, more), ...body];
  }
  throw new RangeError(`${body.length} bytes do not fit into one package`);
}

const segment = (name: string): number[] => text(name.padEnd(4, "_"));

/** A name such as `_SB.PCI0`, relative or with a leading backslash. */
export function nameOf(path: string): Aml {
  const root = path.startsWith("\\") ? [0x5c] : [];
  const parts = path.slice(root.length).split(".").map(segment);
  if (parts.length === 1) return [...root, ...parts[0]!];
  if (parts.length === 2) return [...root, 0x2e, ...parts.flat()];
  return [...root, 0x2f, parts.length, ...parts.flat()];
}

/** The shortest form of an integer. */
export function integer(value: number): Aml {
  if (value === 0 || value === 1) return [value];
  if (value < 2 ** 8) return [0x0a, value];
  if (value < 2 ** 16) return [0x0b, ...bytesOf(value, 2)];
  if (value < 2 ** 32) return [0x0c, ...bytesOf(value, 4)];
  return [0x0e, ...bytesOf(value, 8)];
}

/** What a name, a store or a package holds: a term, or an integer or a string in its place. */
export type Value = Aml | number | string;
const termOf = (value: Value): Aml => {
  if (typeof value === "number") return integer(value);
  return typeof value === "string" ? [0x0d, ...text(value), 0] : value;
};

/** A compressed EISA ID such as `PNP0A08`: three letters of 5 bits and four hexadecimal digits, most significant byte first. */
export function eisaId(id: string): Aml {
  const [a, b, c] = [0, 1, 2].map((i) => id.charCodeAt(i) & 0x1f) as [number, number, number];
  const word = (a << 10) | (b << 5) | c;
  const digits = Number.parseInt(id.slice(3), 16);
  return [0x0c, word >> 8, word & 0xff, digits >> 8, digits & 0xff];
}

export const name = (path: string, value: Value): Aml => [0x08, ...nameOf(path), ...termOf(value)];
export const scope = (path: string, ...terms: Aml[]): Aml => [
  0x10,
  ...withLength([...nameOf(path), ...terms.flat()]),
];
export const device = (path: string, ...terms: Aml[]): Aml => [
  ...[0x5b, 0x82],
  ...withLength([...nameOf(path), ...terms.flat()]),
];
/** @param parameters 0 to 7, `argument(0)` and so on in it @param serialized one caller after the other */
export const method = (path: string, parameters: number, serialized: boolean, ...terms: Aml[]): Aml => [
  0x14,
  ...withLength([...nameOf(path), parameters | (serialized ? 8 : 0), ...terms.flat()]),
];
export const packageOf = (...elements: Value[]): Aml => [
  0x12,
  ...withLength([elements.length, ...elements.flatMap(termOf)]),
];
export const buffer = (data: readonly number[]): Aml => [
  0x11,
  ...withLength([...integer(data.length), ...data]),
];

/** A region of I/O ports, and 32-bit fields from its start on, accessed as dwords. */
export const portFields = (region: string, base: number, ...fields: string[]): Aml => [
  ...[0x5b, 0x80, ...nameOf(region), 1, ...integer(base), ...integer(4 * fields.length)],
  ...[
    0x5b,
    0x81,
    ...withLength([...nameOf(region), 0x03, ...fields.flatMap((field) => [...segment(field), 0x60, 0x02])]),
  ],
];

/** A variable of the method that runs. */
export const local = (index: number): Aml => [0x60 + index];
export const store = (value: Value, to: Aml): Aml => [0x70, ...termOf(value), ...to];
export const and = (a: Aml, b: Value): Aml => [0x7b, ...a, ...termOf(b), 0];
export const when = (condition: Aml, ...terms: Aml[]): Aml => [
  0xa0,
  ...withLength([...condition, ...terms.flat()]),
];
export const notify = (path: string, value: number): Aml => [0x86, ...nameOf(path), ...integer(value)];

// Resources (ACPI Specification 6.4): what `_CRS` lists.

type Kind = 0 | 1 | 2;
/** A window that a bridge passes on: memory (0), I/O (1) or buses (2); its length field, and addresses, of so many bytes. */
const windowOf = (tag: number, kind: Kind, flags: number, width: number, base: number, size: number): Aml => [
  ...[tag, ...bytesOf(3 + 5 * width, 2), kind, 0x0c, flags],
  ...[0, base, base + size - 1, 0, size].flatMap((value) => bytesOf(value, width)),
];
export const buses = (first: number, count: number): Aml => windowOf(0x88, 2, 0, 2, first, count);
export const portWindow = (base: number, size: number): Aml => windowOf(0x88, 1, 3, 2, base, size);
export const memoryWindow32 = (base: number, size: number): Aml => windowOf(0x87, 0, 1, 4, base, size);
export const memoryWindow64 = (base: number, size: number): Aml => windowOf(0x8a, 0, 1, 8, base, size);
/** Ports that a device itself has. */
export const fixedPorts = (base: number, size: number): Aml => [
  ...[0x47, 1, ...bytesOf(base, 2), ...bytesOf(base, 2)],
  ...[1, size],
];
/** Memory that a device itself has. */
export const fixedMemory = (base: number, size: number): Aml => [
  ...[0x86, 9, 0, 1, ...bytesOf(base, 4)],
  ...bytesOf(size, 4),
];
/** An edge-triggered interrupt, active high, of the device's own. */
export const interrupt = (pin: number): Aml => [0x89, 6, 0, 0x03, 1, ...bytesOf(pin, 4)];
/** All of them, with the end tag; its checksum may be 0. */
export const resources = (...each: Aml[]): Aml => buffer([...each.flat(), 0x79, 0]);
