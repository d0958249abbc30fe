// Config spaces that no device should have, and some that one might: lists that loop, leave the space or overlap, IDs with
// bodies of random bytes, reads of all ones. Bulk bytes come from a seed: drawing 4096 of them one by one would be slow.
import fc from "fast-check";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { seededRandom } from "../support/random.ts";

const standardIds = Array.from({ length: 0x18 }, (_, id) => id);
const extendedIds = Array.from({ length: 0x32 }, (_, id) => id);

/** One capability of a list that was laid out with some care: it is found, if nothing before it is broken. */
interface Piece {
  readonly at: number;
  readonly id: number;
  /** Nonzero bytes in its body, of `bodySize` of them. */
  readonly body: number;
  readonly size: number;
}
/** How a list ends: properly, or not. */
type Tail = "end" | "self" | "first" | "header" | "unaligned" | "past" | "ones";

const piece = (ids: readonly number[], id: number, last: number): fc.Arbitrary<Piece> =>
  fc.record({
    at: fc.oneof(
      { weight: 6, arbitrary: fc.nat(last >> 2).map((dword) => dword * 4) },
      { weight: 1, arbitrary: fc.nat(last) },
    ),
    id: fc.oneof({ weight: 6, arbitrary: fc.constantFrom(...ids) }, { weight: 1, arbitrary: fc.nat(id) }),
    body: fc.nat(),
    size: fc.oneof(fc.nat(8), fc.nat(80)),
  });
const tail = fc.constantFrom<Tail>("end", "end", "self", "first", "header", "unaligned", "past", "ones");

const standardList = fc.record({
  pieces: fc.array(piece(standardIds, 0xff, 0xbf), { maxLength: 8, size: "max" }),
  tail,
  /** Whether STATUS says that there is a list. */
  listed: fc.integer({ min: 0, max: 9 }).map((n) => n > 0),
});
const extendedList = fc.record({
  pieces: fc.array(piece(extendedIds, 0xffff, 0xeff), { maxLength: 8, size: "max" }),
  tail,
});

/** How the bytes that nothing else sets look. */
type Background = "zeros" | "ones" | "random" | "sparse";

/** What `build` makes bytes of. */
interface Recipe {
  readonly size: number;
  readonly background: Background;
  readonly seed: number;
  readonly headerType: number;
  readonly standard: typeof standardList extends fc.Arbitrary<infer T> ? T : never;
  readonly extended: typeof extendedList extends fc.Arbitrary<infer T> ? T : never;
  /** Bytes set last, wherever they are. */
  readonly stray: readonly (readonly [number, number])[];
}

const recipe = (sizes: fc.Arbitrary<number>, endpoint: boolean): fc.Arbitrary<Recipe> =>
  fc.record({
    size: sizes,
    background: fc.constantFrom<Background>("zeros", "zeros", "sparse", "random", "ones"),
    seed: fc.nat(),
    headerType: endpoint
      ? fc.oneof(
          { weight: 20, arbitrary: fc.constantFrom(0, 0x80) },
          { weight: 1, arbitrary: fc.constantFrom(1, 2) },
        )
      : fc.oneof(fc.constantFrom(0, 0x80, 1, 2, 0x7f), fc.nat(255)),
    standard: standardList,
    extended: extendedList,
    stray: fc.array(fc.tuple(fc.nat(4095), fc.nat(255)), { maxLength: 3 }),
  });

function tailOf(tail: Tail, own: number, first: number, isExtended: boolean): number {
  switch (tail) {
    case "end":
      return 0;
    case "self":
      return own;
    case "first":
      return first;
    case "header":
      return isExtended ? 0x40 : 0x10;
    case "unaligned":
      return own | 3;
    case "past":
      return isExtended ? 0xffc : 0xfc;
    case "ones":
      return isExtended ? 0xfff : 0xff;
  }
}

function build({ size, background, seed, headerType, standard, extended, stray }: Recipe): Uint8Array {
  const random = seededRandom(seed);
  // A view in the middle of a larger buffer, as a caller may have one.
  const config = new Uint8Array(new ArrayBuffer(size + 32), 16, size);
  if (background === "ones") config.fill(0xff);
  if (background === "random") random.fill(config);
  if (background === "sparse")
    for (let i = 0; i < size / 16; i++) config[random.below(size)] = random.below(256);
  const set = (at: number, value: number): void => {
    if (at < size) config[at] = value & 0xff;
  };
  if (background !== "ones" || headerType !== 0x7f) set(0x0e, headerType);
  set(0x06, standard.listed ? config[0x06]! | 0x10 : config[0x06]! & ~0x10);
  const body = (from: number, length: number, state: number): void => {
    const bytes = seededRandom(state);
    for (let at = from; at < from + length; at++) set(at, bytes.below(4) === 0 ? 0 : bytes.below(256));
  };
  // Bodies first: what a list needs to be followed is written over them.
  const starts = standard.pieces.map(({ at }) => 0x40 + at);
  const extendedStarts = extended.pieces.map(({ at }, i) => (i === 0 ? 0x100 : 0x100 + at));
  standard.pieces.forEach((one, i) => body(starts[i]!, one.size, one.body));
  extended.pieces.forEach((one, i) => body(extendedStarts[i]!, one.size, one.body));
  if (starts.length > 0) set(headerType % 128 === 2 ? 0x14 : 0x34, starts[0]!);
  standard.pieces.forEach(({ id }, i) => {
    const at = starts[i]!;
    set(at, id);
    set(at + 1, starts[i + 1] ?? tailOf(standard.tail, at, starts[0]!, false));
  });
  extended.pieces.forEach(({ id, body: state }, i) => {
    const at = extendedStarts[i]!;
    const next = extendedStarts[i + 1] ?? tailOf(extended.tail, at, 0x100, true);
    [id, id >>> 8, (state & 0x0f) | ((next & 0x0f) << 4), next >>> 4].forEach((byte, k) => set(at + k, byte));
  });
  for (const [at, value] of stray) set(at, value);
  return config;
}

const usual = fc.oneof(
  { weight: 1, arbitrary: fc.constant(64) },
  { weight: 9, arbitrary: fc.constantFrom(256, 4096) },
);

/** Config spaces of any length up to a little more than 4096. */
export const anyConfig: fc.Arbitrary<Uint8Array> = recipe(
  fc.oneof(
    { weight: 6, arbitrary: usual },
    { weight: 1, arbitrary: fc.nat(300) },
    { weight: 1, arbitrary: fc.nat(4200) },
  ),
  false,
).map(build);

/** Config spaces as a recording may hold them, mostly of endpoints. */
export const anyRecordedConfig: fc.Arbitrary<Uint8Array> = recipe(usual, true).map(build);

/** Changes of bytes and bits; an offset beyond the end wraps around. */
export const anyMutation = fc.array(
  fc.record({
    // Most of what matters lies in the first 256 bytes and at the heads of extended capabilities.
    at: fc.oneof(fc.nat(0x3f), fc.nat(0xff), fc.nat(0x3ff), fc.nat(0xfff)),
    how: fc.oneof(
      fc.record({ set: fc.nat(255) }),
      fc.record({ flip: fc.nat(7) }),
      fc.record({ fill: fc.constantFrom(0, 0xff), length: fc.nat(64) }),
    ),
  }),
  { minLength: 1, maxLength: 12 },
);

/** A copy with the changes made. */
export function mutated(
  config: Uint8Array,
  changes: typeof anyMutation extends fc.Arbitrary<infer T> ? T : never,
): Uint8Array {
  const copy = new Uint8Array(config);
  for (const { at, how } of changes) {
    const from = at % copy.length;
    if ("set" in how) copy[from] = how.set;
    else if ("flip" in how) copy[from]! ^= 1 << how.flip;
    else copy.fill(how.fill, from, Math.min(copy.length, from + how.length));
  }
  return copy;
}

const folder = join(import.meta.dir, "../data/config");
/** The config spaces that were recorded from devices and bridges. */
export const recordedConfigs: readonly { readonly bdf: string; readonly config: Uint8Array }[] = readdirSync(
  folder,
)
  .sort()
  .map((name) => ({ bdf: name.slice(0, 12), config: new Uint8Array(readFileSync(join(folder, name))) }));
