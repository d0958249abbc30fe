// The getter and setter of one register or one field, one body a width and kind. A shared helper table
// (`getters[width](...)`) makes every site megamorphic and costs ten times as much; code generated
// from text buys nothing and is forbidden in some runtimes.
import type { Field } from "./field.ts";
import { fieldBits, fieldMask, fieldValue, placedBits, placedMask } from "./field-value.ts";
import { checkRaw, type Width } from "./register.ts";

/** What accessors run on: the memory that holds the registers of a map, and the byte at which they begin. */
export interface Memory {
  readonly $memory: DataView;
  readonly $base: number;
}

/** `name` is the register's with its map's. `value >>> 0 === value` holds exactly for the integers of 32 bits: one test for sign and fraction. */
export function rawAccessors(name: string, width: Width, at: number): PropertyDescriptor {
  const check = (value: unknown): void => checkRaw(name, width, value);
  switch (width) {
    case 8:
      return {
        get(this: Memory) {
          return this.$memory.getUint8(this.$base + at);
        },
        set(this: Memory, value: number) {
          if (typeof value !== "number" || value >>> 0 !== value || value > 0xff) check(value);
          this.$memory.setUint8(this.$base + at, value);
        },
      };
    case 16:
      return {
        get(this: Memory) {
          return this.$memory.getUint16(this.$base + at, true);
        },
        set(this: Memory, value: number) {
          if (typeof value !== "number" || value >>> 0 !== value || value > 0xffff) check(value);
          this.$memory.setUint16(this.$base + at, value, true);
        },
      };
    case 32:
      return {
        get(this: Memory) {
          return this.$memory.getUint32(this.$base + at, true);
        },
        set(this: Memory, value: number) {
          if (typeof value !== "number" || value >>> 0 !== value) check(value);
          this.$memory.setUint32(this.$base + at, value, true);
        },
      };
    default:
      return {
        get(this: Memory) {
          return this.$memory.getBigUint64(this.$base + at, true);
        },
        set(this: Memory, value: bigint) {
          check(value);
          this.$memory.setBigUint64(this.$base + at, value, true);
        },
      };
  }
}

/** Of a whole register: what a change of one field keeps, and what it writes 1. */
export interface Neighbours {
  readonly keep: bigint;
  readonly ones: bigint;
}

/** `name` is the field's with its register's and its map's. */
export function fieldAccessors(
  name: string,
  width: Width,
  at: number,
  field: Field,
  { keep, ones }: Neighbours,
): PropertyDescriptor {
  if (width === 64) {
    if (field.big || (field.lo < 32 && field.hi > 31)) return wideAccessors(name, at, field, { keep, ones });
    // Memory can be reached by halves, and a number of 32 bits is far cheaper than a bigint.
    const shift = field.lo < 32 ? 0 : 32;
    const half = { ...field, hi: field.hi - shift, lo: field.lo - shift };
    const part = (bits: bigint): bigint => (bits >> BigInt(shift)) & 0xffff_ffffn;
    return fieldAccessors(name, 32, at + shift / 8, half, { keep: part(keep), ones: part(ones) });
  }
  const { lo } = field;
  const limit = fieldMask(field);
  const mask = (limit * 2 ** lo) | 0;
  const kept = Number(keep) & ~mask;
  const set = Number(ones) & ~mask;
  const check = (value: unknown): number => fieldBits(name, field, value);
  if (field.values || field.scale || field.big) {
    const whole = rawAccessors(name, width, at);
    return {
      get(this: Memory) {
        return fieldValue(field, whole.get!.call(this) as number);
      },
      set(this: Memory, value: unknown) {
        const bits = field.big ? Number(placedBits(name, field, value)) : check(value) << lo;
        whole.set!.call(this, (((whole.get!.call(this) as number) & kept) | set | bits) >>> 0);
      },
    };
  }
  return field.hi === lo
    ? bitAccessors(width, at, mask, kept, set, check)
    : numberAccessors(width, at, lo, limit, kept, set, check);
}

type Check = (value: unknown) => number;

function bitAccessors(
  width: 8 | 16 | 32,
  at: number,
  mask: number,
  keep: number,
  ones: number,
  check: Check,
): PropertyDescriptor {
  switch (width) {
    case 8:
      return {
        get(this: Memory) {
          return (this.$memory.getUint8(this.$base + at) & mask) !== 0;
        },
        set(this: Memory, value: boolean) {
          const o = this.$base + at;
          const bits = value === true ? mask : value === false ? 0 : check(value);
          this.$memory.setUint8(o, (this.$memory.getUint8(o) & keep) | ones | bits);
        },
      };
    case 16:
      return {
        get(this: Memory) {
          return (this.$memory.getUint16(this.$base + at, true) & mask) !== 0;
        },
        set(this: Memory, value: boolean) {
          const o = this.$base + at;
          const bits = value === true ? mask : value === false ? 0 : check(value);
          this.$memory.setUint16(o, (this.$memory.getUint16(o, true) & keep) | ones | bits, true);
        },
      };
    default:
      return {
        get(this: Memory) {
          return (this.$memory.getUint32(this.$base + at, true) & mask) !== 0;
        },
        set(this: Memory, value: boolean) {
          const o = this.$base + at;
          const bits = value === true ? mask : value === false ? 0 : check(value);
          this.$memory.setUint32(o, ((this.$memory.getUint32(o, true) & keep) | ones | bits) >>> 0, true);
        },
      };
  }
}

function numberAccessors(
  width: 8 | 16 | 32,
  at: number,
  lo: number,
  limit: number,
  keep: number,
  ones: number,
  check: Check,
): PropertyDescriptor {
  switch (width) {
    case 8:
      return {
        get(this: Memory) {
          return (this.$memory.getUint8(this.$base + at) >>> lo) & limit;
        },
        set(this: Memory, value: number) {
          const bits =
            (typeof value === "number" && value >>> 0 === value && value <= limit ? value : check(value)) <<
            lo;
          const o = this.$base + at;
          this.$memory.setUint8(o, (this.$memory.getUint8(o) & keep) | ones | bits);
        },
      };
    case 16:
      return {
        get(this: Memory) {
          return (this.$memory.getUint16(this.$base + at, true) >>> lo) & limit;
        },
        set(this: Memory, value: number) {
          const bits =
            (typeof value === "number" && value >>> 0 === value && value <= limit ? value : check(value)) <<
            lo;
          const o = this.$base + at;
          this.$memory.setUint16(o, (this.$memory.getUint16(o, true) & keep) | ones | bits, true);
        },
      };
    default:
      return {
        get(this: Memory) {
          return ((this.$memory.getUint32(this.$base + at, true) >>> lo) & limit) >>> 0;
        },
        set(this: Memory, value: number) {
          const bits =
            (typeof value === "number" && value >>> 0 === value && value <= limit ? value : check(value)) <<
            lo;
          const o = this.$base + at;
          this.$memory.setUint32(o, ((this.$memory.getUint32(o, true) & keep) | ones | bits) >>> 0, true);
        },
      };
  }
}

/** A field that lies in both halves of 64 bits, or is a bigint. */
function wideAccessors(
  name: string,
  at: number,
  field: Field,
  { keep, ones }: Neighbours,
): PropertyDescriptor {
  const mask = placedMask(field);
  const kept = keep & ~mask;
  const set = ones & ~mask;
  return {
    get(this: Memory) {
      return fieldValue(field, this.$memory.getBigUint64(this.$base + at, true));
    },
    set(this: Memory, value: unknown) {
      const bits = placedBits(name, field, value);
      const o = this.$base + at;
      this.$memory.setBigUint64(o, (this.$memory.getBigUint64(o, true) & kept) | set | bits, true);
    },
  };
}
