// typed-struct's builder, with integers that refuse what does not fit: typed-struct itself cuts it in silence. A struct is
// compiled when it is first used: a program imports the declarations of all, and uses a few.
/// <reference types="node" preserve="true" />
import { Struct as Builder } from "typed-struct";
import { lazy } from "../lazy.ts";
import { checked, checkedWide, type IntegerRange } from "./integer.ts";
import { layoutOf, type Layout, type Names, type Step } from "./struct-layout.ts";
import { codecs, type Codec } from "./struct-members.ts";

/** A class as typed-struct compiles it. */
interface StructType {
  readonly baseSize: number;
  getOffsets(): Readonly<Record<string, number>>;
  new (...args: unknown[]): object;
}
/** What stands behind a declared class, made when asked for. */
interface Declared {
  layout(): Layout;
  type(): StructType;
}

const declared = new WeakMap<object, Declared>();
/** typed-struct is given its own classes. */
const behind = (value: unknown): unknown =>
  typeof value === "function" ? (declared.get(value)?.type() ?? value) : value;

type Methods = Record<string, (names: Names, ...rest: unknown[]) => unknown>;

function compile(name: string, steps: readonly Step[], layout: Layout | undefined): StructType {
  const builder = new Builder(name) as unknown as Methods;
  for (const { method, args } of steps) {
    const [names, ...rest] = args as [Names, ...unknown[]];
    const codec = codecs[method];
    const range = codec && layout?.ranges.get([names].flat()[0]!);
    if (range) builder["Custom"]!(names, codec.bytes, ...accessors(codec, range));
    else builder[method]!(names, ...rest.map(behind));
  }
  return (builder as unknown as { compile(): StructType }).compile();
}

function accessors(codec: Codec, range: IntegerRange) {
  const check = (codec.bytes === 8 ? checkedWide : checked) as (
    value: number | bigint,
    range: IntegerRange,
  ) => number | bigint;
  const get = (_: string, memory: Buffer): number | bigint => codec.read(memory);
  const set = (_: string, memory: Buffer, value: number | bigint): boolean => {
    codec.write(memory, check(value, range));
    return true;
  };
  return [get, set] as const;
}

/** A class whose name and layout are known, and which typed-struct compiles for all else. */
function lazyClass(name: string, steps: readonly Step[]): object {
  const known = lazy(() => layoutOf(name, steps));
  const type = lazy(() => compile(name, steps, known()));
  const layout = (): Layout =>
    known() ?? { size: type().baseSize, offsets: type().getOffsets(), ranges: new Map() };
  const answers = new Map<string | symbol, () => unknown>([
    ["name", () => name],
    ["baseSize", () => layout().size],
    ["getOffsets", () => () => ({ ...layout().offsets })],
  ]);
  // A function can be called with `new`, as what it stands for.
  function target(): void {}
  const shown = new Proxy(target, {
    get(_, key) {
      const answer = answers.get(key);
      return answer ? answer() : Reflect.get(type(), key);
    },
    has: (_, key) => Reflect.has(type(), key),
    construct: (_, args) => new (type())(...(args as unknown[])),
  });
  declared.set(shown, { layout, type });
  return shown;
}

/** Notes the steps of a declaration, whatever methods typed-struct has. Called with `new`, as typed-struct's. */
function Declaration(name: string): object {
  const steps: Step[] = [];
  const builder: object = new Proxy(
    {},
    {
      get:
        (_, method) =>
        (...args: unknown[]) => {
          if (method === "compile") return lazyClass(name, steps);
          steps.push({ method: String(method), args });
          return builder;
        },
    },
  );
  return builder;
}
Declaration.raw = (instance: object): Buffer => Builder.raw(instance as never);

/** The builder of struct classes; its types are typed-struct's. A 64-bit member takes an exact number too. */
export const Struct = Declaration as unknown as typeof Builder;

/** Whether a value is a class that `Struct` declared. */
export const isStruct = (value: unknown): boolean => typeof value === "function" && declared.has(value);

const rangesOf = (type: object): ReadonlyMap<string, IntegerRange> | undefined =>
  declared.get(type)?.layout().ranges;

/**
 * What an integer member may be, or an element of an array of integers: for those who write to memory by themselves.
 * @throws RangeError for a member that is none
 */
export function memberRange(type: { readonly name: string }, member: string): IntegerRange {
  const range = rangesOf(type)?.get(member);
  if (!range) throw new RangeError(`${type.name} has no integer ${member}`);
  return range;
}

/** The names of the integer members, and of the arrays of integers. */
export const integerMembers = (type: object): readonly string[] => [...(rangesOf(type)?.keys() ?? [])];
