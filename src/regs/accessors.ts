// The class of a map's accessors over plain memory: they are closures on one object a map.
import { isWritable } from "./access.ts";
import { checkIndex, isRegister, type BitArray, type RegisterArray } from "./array.ts";
import { checkMemory } from "./check/memory.ts";
import { bitsClass } from "./bits-view.ts";
import type { Derived } from "./derived.ts";
import { derivedValue, isJoinedWritable, partsOf, partValues, type Part } from "./derived-value.ts";
import type { SortedEntries } from "./entries.ts";
import { fieldAccessors, rawAccessors, type Memory } from "./field-accessors.ts";
import { inspectCustom, registerViewLine, tableLine, viewLine } from "./inspect.ts";
import { rawValue } from "./raw-value.ts";
import { hasFields, type Register, type Registers } from "./register.ts";
import { viewName } from "./view-name.ts";
import { writeRule } from "./write-rule.ts";

export type ViewClass = new (memory: DataView, base: number) => object;

/** `path` is what it shows, in the map. */
type Define = (name: string, path: string, accessors: PropertyDescriptor, writable: boolean) => void;

/** What stands for accessors where they are printed; `where` is what they show, with the index of an element. */
type Line = (where: string, memory: DataView, base: number) => string;

/**
 * An empty class over memory, and what adds accessors to it; `where` is what it shows.
 * @param size of the map, in bytes, which has to lie inside of the memory; 0 for a part of one that does
 */
function memoryClass(
  where: string,
  line: Line,
  size = 0,
): { readonly View: ViewClass; readonly define: Define } {
  // Two things keep construction cheap in JavaScriptCore. Fields are declared, so that they are defined and not stored: a
  // store first looks for a setter on the whole prototype chain, and gives up on a long one. The accessors lie one
  // prototype above: an instance gets room for each property of its own prototype that is no method, twice its size.
  class View implements Memory {
    readonly $memory: DataView;
    readonly $base: number;
    constructor(memory: DataView, base = 0) {
      if (size > 0) checkMemory(where, size, memory, base);
      this.$memory = memory;
      this.$base = base;
    }
    [inspectCustom](): string {
      const { $memory, $base, $index } = this as Memory & { readonly $index?: number };
      return line($index === undefined ? where : `${where}[${$index}]`, $memory, $base);
    }
  }
  const accessors = Object.create(unknownNames(where)) as object;
  Object.setPrototypeOf(View.prototype, accessors);
  const define: Define = (name, path, { get, set }, writable) => {
    Object.defineProperty(accessors, name, {
      enumerable: true,
      get: get!,
      set: writable ? set! : readOnly(path),
    });
  };
  return { View, define };
}

const readOnly = (path: string) => (): never => {
  throw new TypeError(`"${path}" must be left as it is, not written: it is read-only`);
};

/**
 * The end of a prototype chain that an assignment reaches only by a name that is no accessor's: the type checker refuses it, and
 * plain JavaScript would add a property that nobody reads.
 */
const unknownNames = (where: string): object =>
  new Proxy(Object.prototype, {
    set(_target, name) {
      throw new TypeError(
        `"${where}.${String(name)}" must be a register or a field: "${where}" has no such name`,
      );
    },
  });

const isChangeable = (register: Register): boolean =>
  hasFields(register)
    ? Object.values(register.fields).some(({ access }) => isWritable(access))
    : isWritable(register.access);

/**
 * Builds the class whose instances read and write registers in memory. It is flat: an object for each register would
 * have to be allocated at each access, since one body serves all registers and no compiler can see which class it makes.
 */
export function accessorClass(map: string, size: number, parts: SortedEntries): ViewClass {
  const others = { ...parts.tables, ...parts.derived };
  const { View, define } = memoryClass(
    map,
    (where, memory, base) => viewLine(where, parts.plain, others, memory, base),
    size,
  );
  for (const [name, register] of Object.entries(parts.plain))
    defineRegister(define, `${map}.${name}`, register, name, (field) => viewName(name, field));
  for (const [name, table] of Object.entries(parts.tables))
    define(name, `${map}.${name}`, tableAccessors(`${map}.${name}`, table), false);
  for (const [name, derived] of Object.entries(parts.derived))
    defineDerived(define, map, name, derived, parts.all);
  let fields: ViewClass | undefined;
  define(
    "fields",
    `${map}.fields`,
    lazily((memory, base) => new (fields ??= fieldsClass(map, parts.plain))(memory, base)),
    false,
  );
  return View;
}

function defineRegister(
  define: Define,
  where: string,
  register: Register,
  name: string,
  nameOf: (field: string) => string,
): void {
  const { at, width } = register;
  define(name, where, rawAccessors(where, width, at), isChangeable(register));
  const rule = writeRule(where, register);
  for (const [key, field] of Object.entries(register.fields)) {
    const path = `${where}.${key}`;
    define(nameOf(key), path, fieldAccessors(path, width, at, field, rule), isWritable(field.access));
  }
}

/** The class over one register: its whole value is `raw`, its fields have their own names. */
function registerClass(where: string, register: Register): ViewClass {
  const { View, define } = memoryClass(where, (where, memory, base) =>
    registerViewLine(where, register, memory, base),
  );
  defineRegister(define, where, register, "raw", (field) => field);
  return View;
}

/** The same fields by register. */
function fieldsClass(map: string, registers: Registers): ViewClass {
  const { View, define } = memoryClass(`${map}.fields`, (where, memory, base) =>
    viewLine(where, registers, {}, memory, base),
  );
  for (const [name, register] of Object.entries(registers)) {
    let Of: ViewClass | undefined;
    const make = (memory: DataView, base: number): object =>
      new (Of ??= registerClass(`${map}.${name}`, register))(memory, base);
    define(name, `${map}.${name}`, lazily(make), false);
  }
  return View;
}

const lazily = (make: (memory: DataView, base: number) => object): PropertyDescriptor => ({
  get(this: Memory) {
    return make(this.$memory, this.$base);
  },
});

function tableAccessors(where: string, table: RegisterArray | BitArray): PropertyDescriptor {
  const View = table.kind === "bits" ? bitsClass(where, table) : arrayClass(where, table);
  return lazily((memory, base) => new View(memory, base));
}

/** The class over a table in memory. */
function arrayClass(where: string, table: RegisterArray): ViewClass {
  const { count, stride, element } = table;
  let Of: ReturnType<typeof elementClass> | undefined;
  return class ArrayView {
    readonly length = count;
    readonly #memory: DataView;
    readonly #base: number;
    constructor(memory: DataView, base: number) {
      this.#memory = memory;
      this.#base = base;
    }
    at(index: number): object {
      checkIndex(where, count, index);
      return new (Of ??= elementClass(where, element))(this.#memory, this.#base + index * stride, index);
    }
    [inspectCustom](): string {
      return tableLine("ArrayView", where, table);
    }
  };
}

/** The class over each element of a table, which says in its errors which it is. */
function elementClass(
  where: string,
  element: Register | Registers,
): new (memory: DataView, base: number, index: number) => object {
  const { View, define } = memoryClass(where, (where, memory, base) =>
    isRegister(element)
      ? registerViewLine(where, element, memory, base)
      : viewLine(where, element, {}, memory, base),
  );
  class Element extends View {
    readonly $index: number;
    constructor(memory: DataView, base: number, index: number) {
      super(memory, base);
      this.$index = index;
    }
  }
  const defineIndexed: Define = (name, path, { get, set }, writable) => {
    const setPlain = writable ? set! : readOnly(path);
    const setIndexed = function (this: Element, value: unknown): void {
      try {
        setPlain.call(this, value);
      } catch (error) {
        throw withIndex(error, where, this.$index);
      }
    };
    define(name, path, { get: get!, set: setIndexed }, true);
  };
  if (isRegister(element)) defineRegister(defineIndexed, where, element, "raw", (field) => field);
  else
    for (const [name, register] of Object.entries(element))
      defineRegister(defineIndexed, `${where}.${name}`, register, name, (field) => viewName(name, field));
  return Element;
}

function withIndex(error: unknown, where: string, index: number): unknown {
  if (error instanceof Error) error.message = error.message.replace(`"${where}`, `"${where}[${index}]`);
  return error;
}

function defineDerived(
  define: Define,
  map: string,
  name: string,
  derived: Derived,
  registers: Registers,
): void {
  const where = `${map}.${name}`;
  const parts = partsOf(where, derived, registers);
  const isSet = derived.kind === "joined" && isJoinedWritable(parts);
  const setters = isSet ? parts.map((part) => setterOf(`${map}.${part.name}`, part)) : [];
  define(
    name,
    where,
    {
      get(this: Memory) {
        return derivedValue(derived, parts, ({ register }) => rawValue(register, this.$memory, this.$base));
      },
      set(this: Memory, value: unknown) {
        if (derived.kind !== "joined") return;
        const values = partValues(where, derived, parts, value);
        for (const [index, set] of setters.entries()) set.call(this, values[index]);
      },
    },
    isSet,
  );
}

function setterOf(where: string, { register, fieldName, field }: Part): (value: unknown) => void {
  const { at, width } = register;
  const { set } = field
    ? fieldAccessors(`${where}.${fieldName}`, width, at, field, writeRule(where, register))
    : rawAccessors(where, width, at);
  return set!;
}
