// Accessors are closures on one object a map, one body a width and kind. A shared helper table
// (`getters[width](...)`) makes every site megamorphic and costs ten times as much; code generated
// from text buys nothing and is forbidden in some runtimes.
import { accessWords } from "./access.ts";
import { fieldBits, fieldMask, type Field } from "./field.ts";
import { checkRaw, hasFields, type Registers, type Width } from "./register.ts";

interface Memory {
  readonly $memory: DataView;
  readonly $base: number;
}
export type ViewClass = new (memory: DataView, base: number) => object;

const writes = (what: { access: keyof typeof accessWords }): boolean =>
  accessWords[what.access].write !== "none";

/** What a field is called in a view: `control` and `enable` give `controlEnable`. */
export const viewName = (register: string, field: string): string =>
  register + field.charAt(0).toUpperCase() + field.slice(1);

/**
 * Builds the class whose instances read and write `registers` in memory. It is flat: an object for each register would
 * have to be allocated at each access, since one body serves all registers and no compiler can see which class it makes.
 */
export function accessorClass(registers: Registers): ViewClass {
  // Two things keep construction cheap in JavaScriptCore. Fields are declared, so that they are defined and not stored: a
  // store first looks for a setter on the whole prototype chain, and gives up on a long one. The accessors lie one
  // prototype above: an instance gets room for each property of its own prototype that is no method, twice its size.
  class View implements Memory {
    readonly $memory: DataView;
    readonly $base: number;
    constructor(memory: DataView, base: number) {
      this.$memory = memory;
      this.$base = base;
    }
  }
  const accessors = {};
  Object.setPrototypeOf(View.prototype, accessors);
  const define = (name: string, { get, set }: PropertyDescriptor, writable: boolean): void => {
    Object.defineProperty(accessors, name, {
      enumerable: true,
      get: get!,
      ...(writable && { set: set! }),
    });
  };
  for (const [name, register] of Object.entries(registers)) {
    const { at, width } = register;
    const fields = Object.entries(register.fields);
    define(
      name,
      rawAccessors(name, width, at),
      hasFields(register) ? fields.some(([, field]) => writes(field)) : writes(register),
    );
    // A field write puts 0 into the RW1C bits beside it: written back as read, they would be cleared.
    let w1c = 0;
    for (const [, field] of fields)
      if (accessWords[field.access].write === "clear") w1c += fieldMask(field) * 2 ** field.lo;
    for (const [key, field] of fields) {
      const kind = field.values ? named(key, field) : field.hi === field.lo ? "bit" : "bits";
      define(viewName(name, key), fieldAccessors(key, width, at, field, w1c, kind), writes(field));
    }
  }
  return View;
}

// `value >>> 0 === value` holds exactly for the integers of 32 bits: one test for type, sign and fraction.
function rawAccessors(name: string, width: Width, at: number): PropertyDescriptor {
  const check = (value: unknown): void => checkRaw(name, width, value);
  switch (width) {
    case 8:
      return {
        get(this: Memory) {
          return this.$memory.getUint8(this.$base + at);
        },
        set(this: Memory, value: number) {
          if (value >>> 0 !== value || value > 0xff) check(value);
          this.$memory.setUint8(this.$base + at, value);
        },
      };
    case 16:
      return {
        get(this: Memory) {
          return this.$memory.getUint16(this.$base + at, true);
        },
        set(this: Memory, value: number) {
          if (value >>> 0 !== value || value > 0xffff) check(value);
          this.$memory.setUint16(this.$base + at, value, true);
        },
      };
    case 32:
      return {
        get(this: Memory) {
          return this.$memory.getUint32(this.$base + at, true);
        },
        set(this: Memory, value: number) {
          if (value >>> 0 !== value) check(value);
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

interface Names {
  readonly toValue: (bits: number) => unknown;
  readonly toBits: (value: unknown) => number;
}
function named(name: string, field: Field): Names {
  const names = new Map(Object.entries(field.values!).map(([key, bits]) => [bits, key]));
  return {
    toValue: (bits) => names.get(bits) ?? `reserved(${bits})`,
    toBits: (value) => fieldBits(name, field, value),
  };
}

function fieldAccessors(
  name: string,
  width: Width,
  at: number,
  field: Field,
  w1c: number,
  kind: "bit" | "bits" | Names,
): PropertyDescriptor {
  const { lo } = field;
  const limit = fieldMask(field);
  const mask = (limit * 2 ** lo) | 0;
  const keep = ~(mask | w1c);
  const check = (value: unknown): number => fieldBits(name, field, value);
  if (typeof kind === "object") {
    const whole = rawAccessors(name, width, at);
    return {
      get(this: Memory) {
        return kind.toValue(((whole.get!.call(this) as number) >>> lo) & limit);
      },
      set(this: Memory, value: unknown) {
        whole.set!.call(
          this,
          (((whole.get!.call(this) as number) & keep) | (kind.toBits(value) << lo)) >>> 0,
        );
      },
    };
  }
  if (kind === "bit") {
    switch (width) {
      case 8:
        return {
          get(this: Memory) {
            return (this.$memory.getUint8(this.$base + at) & mask) !== 0;
          },
          set(this: Memory, value: boolean) {
            const o = this.$base + at;
            const bits = value === true ? mask : value === false ? 0 : check(value);
            this.$memory.setUint8(o, (this.$memory.getUint8(o) & keep) | bits);
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
            this.$memory.setUint16(o, (this.$memory.getUint16(o, true) & keep) | bits, true);
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
            this.$memory.setUint32(o, ((this.$memory.getUint32(o, true) & keep) | bits) >>> 0, true);
          },
        };
    }
  }
  switch (width) {
    case 8:
      return {
        get(this: Memory) {
          return (this.$memory.getUint8(this.$base + at) >>> lo) & limit;
        },
        set(this: Memory, value: number) {
          const bits = value >>> 0 === value && value <= limit ? value << lo : check(value);
          const o = this.$base + at;
          this.$memory.setUint8(o, (this.$memory.getUint8(o) & keep) | bits);
        },
      };
    case 16:
      return {
        get(this: Memory) {
          return (this.$memory.getUint16(this.$base + at, true) >>> lo) & limit;
        },
        set(this: Memory, value: number) {
          const bits = value >>> 0 === value && value <= limit ? value << lo : check(value);
          const o = this.$base + at;
          this.$memory.setUint16(o, (this.$memory.getUint16(o, true) & keep) | bits, true);
        },
      };
    default:
      return {
        get(this: Memory) {
          return ((this.$memory.getUint32(this.$base + at, true) >>> lo) & limit) >>> 0;
        },
        set(this: Memory, value: number) {
          const bits = value >>> 0 === value && value <= limit ? value << lo : check(value);
          const o = this.$base + at;
          this.$memory.setUint32(o, ((this.$memory.getUint32(o, true) & keep) | bits) >>> 0, true);
        },
      };
  }
}
