// One live register: a read, a write or one of each for each call that says so, and nothing where what is asked is wrong.
import { accessWords, isWritable } from "./access.ts";
import { fieldValue, placedBits, placedMask } from "./field-value.ts";
import { liveRegisterLine, printsAs } from "./inspect.ts";
import type { RegisterIo } from "./live-types.ts";
import { checkRaw, hasFields, type Register } from "./register.ts";
import { said } from "./said.ts";
import { neutralBits, resetValue, writeRule, type WriteRule } from "./write-rule.ts";

/** What can be done to one register or value. */
export interface LiveAccess {
  read?(): unknown;
  write?(value: unknown): void;
  modify?(changes: Readonly<Record<string, unknown>>): void;
}

/** Where registers are: how they are reached, and at which offset their map begins. */
export interface Reached {
  readonly io: RegisterIo;
  readonly base: number;
}

/** One access of the register's width; 64 bits as two halves, low first. */
export function readRaw(where: string, { at, width }: Register, { io, base }: Reached): number | bigint {
  if (width !== 64) return readBytes(where, io, base + at, width / 8);
  const low = BigInt(readBytes(where, io, base + at, 4));
  return low | (BigInt(readBytes(where, io, base + at + 4, 4)) << 32n);
}
/** @throws TypeError where what reaches the registers gives no value of that width */
export function readBytes(where: string, io: RegisterIo, offset: number, bytes: number): number {
  const value: unknown = io.read(offset, bytes);
  if (typeof value !== "number" || value >>> 0 !== value || value >= 2 ** (8 * bytes))
    throw new TypeError(`"${where}" must be read as an integer of ${8 * bytes} bits, not as ${said(value)}`);
  return value;
}
function writeRaw({ at, width }: Register, { io, base }: Reached, value: bigint): void {
  if (width !== 64) return io.write(base + at, width / 8, Number(value));
  io.write(base + at, 4, Number(value & 0xffff_ffffn));
  io.write(base + at + 4, 4, Number(value >> 32n));
}

/** The accessors of a register; `where` is its name with its map's. */
export function liveRegister(where: string, register: Register, reached: Reached): LiveAccess {
  const access = accessOf(where, register, reached);
  return printsAs(access, () => liveRegisterLine(where, register, reached.base, access));
}

function accessOf(where: string, register: Register, reached: Reached): LiveAccess {
  const read = (): number | bigint => readRaw(where, register, reached);
  const writeWhole = (value: unknown): void => {
    checkRaw(where, register.width, value);
    writeRaw(register, reached, BigInt(value as number | bigint));
  };
  if (!hasFields(register))
    return {
      ...(accessWords[register.access].read !== "unreadable" && { read }),
      ...(isWritable(register.access) && { write: writeWhole }),
    };
  const fields = Object.entries(register.fields);
  const readable = fields.filter(([, { access }]) => accessWords[access].read !== "unreadable");
  const readFields = (): unknown => {
    const raw = read();
    const snapshot: Record<string, unknown> = { raw };
    for (const [name, field] of readable) snapshot[name] = fieldValue(field, raw);
    return Object.freeze(snapshot);
  };
  const canRead = readable.length > 0 && { read: readFields };
  if (!fields.some(([, { access }]) => isWritable(access))) return { ...canRead };
  let rule: WriteRule | undefined;
  return {
    ...canRead,
    modify: (changes) =>
      plannedModify(where, register, reached, changes, (rule ??= writeRule(where, register)))(),
    write(value) {
      if (typeof value !== "object" || value === null) return writeWhole(value);
      const { mask, bits } = changedBits(where, register, value);
      const { bits: reset } = resetValue(where, register);
      let others = reset;
      for (const [, field] of fields) others = (others & ~placedMask(field)) | neutralBits(field, reset);
      writeRaw(register, reached, (others & ~mask) | bits);
    },
  };
}

/**
 * Checks a change, and gives what makes it: one read, one write.
 * @throws TypeError or RangeError, before the device is touched, for what cannot be changed so
 */
export function plannedModify(
  where: string,
  register: Register,
  reached: Reached,
  changes: unknown,
  rule: WriteRule,
): () => void {
  const { names, mask, bits } = changedBits(where, register, changes);
  if (rule.refuses !== undefined)
    throw new TypeError(`"${where}" must be written whole, not modified: ${rule.refuses}`);
  for (const name of rule.writeOnly)
    if (!names.has(name))
      throw new TypeError(
        `"${where}.${name}" must be named in each change of its register, not left out: it is write-only`,
      );
  return () => {
    const before = BigInt(readRaw(where, register, reached));
    writeRaw(register, reached, (before & rule.keep & ~mask) | (rule.ones & ~mask) | bits);
  };
}

/** Values of fields by their names, as bits of the register. */
interface Changes {
  readonly names: ReadonlySet<PropertyKey>;
  readonly mask: bigint;
  readonly bits: bigint;
}
function changedBits(where: string, register: Register, changes: unknown): Changes {
  if (!isPlainObject(changes))
    throw new TypeError(`"${where}" must be given values by the names of its fields, not ${said(changes)}`);
  const names = new Set(Reflect.ownKeys(changes));
  let mask = 0n;
  let bits = 0n;
  for (const name of names) {
    const field =
      typeof name === "string" && Object.hasOwn(register.fields, name) ? register.fields[name] : undefined;
    const path = `${where}.${String(name)}`;
    if (!field)
      throw new TypeError(
        `"${path}" must be one of ${Object.keys(register.fields).join(", ")}: "${where}" has no field "${String(name)}"`,
      );
    if (!isWritable(field.access))
      throw new TypeError(`"${path}" must be left as it is, not written: it is read-only (${field.access})`);
    mask |= placedMask(field);
    bits |= placedBits(path, field, changes[name as string]);
  }
  return { names, mask, bits };
}

/** An object written as `{ ... }`, or made of JSON: a function, a list or an object of a class has no fields to give. */
function isPlainObject(value: unknown): value is Readonly<Record<string, unknown>> {
  if (typeof value !== "object" || value === null || Array.isArray(value)) return false;
  const prototype: unknown = Object.getPrototypeOf(value);
  return prototype === null || Object.getPrototypeOf(prototype) === null;
}
