// Registers share bytes only where that is said.
import type { Register, Registers } from "../register.ts";
import { said } from "../said.ts";
import { resetValue } from "../write-rule.ts";

type Placed = readonly [name: string, register: Register];

const endOf = ({ at, width }: Register): number => at + width / 8;
const overlaps = (a: Register, b: Register): boolean => a.at < endOf(b) && b.at < endOf(a);
/** The registers that one is said to share its bytes with. */
const aliasesOf = ({ alias }: Register): readonly string[] =>
  alias === undefined ? [] : typeof alias === "string" ? [alias] : alias;

/** @throws RangeError for registers that overlap without saying so, and for an alias that is none */
export function checkOverlap(map: string, registers: Registers): void {
  const sorted: Placed[] = [];
  let isAnySaid = false;
  for (const name in registers) {
    const register = registers[name]!;
    sorted.push([name, register]);
    isAnySaid ||= register.alias !== undefined;
  }
  sorted.sort(([, a], [, b]) => a.at - b.at);
  const said = isAnySaid ? saidAliases(map, registers) : new Map<string, ReadonlySet<string>>();
  let reaching: Placed[] = [];
  for (const placed of sorted) {
    const [name, register] = placed;
    reaching = reaching.filter(([, other]) => endOf(other) > register.at);
    for (const [other, shared] of reaching) {
      if (!isSaid(said, name, other))
        throw new RangeError(
          `"${map}.${name}" must have bytes of its own, not those of "${map}.${other}": say alias(...) where that is meant`,
        );
      checkResets(map, placed, [other, shared]);
    }
    reaching.push(placed);
  }
}

/** One is an alias of the other, or both are of a third. */
function isSaid(said: ReadonlyMap<string, ReadonlySet<string>>, a: string, b: string): boolean {
  const [ofA, ofB] = [said.get(a), said.get(b)];
  return (
    ofA?.has(b) === true ||
    ofB?.has(a) === true ||
    (ofA !== undefined && ofB !== undefined && !ofA.isDisjointFrom(ofB))
  );
}

/** All that each alias is an alias of, directly or by way of another. @throws RangeError for an alias of nothing, or of itself */
function saidAliases(map: string, registers: Registers): ReadonlyMap<string, ReadonlySet<string>> {
  const all = new Map<string, ReadonlySet<string>>();
  const follow = (name: string, from: readonly string[]): ReadonlySet<string> => {
    const known = all.get(name);
    if (known) return known;
    const register = registers[name]!;
    const found = new Set<string>();
    for (const of of aliasesOf(register)) {
      checkAlias(`${map}.${name}`, map, register, of, registers);
      if (of === name || from.includes(of))
        throw new RangeError(
          `"${map}.${name}" must be an alias of another register, not of itself by way of "${map}.${of}"`,
        );
      found.add(of);
      for (const further of follow(of, [...from, name])) found.add(further);
    }
    all.set(name, found);
    return found;
  };
  for (const name in registers) if (registers[name]!.alias !== undefined) follow(name, []);
  return all;
}

function checkAlias(where: string, map: string, register: Register, of: string, registers: Registers): void {
  const other = typeof of === "string" && Object.hasOwn(registers, of) ? registers[of]! : undefined;
  if (!other || other === register)
    throw new RangeError(`"${where}" must be an alias of another register, not of ${said(of)}`);
  if (!overlaps(register, other) && other.width !== register.width)
    throw new RangeError(
      `"${where}" must have the ${other.width} bits of "${map}.${of}", whose alias at another place it is, not ${register.width}`,
    );
}

/** Bytes have one value after a reset, whichever register says it. */
function checkResets(map: string, [name, a]: Placed, [other, b]: Placed): void {
  const from = Math.min(a.at, b.at);
  const placed = (register: Register): readonly [bits: bigint, said: bigint] => {
    const { bits, said } = resetValue(`${map}.${name}`, register);
    const shift = BigInt(8 * (register.at - from));
    return [bits << shift, said << shift];
  };
  const [[bits, ofA], [others, ofB]] = [placed(a), placed(b)];
  if ((bits ^ others) & ofA & ofB)
    throw new RangeError(
      `"${map}.${name}" must have the reset value that "${map}.${other}" says of the bits of both, not another`,
    );
}
