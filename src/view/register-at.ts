// Which register covers a byte of config space, and what its bits are.
import { decodeRegisters, headerMapOf } from "../regs/decode.ts";
import { fieldValue } from "../regs/field-value.ts";
import { hex } from "../regs/hex-text.ts";
import type { ConfigLayout } from "../regs/layout.ts";
import type { RegisterBlock } from "../regs/map.ts";
import { rawValue } from "../regs/raw-value.ts";
import { hasFields, type Register } from "../regs/register.ts";
import { registerText } from "../regs/text.ts";

/** A register in its place. */
export interface PlacedRegister {
  /** `header`, or the name of the capability. */
  readonly where: string;
  /** Where its map begins in config space, in bytes. */
  readonly base: number;
  /** Its own first byte in config space. */
  readonly offset: number;
  readonly name: string;
  readonly register: Register;
  readonly map: RegisterBlock;
}

/** For each byte of config space the register that covers it; undefined where none does. The first to cover a byte keeps it. */
export function registersByByte(layout: ConfigLayout, size: number): (PlacedRegister | undefined)[] {
  const found = new Array<PlacedRegister | undefined>(size).fill(undefined);
  const place = (where: string, map: RegisterBlock, base: number): void => {
    for (const [name, register] of Object.entries(map.registers)) {
      if (register.alias !== undefined) continue;
      const offset = base + register.at;
      const bytes = register.width / 8;
      if (offset + bytes > size) continue;
      const placed = { where, base, offset, name, register, map };
      for (let at = offset; at < offset + bytes; at++) found[at] ??= placed;
    }
  };
  place("header", headerMapOf(layout), 0);
  for (const { name, id, offset, map } of layout.capabilities)
    place(name === "unknown" ? `capability ${hex(id)}` : name, map, offset);
  return found;
}

/** A part of a register's bits: a field, what is left out between fields, or all of it. */
export interface BitPart {
  readonly hi: number;
  readonly lo: number;
  /** Undefined: no field has these bits. */
  readonly name: string | undefined;
  readonly label: string | undefined;
  readonly access: string;
  readonly value: string;
  readonly bits: bigint;
}

/** The parts of a register, from its highest bit down. */
export function partsOf(register: Register, raw: number | bigint): BitPart[] {
  const whole = BigInt(raw);
  const cut = (hi: number, lo: number): bigint => (whole >> BigInt(lo)) & ((1n << BigInt(hi - lo + 1)) - 1n);
  if (!hasFields(register)) {
    const { access, label } = register;
    return [{ hi: register.width - 1, lo: 0, name: "value", label, access, value: hex(whole), bits: whole }];
  }
  const parts: BitPart[] = [];
  const gap = (hi: number, lo: number): void => {
    if (hi >= lo)
      parts.push({
        hi,
        lo,
        name: undefined,
        label: undefined,
        access: "rsvd",
        value: hex(cut(hi, lo)),
        bits: cut(hi, lo),
      });
  };
  let above = register.width - 1;
  const fields = Object.entries(register.fields).sort(([, a], [, b]) => b.hi - a.hi);
  for (const [name, field] of fields) {
    gap(above, field.hi + 1);
    const value = fieldValue(field, raw);
    const text = typeof value === "number" || typeof value === "bigint" ? shownNumber(value) : String(value);
    const { hi, lo, access, label, scale } = field;
    parts.push({ hi, lo, name, label, access, value: text + (scale?.unit ?? ""), bits: cut(hi, lo) });
    above = field.lo - 1;
  }
  gap(above, 0);
  return parts;
}

const shownNumber = (value: number | bigint): string =>
  value < 10 ? String(value) : `${hex(value)} (${value})`;

/** The value of a register in config space. */
export function rawAt({ register, base }: PlacedRegister, config: Uint8Array): number | bigint {
  return rawValue(register, new DataView(config.buffer, config.byteOffset, config.byteLength), base);
}

/** The value of a register in words, on one line. */
export function textAt({ map, name, base, register }: PlacedRegister, config: Uint8Array): string {
  const value = decodeRegisters({ ...map, registers: { [name]: register } }, config, base)[name];
  return value === undefined ? "" : registerText(register, value);
}
