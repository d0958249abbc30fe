// Live accessors of a map: its registers, its tables and the values of several.
import { checkIndex, isRegister, type RegisterArray } from "./array.ts";
import type { Derived } from "./derived.ts";
import { derivedValue, isJoinedReadable, isJoinedWritable, partsOf, partValues } from "./derived-value.ts";
import type { SortedEntries } from "./entries.ts";
import { liveLine, liveValueLine, printsAs, tableLine } from "./inspect.ts";
import { liveBits } from "./live-bits.ts";
import { liveRegister, plannedModify, readRaw, type LiveAccess, type Reached } from "./live-register.ts";
import type { RegisterIo } from "./live-types.ts";
import type { Register, Registers } from "./register.ts";
import { said } from "./said.ts";
import { writeRule } from "./write-rule.ts";

export type * from "./live-types.ts";

/** Builds the live accessors of a map; see `RegisterMap.live`. */
export function liveEntries(
  map: string,
  parts: SortedEntries,
  io: RegisterIo,
  base: number,
): Record<string, unknown> {
  if (typeof io?.read !== "function" || typeof io.write !== "function")
    throw new TypeError(`"${map}" must be reached by an object with read and write, not by ${said(io)}`);
  if (!Number.isSafeInteger(base) || base < 0)
    throw new RangeError(`"${map}" must begin at an offset of 0 or above, not at ${said(base)}`);
  const reached = { io, base };
  const live = liveRegisters(map, parts.plain, reached);
  for (const [name, table] of Object.entries(parts.tables)) {
    const where = `${map}.${name}`;
    live[name] = table.kind === "bits" ? liveBits(where, table, reached) : liveArray(where, table, reached);
  }
  for (const [name, derived] of Object.entries(parts.derived))
    live[name] = liveDerived(map, name, derived, parts.all, reached);
  return printsAs(live, () => liveLine(map, { ...parts.plain, ...parts.tables, ...parts.derived }));
}

const liveRegisters = (map: string, registers: Registers, reached: Reached): Record<string, unknown> =>
  Object.fromEntries(
    Object.entries(registers).map(([name, register]) => [
      name,
      liveRegister(`${map}.${name}`, register, reached),
    ]),
  );

function liveArray(where: string, table: RegisterArray, { io, base }: Reached): object {
  const { count, stride, element } = table;
  const accessors = {
    length: count,
    at(index: number) {
      checkIndex(where, count, index);
      const reached = { io, base: base + index * stride };
      const name = `${where}[${index}]`;
      return isRegister(element)
        ? liveRegister(name, element, reached)
        : printsAs(liveRegisters(name, element, reached), () => liveLine(name, element));
    },
  };
  return printsAs(accessors, () => tableLine("LiveArray", where, table));
}

function liveDerived(map: string, ...of: [string, Derived, Registers, Reached]): LiveAccess {
  const access = derivedAccess(map, ...of);
  return printsAs(access, () => liveValueLine(`${map}.${of[0]}`, access));
}

function derivedAccess(
  map: string,
  name: string,
  derived: Derived,
  registers: Registers,
  reached: Reached,
): LiveAccess {
  const where = `${map}.${name}`;
  const parts = partsOf(where, derived, registers);
  const read = (): unknown => {
    // Each register once, though several of its fields may be parts.
    const seen = new Map<string, number | bigint>();
    return derivedValue(derived, parts, (part) => {
      let raw = seen.get(part.name);
      if (raw === undefined)
        seen.set(part.name, (raw = readRaw(`${map}.${part.name}`, part.register, reached)));
      return raw;
    });
  };
  const canRead = isJoinedReadable(parts) && { read };
  if (derived.kind === "composed" || !isJoinedWritable(parts)) return { ...canRead };
  return {
    ...canRead,
    write(value) {
      const values = partValues(where, derived, parts, value);
      const writes: (() => void)[] = [];
      const changes = new Map<Register, { name: string; fields: Record<string, unknown> }>();
      for (const [index, { name: part, register, fieldName }] of parts.entries()) {
        const place = `${map}.${part}`;
        if (fieldName === undefined)
          writes.push(() => liveRegister(place, register, reached).write!(values[index]));
        else {
          const change = changes.get(register) ?? { name: place, fields: {} };
          change.fields[fieldName] = values[index];
          changes.set(register, change);
        }
      }
      // All are checked before the first is made.
      for (const [register, change] of changes)
        writes.push(
          plannedModify(change.name, register, reached, change.fields, writeRule(change.name, register)),
        );
      for (const write of writes) write();
    },
  };
}
