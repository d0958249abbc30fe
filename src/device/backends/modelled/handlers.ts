// A behaviour's handlers, by name, as the watched registers of a bank.
import type { RegisterMap } from "../../../regs/map.ts";
import type { Entries } from "../../../regs/entries.ts";
import { fieldValue } from "../../../regs/field-value.ts";
import { rawValue } from "../../../regs/raw-value.ts";
import { hasFields, type Register } from "../../../regs/register.ts";
import type { BarHandlers, RegisterHandler } from "./description.ts";
import type { RegisterBank, RegisterValue, WatchedRegister } from "./register-bank.ts";

/** `doorbell[3].tail` as the name of its table, its index, and the name in its group. */
const tableName = /^(.+)\[(\d+)\](\..+)?$/;

/** @throws TypeError for handlers of what the map does not have */
export function watchedRegisters(
  bank: RegisterBank,
  handlers: BarHandlers<Entries>,
): readonly WatchedRegister[] {
  const {
    tables = {},
    rest: _,
    ...plain
  } = handlers as {
    readonly tables?: Readonly<Record<string, RegisterHandler<unknown>>>;
    readonly rest?: unknown;
  } & Readonly<Record<string, RegisterHandler<unknown>>>;
  const known = new Set<string>();
  const watched: WatchedRegister[] = [];
  for (const [name, register] of Object.entries(bank.map.registers)) {
    const [, table, index, member = ""] = tableName.exec(name) ?? [];
    const key = table === undefined ? name : `${table}${member}`;
    const handler = table === undefined ? plain[name] : tables[key];
    if (!handler) continue;
    known.add(key);
    watched.push(watch(bank, register, handler, Number(index ?? 0)));
  }
  for (const name of [...Object.keys(plain), ...Object.keys(tables)])
    if (!known.has(name)) throw new TypeError(`${bank.map.name} has no register "${name}" to handle`);
  return watched;
}

function watch(
  bank: RegisterBank,
  register: Register,
  handler: RegisterHandler<unknown>,
  index: number,
): WatchedRegister {
  const memory = bank.memoryOf(register);
  const fields = hasFields(register) ? Object.entries(register.fields) : undefined;
  const value = (): RegisterValue => {
    const raw = rawValue(register, memory, 0);
    if (!fields) return raw;
    const snapshot: Record<string, unknown> = { raw };
    for (const [name, field] of fields) snapshot[name] = fieldValue(field, raw);
    return snapshot;
  };
  const { read, write } = handler;
  return {
    at: register.at,
    size: register.width / 8,
    value,
    ...(read && { read: () => read.call(handler, index) }),
    ...(write && {
      write: (before: RegisterValue, after: RegisterValue) => write.call(handler, after, before, index),
    }),
  };
}

/** A map of whatever entries, for who looks at registers by name. */
export type AnyMap = RegisterMap<Entries>;
