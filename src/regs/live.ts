import { accessWords, type Access, type Writable } from "./access.ts";
import { fieldBits, fieldMask, fieldValue, type Fields, type FieldValue } from "./field.ts";
import { checkRaw, hasFields, type Register, type Registers, type Width } from "./register.ts";

/** Reaches registers one exact access at a time; `offset` and `width` are in bytes, `width` is 1, 2 or 4. */
export interface RegisterIo {
  /** Reads `width` bytes at once, little-endian. */
  read(offset: number, width: number): number;
  /** Writes `width` bytes at once. @param value 0 to `2 ** (8 * width) - 1` */
  write(offset: number, width: number, value: number): void;
}

/** The fields of a register as one read gave them, and all of its bits. */
export type RegisterSnapshot<F extends Fields> = { readonly [K in keyof F]: FieldValue<F[K]> } & {
  readonly raw: number;
};
/** New values for fields that software can write. */
export type FieldChanges<F extends Fields> = {
  readonly [K in keyof F as F[K]["access"] extends Writable ? K : never]?: FieldValue<F[K]>;
};
/** What a read gives: a snapshot of the fields, or the value of a register without fields. */
export type LiveValue<W extends Width, F extends Fields> = keyof F extends never
  ? W extends 64
    ? bigint
    : number
  : RegisterSnapshot<F>;

/** A register that may change between two reads: values come as snapshots, changes go in as one write. */
export type LiveRegister<W extends Width, A extends Access, F extends Fields> = {
  /** Reads the register once (a 64-bit one as two halves, low first) and returns a frozen snapshot. */
  read(): LiveValue<W, F>;
} & (keyof F extends never
  ? A extends Writable
    ? {
        /** Writes the register once (a 64-bit one as two halves, low first); RangeError for what does not fit. */
        write(value: W extends 64 ? bigint : number): void;
      }
    : unknown
  : {
      /**
       * One read, one write: the named fields change, RW fields keep their value, RW1C fields are written 0.
       * TypeError or RangeError, before the device is touched, for what does not fit a field.
       */
      modify(changes: FieldChanges<F>): void;
      /** One write of the whole register, without a read; RangeError for what does not fit. */
      write(raw: number): void;
    });
/** A live accessor for each register of a map. */
export type Live<M extends Registers> = {
  readonly [K in keyof M]: M[K] extends Register<infer W, infer A, infer F> ? LiveRegister<W, A, F> : never;
};

/** Builds the live accessors of a map; see `RegisterMap.live`. */
export function liveRegisters(registers: Registers, io: RegisterIo, base: number): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(registers).map(([name, register]) => [name, live(name, register, io, base)]),
  );
}

function live(name: string, register: Register, io: RegisterIo, base: number): unknown {
  const at = base + register.at;
  const writable = accessWords[register.access].write !== "none";
  if (register.width === 64) {
    const read = (): bigint => BigInt(io.read(at, 4)) | (BigInt(io.read(at + 4, 4)) << 32n);
    if (!writable) return { read };
    return {
      read,
      write(value: bigint) {
        checkRaw(name, 64, value);
        io.write(at, 4, Number(value & 0xffffffffn));
        io.write(at + 4, 4, Number(value >> 32n));
      },
    };
  }
  const width = register.width / 8;
  const write = (raw: number): void => {
    checkRaw(name, register.width, raw);
    io.write(at, width, raw);
  };
  if (!hasFields(register))
    return writable ? { read: () => io.read(at, width), write } : { read: () => io.read(at, width) };
  const fields = Object.entries(register.fields);
  let w1c = 0;
  for (const [, field] of fields)
    if (accessWords[field.access].write === "clear") w1c += fieldMask(field) * 2 ** field.lo;
  return {
    read() {
      const raw = io.read(at, width);
      const snapshot: Record<string, unknown> = { raw };
      for (const [name, field] of fields) snapshot[name] = fieldValue(field, raw);
      return Object.freeze(snapshot);
    },
    modify(changes: Readonly<Record<string, unknown>>) {
      // All changes are checked before the device is touched.
      let mask = 0;
      let bits = 0;
      for (const [name, value] of Object.entries(changes)) {
        const field = Object.hasOwn(register.fields, name) ? register.fields[name] : undefined;
        if (!field) throw new TypeError(`there is no field "${name}"`);
        if (accessWords[field.access].write === "none")
          throw new TypeError(`"${name}" is read-only (${field.access})`);
        mask += fieldMask(field) * 2 ** field.lo;
        bits += fieldBits(name, field, value) * 2 ** field.lo;
      }
      io.write(at, width, ((io.read(at, width) & ~w1c & ~mask) | bits) >>> 0);
    },
    write,
  };
}
