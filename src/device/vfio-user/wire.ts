// Structs of vfio-user as they lie in a message: little-endian, each field at its natural place. Numbers of 64 bits are
// numbers here; what is 2^53 or more loses its last bits, and every check of a range refuses it.

const widths = { u16: 2, u32: 4, u64: 8 } as const;
type FieldType = keyof typeof widths;

/** A struct's fields, in order. */
type Fields = Readonly<Record<string, FieldType>>;

/** One struct: where its fields lie, and both ways between bytes and values. */
export interface WireStruct<Names extends string> {
  /** In bytes. */
  readonly size: number;
  /** In bytes from the start of the struct. */
  readonly at: Readonly<Record<Names, number>>;
  /** @throws RangeError for bytes outside of the view */
  decode(view: DataView, offset: number): Record<Names, number>;
  /** @throws RangeError for bytes outside of the view */
  encode(view: DataView, offset: number, values: Readonly<Record<Names, number>>): void;
}

/** 64 bits as a number; exact below 2^53. */
export const getU64 = (view: DataView, offset: number): number =>
  view.getUint32(offset + 4, true) * 2 ** 32 + view.getUint32(offset, true);

/** @param value 0 to 2^64 - 1, a whole number */
export function setU64(view: DataView, offset: number, value: number): void {
  view.setUint32(offset, value % 2 ** 32, true);
  view.setUint32(offset + 4, Math.floor(value / 2 ** 32), true);
}

/** @param size as the protocol has it, in bytes: a layout that comes to another is a fault of this file's caller */
export function wireStruct<const Shape extends Fields>(
  size: number,
  shape: Shape,
): WireStruct<keyof Shape & string> {
  type Names = keyof Shape & string;
  const fields: { readonly name: Names; readonly type: FieldType; readonly at: number }[] = [];
  let end = 0;
  for (const [name, type] of Object.entries(shape) as [Names, FieldType][]) {
    if (end % widths[type] !== 0) throw new Error(`"${name}" does not lie at a multiple of ${widths[type]}`);
    fields.push({ name, type, at: end });
    end += widths[type];
  }
  if (end !== size) throw new Error(`a struct of ${size} bytes has fields of ${end}`);
  return {
    size,
    at: Object.fromEntries(fields.map(({ name, at }) => [name, at])) as Record<Names, number>,
    decode(view, offset) {
      const values = {} as Record<Names, number>;
      for (const { name, type, at } of fields)
        values[name] =
          type === "u16"
            ? view.getUint16(offset + at, true)
            : type === "u32"
              ? view.getUint32(offset + at, true)
              : getU64(view, offset + at);
      return values;
    },
    encode(view, offset, values) {
      for (const { name, type, at } of fields)
        if (type === "u16") view.setUint16(offset + at, values[name], true);
        else if (type === "u32") view.setUint32(offset + at, values[name], true);
        else setU64(view, offset + at, values[name]);
    },
  };
}
