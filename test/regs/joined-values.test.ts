// Joined values of random parts: what is written is read, in memory and live, and what lies beside the parts stays.
import { expect, test } from "bun:test";
import fc from "fast-check";
import {
  joined,
  joinedBig,
  registerMap,
  type Access,
  type Entries,
  type Field,
  type Register,
} from "../../src/regs/index.ts";
import { anyFieldsRegister } from "../support/any-map.ts";

const words = fc.constantFrom<Access>("rw", "rw", "rws", "ro", "rsvdp", "hwinit");
const anyBits = fc.bigInt({ min: 0n, max: (1n << 64n) - 1n });

/** Up to four fields that can be written, of at most 64 bits together, in any order. */
function partsOf(
  registers: Readonly<Record<string, Register>>,
  pick: number,
): { path: string; field: Field; register: Register }[] {
  const all = Object.entries(registers).flatMap(([name, register]) =>
    Object.entries(register.fields)
      .filter(([, { access }]) => access === "rw" || access === "rws")
      .map(([key, field]) => ({ path: `${name}.${key}`, field, register })),
  );
  const chosen = all
    .toSorted(
      (a, b) =>
        ((a.path.charCodeAt(3) * 31 + a.field.lo) ^ pick) - ((b.path.charCodeAt(3) * 31 + b.field.lo) ^ pick),
    )
    .slice(0, 4);
  let width = 0;
  return chosen.filter(({ field: { hi, lo } }) => (width += hi - lo + 1) <= 64);
}

test("written and read, in memory and live", () => {
  let made = 0;
  fc.assert(
    fc.property(
      fc.array(anyFieldsRegister(words), { minLength: 2, maxLength: 2 }),
      fc.nat(),
      anyBits,
      anyBits,
      anyBits,
      (list, pick, a, b, written) => {
        const registers = Object.fromEntries(
          list.map((register, index) => [`reg${index}`, { ...register, at: 8 * index }]),
        );
        const parts = partsOf(registers, pick);
        fc.pre(parts.length > 0);
        const width = parts.reduce((sum, { field: { hi, lo } }) => sum + hi - lo + 1, 0);
        const names = parts.map(({ path }) => path);
        const value = written & ((1n << BigInt(width)) - 1n);
        const map = registerMap("map", 16, {
          ...(registers as Entries),
          all: joinedBig(names),
          ...(width <= 50 && { counted: joined(names, { by: 4, plus: 3 }) }),
        }) as unknown as {
          view(memory: DataView): Record<string, unknown>;
          live(io: unknown): Record<string, { read(): unknown; write(value: unknown): void }>;
        };
        const memory = (): DataView => {
          const bytes = new DataView(new ArrayBuffer(16));
          bytes.setBigUint64(0, a, true);
          bytes.setBigUint64(8, b, true);
          return bytes;
        };
        // By hand: the bits of each part, the first the highest.
        const expected = [a, b];
        let left = value;
        for (const {
          field: { hi, lo },
          register,
        } of parts.toReversed()) {
          const mask = (1n << BigInt(hi - lo + 1)) - 1n;
          const index = register.at / 8;
          expected[index] = (expected[index]! & ~(mask << BigInt(lo))) | ((left & mask) << BigInt(lo));
          left >>= BigInt(hi - lo + 1);
        }
        const [viewed, reached] = [memory(), memory()];
        const view = map.view(viewed);
        const live = map.live({
          read: (offset: number, size: number) =>
            size === 4
              ? reached.getUint32(offset, true)
              : size === 2
                ? reached.getUint16(offset, true)
                : reached.getUint8(offset),
          write: (offset: number, size: number, bits: number) =>
            size === 4
              ? reached.setUint32(offset, bits, true)
              : size === 2
                ? reached.setUint16(offset, bits, true)
                : reached.setUint8(offset, bits),
        });
        view["all"] = value;
        live["all"]!.write(value);
        for (const bytes of [viewed, reached])
          expect([bytes.getBigUint64(0, true), bytes.getBigUint64(8, true)]).toEqual([
            expected[0]!,
            expected[1]!,
          ]);
        expect([view["all"], live["all"]!.read()]).toEqual([value, value]);
        if (width <= 50) {
          expect([view["counted"], live["counted"]!.read()]).toEqual([
            Number(value) * 4 + 3,
            Number(value) * 4 + 3,
          ]);
          expect(() => (view["counted"] = Number(value) * 4 + 1)).toThrow(
            /^"map\.counted" must be a value of \d+ bits/,
          );
        }
        made++;
      },
    ),
    { numRuns: 600 },
  );
  expect(made).toBeGreaterThan(100);
});
