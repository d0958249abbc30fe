// Random damage to text and to parsed JSON.
import fc from "fast-check";

const tokens = [
  "{",
  "}",
  "[",
  "]",
  '"',
  ",",
  ":",
  "\\",
  "\n",
  "\0",
  " ",
  "0",
  "-1",
  "1e999",
  "0.5",
  "9007199254740993",
  "0x1",
  "null",
  "true",
  '""',
  '"__proto__":',
  "\ud800",
  "\u2028",
  "# ",
  "write 0x4 7\n",
  "read 4096 0\n",
  "write 0x10 9999999999\n",
  "[".repeat(40),
  "[".repeat(50_000),
  '{"a":'.repeat(40),
];

export type TextEdit = typeof textEdit extends fc.Arbitrary<infer T> ? T : never;
const textEdit = fc.record({
  at: fc.nat(0xffff),
  how: fc.oneof(
    fc.record({ put: fc.string({ unit: "binary", minLength: 1, maxLength: 1 }) }),
    fc.record({ put: fc.constantFrom("0", "1", "7", "f", "-", ".", "e") }),
    fc.record({ insert: fc.constantFrom(...tokens) }),
    fc.record({ remove: fc.integer({ min: 1, max: 40 }) }),
    fc.record({ repeat: fc.integer({ min: 1, max: 80 }) }),
    fc.record({ cut: fc.constant(true) }),
  ),
});
export const textEdits = fc.array(textEdit, { minLength: 1, maxLength: 5 });

/** The text with the edits made; a place beyond the end wraps around. */
export function editedText(text: string, edits: readonly TextEdit[]): string {
  for (const { at, how } of edits) {
    const from = at % (text.length + 1);
    const [before, after] = [text.slice(0, from), text.slice(from)];
    if ("put" in how) text = before + how.put + after.slice(1);
    else if ("insert" in how) text = before + how.insert + after;
    else if ("remove" in how) text = before + after.slice(how.remove);
    else if ("repeat" in how) text = before + after.slice(0, how.repeat) + after;
    else text = before;
  }
  return text;
}

export type JsonEdit = typeof jsonEdit extends fc.Arbitrary<infer T> ? T : never;
const jsonEdit = fc.record({
  /** Which of all the values in the tree. */
  at: fc.nat(0xffff),
  how: fc.oneof(
    { weight: 3, arbitrary: fc.record({ add: fc.constantFrom(-1, 1, 4, 16, 0x1000, 0.5) }) },
    {
      weight: 3,
      arbitrary: fc.record({ digit: fc.nat(0xffff), to: fc.constantFrom(..."0123456789abcdefx-") }),
    },
    {
      weight: 2,
      arbitrary: fc.record({
        replace: fc.oneof(
          fc.constantFrom<unknown>(
            0,
            1,
            2,
            -1,
            255,
            256,
            4096,
            0xffffffff,
            2 ** 32,
            2 ** 53,
            "",
            "0x0",
            null,
            true,
            false,
          ),
          fc.nat(0xffffffff),
          fc.jsonValue({ maxDepth: 2 }),
        ),
      }),
    },
    { weight: 1, arbitrary: fc.record({ append: fc.oneof(fc.nat(40), fc.nat(0xffff)) }) },
    { weight: 1, arbitrary: fc.record({ remove: fc.constant(true) }) },
    { weight: 1, arbitrary: fc.record({ twice: fc.constant(true) }) },
    {
      weight: 1,
      arbitrary: fc.record({
        key: fc.constantFrom("version", "__proto__", "x", "size", "gpuDirectClique"),
        value: fc.option(fc.nat(16)),
      }),
    },
    { weight: 1, arbitrary: fc.record({ swap: fc.nat(0xffff) }) },
  ),
});
export const jsonEdits = fc.array(jsonEdit, { minLength: 1, maxLength: 4 });

type Holder = Record<string, unknown>;
/** Every place in a tree that holds a value: the object or list, and the key. */
function places(
  value: unknown,
  into: { holder: Holder; key: string }[] = [],
): { holder: Holder; key: string }[] {
  if (typeof value !== "object" || value === null) return into;
  for (const key of Object.keys(value)) {
    into.push({ holder: value as Holder, key });
    places((value as Holder)[key], into);
  }
  return into;
}

/** A copy of parsed JSON with the edits made. */
export function editedJson(value: unknown, edits: readonly JsonEdit[]): unknown {
  const root: Holder = { value: structuredClone(value) };
  for (const { at, how } of edits) {
    const all = places(root);
    const { holder, key } = all[at % all.length]!;
    const old = holder[key];
    const set = (to: unknown): void =>
      void Object.defineProperty(holder, key, {
        value: to,
        writable: true,
        enumerable: true,
        configurable: true,
      });
    if ("add" in how) set(typeof old === "number" ? old + how.add : old);
    else if ("digit" in how) {
      if (typeof old === "string") {
        const from = how.digit % (old.length + 1);
        set(old.slice(0, from) + how.to + old.slice(from + 1));
      }
    } else if ("replace" in how) set(structuredClone(how.replace));
    else if ("append" in how) {
      if (Array.isArray(old)) old.push(how.append);
    } else if ("remove" in how) {
      if (Array.isArray(holder)) holder.splice(Number(key), 1);
      else if (holder !== root) delete holder[key];
    } else if ("twice" in how) {
      if (Array.isArray(holder)) holder.splice(Number(key), 0, structuredClone(old));
    } else if ("key" in how) {
      if (!Array.isArray(holder))
        Object.defineProperty(holder, how.key, {
          value: how.value ?? structuredClone(old),
          writable: true,
          enumerable: true,
          configurable: true,
        });
    } else {
      const other = all[how.swap % all.length]!;
      set(structuredClone(other.holder[other.key]));
    }
  }
  return root["value"];
}
