// Format 1 of decoded config spaces: what the maps told when it was the only one, made of what they tell now. Whatever is added
// to a map that was there then goes into the table, and so does a capability that gets a name.
import { readsAllOnes } from "./answers.ts";
import type { RegisterBlock } from "./block.ts";
import type { DecodedCapability, DecodedRegister, DecodedRegisters, DecodedValue } from "./decoded.ts";
import { cxl, nameless, table, type Then } from "./format-1-table.ts";
import { asData } from "./hex-text.ts";
import type { LocatedCapability } from "./layout.ts";
import { cardbusHeader } from "./maps/header.ts";
import { rawValue } from "./raw-value.ts";
import { extendedStart, type Malformation } from "./walk.ts";

/** The common 16 bytes, of which alone a CardBus header was described. */
const commonHeader = 16;

/** The registers of a header in format 1. */
export const headerInFormat1 = (map: RegisterBlock, now: DecodedRegisters): DecodedRegisters =>
  map.name === cardbusHeader.name
    ? Object.fromEntries(Object.entries(now).filter(([name]) => map.registers[name]!.at < commonHeader))
    : now;

/** What was no malformation: that a device, or its extended part, does not answer. */
export const malformationsInFormat1 = (now: readonly Malformation[], config: Uint8Array): Malformation[] =>
  now.filter(
    ({ kind, offset }) =>
      kind !== "all-ones" || (offset !== extendedStart && !(offset === 0 && readsAllOnes(config))),
  );

/** A capability in format 1. @param now as the maps of now tell it, with its numbers as the bits count them */
export function capabilityInFormat1(
  { map, offset, limit, extended }: LocatedCapability,
  config: Uint8Array,
  now: DecodedCapability,
): DecodedCapability {
  const { bytes: _, ...rest } = now;
  const hexFrom = (from: number, to: number): { readonly bytes?: string } =>
    from < to ? { bytes: config.subarray(offset + from, offset + to).toHex() } : {};
  if (nameless.has(now.name))
    return {
      ...rest,
      name: "unknown",
      registers: headOf(now.registers),
      ...hexFrom(extended ? 4 : 2, limit),
    };
  const then = thenOf(now);
  if (then === undefined) return now;
  const registers = new Change(map, config, offset, then).registers(now.registers);
  if (!("bytesFrom" in then)) return { ...now, registers };
  return {
    ...rest,
    registers,
    ...(then.bytesFrom !== undefined && hexFrom(then.bytesFrom, Math.min(limit, map.size))),
  };
}

/** What every capability begins with. */
const headOf = (registers: DecodedRegisters): DecodedRegisters =>
  Object.fromEntries(Object.entries(registers).filter(([name]) => ["id", "next", "header"].includes(name)));

const cxlVendor = 0x1e98;
/** DWORDs of DPC's log that were described, as far as its size of 4 bits went. */
const logDwords = 9;

/** What depends on what the capability holds is worked out; the rest stands in the table. */
function thenOf({ name, registers }: DecodedCapability): Then | undefined {
  const field = (register: string, of: string): DecodedValue | undefined => {
    const value = registers[register];
    return typeof value === "object" ? value[of] : undefined;
  };
  // Intel's capability of version 1.
  if (name === "Vendor")
    return "kind" in registers ? { later: ["kind", "capability*"], bytesFrom: 3 } : undefined;
  if (name === "DPC") {
    const logs = Object.keys(registers).filter((register) => register.endsWith("Log"));
    return {
      ...table["DPC"],
      later: [
        ...table["DPC"]!.later!,
        ...logs.slice(Math.min(logDwords, Number(field("capability", "logSizeLow")))),
      ],
    };
  }
  if (name !== "DVSEC") return Object.hasOwn(table, name) ? table[name] : undefined;
  if (field("header1", "vendorId") !== cxlVendor) return undefined;
  const id = Number(registers["dvsecId"]);
  if (id === 0 && "capability3" in registers)
    return { later: [...cxl[0]!.later!, "capability3"], bytesFrom: 0x38 };
  // A Flex Bus port was described from its second revision on, and only at its full length.
  const last = Number(field("header1", "revision")) >= 2 ? "portCapability2" : "receivedTrainingData";
  if (id === 7 && "portStatus" in registers && !(last in registers))
    return {
      later: ["portCapability", "portControl", "portStatus", "receivedTrainingData"],
      bytesFrom: 10,
    };
  return cxl[id];
}

/** One capability's registers of now as those of then. */
class Change {
  readonly #map: RegisterBlock;
  readonly #memory: DataView;
  readonly #base: number;
  readonly #then: Then;

  constructor(map: RegisterBlock, config: Uint8Array, base: number, then: Then) {
    this.#map = map;
    this.#memory = new DataView(config.buffer, config.byteOffset, config.byteLength);
    this.#base = base;
    this.#then = then;
  }

  registers(now: DecodedRegisters): DecodedRegisters {
    const { renamed = {}, reserved = {} } = this.#then;
    const registers: Record<string, DecodedRegister> = {};
    for (const [name, register] of Object.entries(now))
      if (!this.#isLater(name)) registers[renamed[name] ?? name] = this.#register(name, register);
    for (const [name, flag] of Object.entries(reserved)) {
      if (!this.#map.registers[name]) continue;
      const raw = this.#raw(name);
      registers[name] = flag === undefined ? asData(raw) : { [flag]: (Number(raw) & 1) === 1 };
    }
    return registers;
  }

  #register(name: string, now: DecodedRegister): DecodedRegister {
    if (typeof now !== "object") return now;
    const { renamed = {}, unnamed = {} } = this.#then;
    const fields: Record<string, DecodedValue> = {};
    for (const [field, value] of Object.entries(now)) {
      const path = `${name}.${field}`;
      if (this.#isLater(path)) continue;
      // A register that is one number now has a field for it.
      if (renamed[path] === "") return value;
      fields[renamed[path] ?? field] = unnamed[path]
        ? this.#unnamed(name, field, value, unnamed[path])
        : value;
    }
    return fields;
  }

  #unnamed(name: string, field: string, now: DecodedValue, bits: readonly number[] | "all"): DecodedValue {
    const { hi, lo } = this.#map.registers[name]!.fields[field]!;
    const value = (Number(this.#raw(name)) >>> lo) & (2 ** (hi - lo + 1) - 1);
    return bits === "all" ? value : bits.includes(value) ? `reserved(${value})` : now;
  }

  #raw(name: string): number | bigint {
    return rawValue(this.#map.registers[name]!, this.#memory, this.#base);
  }

  #isLater(path: string): boolean {
    return (this.#then.later ?? []).some((one) =>
      one.endsWith("*") ? path.startsWith(one.slice(0, -1)) : path === one,
    );
  }
}
