// Live accessors: one read or write of a device's register for each call that says so.
import { accessWords, isWritable } from "./access.ts";
import { checkIndex, isRegister, type BitArray, type RegisterArray } from "./array.ts";
import type { Derived } from "./derived.ts";
import { fieldValue, placedBits, placedMask } from "./field-value.ts";
import { derivedValue, isJoinedWritable, partsOf, partValues } from "./derived-value.ts";
import type { sortEntries } from "./entries.ts";
import type { RegisterIo } from "./live-types.ts";
import { checkRaw, hasFields, type Register, type Registers } from "./register.ts";
import { neutralBits, resetBits, writeRule } from "./write-rule.ts";

export type * from "./live-types.ts";

/** Builds the live accessors of a map; see `RegisterMap.live`. */
export function liveEntries(
  map: string,
  parts: ReturnType<typeof sortEntries>,
  io: RegisterIo,
  base: number,
): Record<string, unknown> {
  const live = liveRegisters(map, parts.plain, io, base);
  for (const [name, table] of Object.entries(parts.tables))
    live[name] =
      table.kind === "bits"
        ? liveBits(`${map}.${name}`, table, io, base)
        : liveArray(`${map}.${name}`, table, io, base);
  for (const [name, derived] of Object.entries(parts.derived))
    live[name] = liveDerived(`${map}.${name}`, derived, parts.all, live as never, io, base);
  return live;
}

/** Of one register. */
interface LiveAccess {
  read?(): unknown;
  write?(value: unknown): void;
  modify?(changes: Readonly<Record<string, unknown>>): void;
}

const liveRegisters = (
  map: string,
  registers: Registers,
  io: RegisterIo,
  base: number,
): Record<string, unknown> =>
  Object.fromEntries(
    Object.entries(registers).map(([name, register]) => [
      name,
      liveRegister(`${map}.${name}`, register, io, base),
    ]),
  );

/** One access of the register's width; 64 bits as two halves, low first. */
function readRaw({ at, width }: Register, io: RegisterIo, base: number): number | bigint {
  if (width !== 64) return io.read(base + at, width / 8);
  const low = BigInt(io.read(base + at, 4));
  return low | (BigInt(io.read(base + at + 4, 4)) << 32n);
}
function writeRaw({ at, width }: Register, io: RegisterIo, base: number, value: bigint): void {
  if (width !== 64) return io.write(base + at, width / 8, Number(value));
  io.write(base + at, 4, Number(value & 0xffff_ffffn));
  io.write(base + at + 4, 4, Number(value >> 32n));
}

function liveRegister(where: string, register: Register, io: RegisterIo, base: number): LiveAccess {
  const read = (): number | bigint => readRaw(register, io, base);
  if (!hasFields(register)) {
    const write = (value: unknown): void => {
      checkRaw(where, register.width, value);
      writeRaw(register, io, base, BigInt(value as number | bigint));
    };
    return {
      ...(accessWords[register.access].read !== "unreadable" && { read }),
      ...(isWritable(register.access) && { write }),
    };
  }
  const fields = Object.entries(register.fields);
  const readable = fields.filter(([, { access }]) => accessWords[access].read !== "unreadable");
  const rule = writeRule(where, register);
  /** The bits of the named fields, and which they are; checked before the device is touched. */
  const changed = (changes: Readonly<Record<string, unknown>>): { mask: bigint; bits: bigint } => {
    let mask = 0n;
    let bits = 0n;
    for (const [name, value] of Object.entries(changes)) {
      const field = Object.hasOwn(register.fields, name) ? register.fields[name] : undefined;
      if (!field) throw new TypeError(`"${where}" has no field "${name}"`);
      if (!isWritable(field.access)) throw new TypeError(`"${where}.${name}" is read-only (${field.access})`);
      mask |= placedMask(field);
      bits |= placedBits(`${where}.${name}`, field, value);
    }
    return { mask, bits };
  };
  return {
    read() {
      const raw = read();
      const snapshot: Record<string, unknown> = { raw };
      for (const [name, field] of readable) snapshot[name] = fieldValue(field, raw);
      return Object.freeze(snapshot);
    },
    modify(changes) {
      const { mask, bits } = changed(changes);
      if (rule.refuses !== undefined)
        throw new TypeError(`"${where}" cannot be modified: ${rule.refuses}; write it whole`);
      for (const name of rule.writeOnly)
        if (!Object.hasOwn(changes, name))
          throw new TypeError(`"${where}.${name}" is write-only: a change of its register has to name it`);
      writeRaw(register, io, base, (BigInt(read()) & rule.keep & ~mask) | (rule.ones & ~mask) | bits);
    },
    write(value) {
      if (typeof value !== "object" || value === null) {
        checkRaw(where, register.width, value);
        return writeRaw(register, io, base, BigInt(value as number | bigint));
      }
      const { mask, bits } = changed(value as Record<string, unknown>);
      const reset = resetBits(where, register);
      let others = 0n;
      for (const [, field] of fields) others |= neutralBits(field, reset);
      writeRaw(register, io, base, (others & ~mask) | bits);
    },
  };
}

function liveArray(
  where: string,
  { count, stride, element }: RegisterArray,
  io: RegisterIo,
  base: number,
): object {
  return {
    length: count,
    at(index: number) {
      checkIndex(where, count, index);
      const from = base + index * stride;
      const name = `${where}[${index}]`;
      return isRegister(element)
        ? liveRegister(name, element, io, from)
        : liveRegisters(name, element, io, from);
    },
  };
}

function liveBits(
  where: string,
  { at, count, access, width }: BitArray,
  io: RegisterIo,
  base: number,
): object {
  const place = (index: number): readonly [offset: number, bit: number] => {
    checkIndex(where, count, index);
    return [base + at + Math.floor(index / width) * (width / 8), index % width];
  };
  const bytes = width / 8;
  const get = (index: number): boolean => {
    const [offset, bit] = place(index);
    return ((io.read(offset, bytes) >>> bit) & 1) !== 0;
  };
  const { read, write } = accessWords[access];
  const can = { length: count, ...(read !== "unreadable" && { get }) };
  if (write === "none") return can;
  return {
    ...can,
    set(index: number, value: boolean) {
      const [offset, bit] = place(index);
      if (typeof value !== "boolean")
        throw new TypeError(`"${where}" is one bit each: it must be a boolean, not ${typeof value}`);
      const one = 2 ** bit;
      if (write === "store" && read !== "unreadable") {
        const before = io.read(offset, bytes);
        io.write(offset, bytes, ((before & ~one) | (value ? one : 0)) >>> 0);
      } else if (write === "zero-clears")
        io.write(offset, bytes, value ? 2 ** width - 1 : 2 ** width - 1 - one);
      else io.write(offset, bytes, value ? one : 0);
    },
  };
}

function liveDerived(
  where: string,
  derived: Derived,
  registers: Registers,
  live: Readonly<Record<string, LiveAccess>>,
  io: RegisterIo,
  base: number,
): LiveAccess {
  const parts = partsOf(where, derived, registers);
  const read = (): unknown => {
    // Each register once, though several of its fields may be parts.
    const seen = new Map<string, number | bigint>();
    return derivedValue(derived, parts, ({ name, register }) => {
      let raw = seen.get(name);
      if (raw === undefined) seen.set(name, (raw = readRaw(register, io, base)));
      return raw;
    });
  };
  if (derived.kind === "composed" || !isJoinedWritable(parts)) return { read };
  return {
    read,
    write(value) {
      const values = partValues(where, derived, parts, value);
      const changes = new Map<string, Record<string, unknown>>();
      for (const [index, { name, fieldName }] of parts.entries()) {
        if (fieldName === undefined) live[name]!.write!(values[index]);
        else changes.set(name, { ...changes.get(name), [fieldName]: values[index] });
      }
      for (const [name, fields] of changes) live[name]!.modify!(fields);
    },
  };
}
