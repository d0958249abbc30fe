// Every error of a map, a view and a live register says which register and field, what it must be and what it is, in one form.
import { expect, test } from "bun:test";
import fc from "fast-check";
import {
  accessWords,
  array,
  bitArray,
  composed,
  endpointHeader,
  joined,
  joinedBig,
  r32,
  r64,
  registerMap,
  ro,
  rw,
  type Register,
} from "../../src/regs/index.ts";
import { anyFieldsRegister, anyPlainRegister } from "../support/any-map.ts";

const thrown = (run: () => unknown): string | undefined => {
  try {
    run();
    return undefined;
  } catch (error) {
    if (error instanceof RangeError || error instanceof TypeError) return error.message;
    throw error;
  }
};
/** As `"map.it.f3" must be a boolean, not 7`. */
const told = (message: string | undefined, path: string): void => {
  expect(message).toStartWith(`"${path}`);
  expect(message).toMatch(/ must .+(, not |: )/s);
};

const wrongValue = fc.oneof(
  fc.constantFrom<unknown>(null, undefined, NaN, Infinity, 1.3, "x", "reserved(99999)", "reserved()", "toString", "", {}, [], Symbol("s")),
  fc.constantFrom<unknown>(() => 1, 2 ** 53, -1, -1n, 1n << 64n),
); // prettier-ignore

/** Values that neither a field nor a register of any kind takes. */
const reaches = (register: Register): boolean =>
  Object.values(register.fields).some(({ access }) => accessWords[access].write !== "none");

test("of a field in memory, in a live register and by reference", () => {
  fc.assert(
    fc.property(anyFieldsRegister(), wrongValue, fc.nat(), (register, value, pick) => {
      fc.pre(reaches(register));
      const names = Object.keys(register.fields);
      const name = names[pick % names.length]!;
      const map = registerMap("map", 8, { it: register });
      const memory = new DataView(new ArrayBuffer(8));
      let touched = 0;
      const live = map.live({ read: () => touched++, write: () => touched++ }) as unknown as {
        it: { modify(changes: unknown): void; write(value: unknown): void };
      };
      const path = `map.it.${name}`;
      told(
        thrown(() => live.it.modify({ [name]: value })),
        "map.it",
      );
      told(
        thrown(() => live.it.write({ [name]: value })),
        path,
      );
      expect(touched).toBe(0);
      if (accessWords[register.fields[name]!.access].write !== "none") {
        const view = map.view(memory) as unknown as Record<string, unknown>;
        told(
          thrown(() => (view[`itF${name.slice(1)}`] = value)),
          path,
        );
        const fields = map.view(memory).fields as unknown as { it: Record<string, unknown> };
        told(
          thrown(() => (fields.it[name] = value)),
          path,
        );
      }
      told(
        thrown(() => map.field(`it.${name}` as never).write(memory, value as never)),
        path,
      );
      expect(memory.getBigUint64(0, true)).toBe(0n);
    }),
    { numRuns: 400 },
  );
});

test("of a whole register", () => {
  fc.assert(
    fc.property(anyPlainRegister, wrongValue, (register, value) => {
      const map = registerMap("map", 8, { it: register });
      const memory = new DataView(new ArrayBuffer(8));
      told(
        thrown(() => map.register("it").write(memory, value as never)),
        "map.it",
      );
      if (accessWords[register.access].write === "none") return;
      const view = map.view(memory) as unknown as Record<string, unknown>;
      told(
        thrown(() => (view["it"] = value)),
        "map.it",
      );
      const live = map.live({ read: () => 0, write: () => {} }) as unknown as {
        it: { write(value: unknown): void };
      };
      told(
        thrown(() => live.it.write(value)),
        "map.it",
      );
    }),
    { numRuns: 300 },
  );
});

const tables = registerMap("map", 64, {
  plain: array(3, 4, r32(0, { low: rw(7, 0) })),
  group: array(2, 8, { high: r32(16, { on: rw(0) }) }),
  bits: bitArray(32, 32, "rw"),
  low: r32(36, "rw"),
  wide: r64(40, "rw"),
  both: joined(["low"], { by: 2 }),
  all: joinedBig(["wide"]),
});

test("of tables and of values of several", () => {
  const io = { read: () => 0, write: () => {} };
  const [view, live] = [tables.view(new DataView(new ArrayBuffer(64))), tables.live(io)];
  fc.assert(
    fc.property(wrongValue, (wrong) => {
      const [value, index] = [wrong as never, wrong as never];
      told(
        thrown(() => (view.plain.at(1).low = value)),
        "map.plain[1].low",
      );
      told(
        thrown(() => (view.group.at(1).highOn = value)),
        "map.group[1].high.on",
      );
      told(
        thrown(() => live.plain.at(1).modify({ low: value })),
        "map.plain[1].low",
      );
      told(
        thrown(() => live.group.at(1).high.write({ on: value })),
        "map.group[1].high.on",
      );
      told(
        thrown(() => view.bits.set(3, value)),
        "map.bits[3]",
      );
      told(
        thrown(() => live.bits.set(3, value)),
        "map.bits[3]",
      );
      told(
        thrown(() => (view.both = value)),
        "map.both",
      );
      told(
        thrown(() => live.all.write(value)),
        "map.all",
      );
      told(
        thrown(() => view.plain.at(index)),
        "map.plain",
      );
      told(
        thrown(() => live.plain.at(index)),
        "map.plain",
      );
      told(
        thrown(() => view.group.at(index)),
        "map.group",
      );
      told(
        thrown(() => live.group.at(index)),
        "map.group",
      );
      told(
        thrown(() => view.bits.get(index)),
        "map.bits",
      );
      told(
        thrown(() => live.bits.set(index, true)),
        "map.bits",
      );
    }),
  );
});

test("of what reaches the registers, and of memory that does not hold them", () => {
  fc.assert(
    fc.property(wrongValue, fc.constantFrom("low", "plain", "bits", "wide", "both"), (value, name) => {
      const live = tables.live({ read: () => value as number, write: () => {} });
      const read = { low: live.low.read, wide: live.wide.read, both: live.both.read, plain: live.plain.at(2).read, bits: () => live.bits.get(5) }[name]; // prettier-ignore
      const path = { low: "map.low", wide: "map.wide", both: "map.low", plain: "map.plain[2]", bits: "map.bits[5]" }[name]; // prettier-ignore
      told(thrown(read!), path!);
      told(thrown(() => tables.view(new DataView(new ArrayBuffer(64)), value as number) && (value === undefined ? tables.view(value as never) : 0)), "map"); // prettier-ignore
      told(
        thrown(() => tables.view(value as DataView)),
        "map",
      );
      told(
        thrown(() => new tables.View(value as DataView, 0)),
        "map",
      );
      told(
        thrown(() => tables.live(value as never)),
        "map",
      );
    }),
  );
  expect(thrown(() => tables.view(new DataView(new ArrayBuffer(64)), 1))).toBe(
    `"map" must lie within the memory's 64 bytes, not at 1 with 64`,
  );
  for (const base of [1, -1, 0.5, NaN, "0", 2 ** 40])
    expect(thrown(() => new tables.View(new DataView(new ArrayBuffer(64)), base as number))).toStartWith(
      `"map" must lie within the memory's 64 bytes, not at `,
    );
});

test("of what is read-only in memory, and of names that it has not", () => {
  const map = registerMap("map", 16, {
    fixed: r32(0, { f: ro(7, 0), g: rw(8) }),
    table: array(2, 4, r32(4, { f: ro(0) })),
    sum: composed(["fixed.f"], (f) => f),
    never: r32(12, "ro"),
  });
  const view = map.view(new DataView(new ArrayBuffer(16))) as unknown as Record<string, unknown> & {
    fields: { fixed: Record<string, unknown> };
    table: { at(index: number): Record<string, unknown> };
  };
  const readOnly: readonly (readonly [path: string, assign: () => unknown])[] = [
    ["map.fixed.f", () => (view["fixedF"] = 1)],
    ["map.fixed.f", () => (view.fields.fixed["f"] = 1)],
    ["map.table[1].f", () => (view.table.at(1)["f"] = true)],
    ["map.table[1]", () => (view.table.at(1)["raw"] = 1)],
    ["map.sum", () => (view["sum"] = 1)],
    ["map.never", () => (view["never"] = 1)],
    ["map.fields", () => (view["fields"] = 1 as never)],
  ];
  for (const [path, assign] of readOnly)
    expect(thrown(assign)).toBe(`"${path}" must be left as it is, not written: it is read-only`);
  const unknown: readonly (readonly [path: string, assign: () => unknown])[] = [
    ["map.fixedH", () => (view["fixedH"] = 1)],
    ["map.toString", () => (view["toString"] = 1 as never)],
    ["map.fixed.h", () => (view.fields.fixed["h"] = 1)],
    ["map.table.h", () => (view.table.at(1)["h"] = 1)],
  ];
  for (const [path, assign] of unknown) told(thrown(assign), `${path}"`);
  expect([view["fixedH"], Object.keys(view).includes("fixedH"), String(view)]).toEqual([
    undefined,
    false,
    "[object Object]",
  ]);
});

test("of names that a map has not", () => {
  for (const name of ["", "nothing", "toString", "__proto__", "plain", "plain[3]", "low.x", "."]) {
    const [anyName, where] = [name as never, `map.${name}`];
    told(
      thrown(() => tables.register(anyName)),
      where,
    );
    told(
      thrown(() => tables.offsetOf(anyName)),
      where,
    );
    told(
      thrown(() => tables.field(anyName)),
      "map.",
    );
  }
  told(
    thrown(() => endpointHeader.field("command.nothing" as never)),
    "type 0 header.command.nothing",
  );
});
