import type { ConfigKind } from "./config-kind.ts";

/** Something that decides besides the kind of a device. */
export type Fact = number | boolean | string | undefined;

/** Values that are kept of a kind: of one device model, other recordings or other ways to attach. */
const kept = 4;
/** Facts that are compared at most: with more, the value is made anew each time. */
const longest = 512;

interface Known<T> {
  readonly facts: readonly Fact[];
  readonly value: T;
}

/** Values that follow from the kind of a device and a few facts: made once, and gone with their kind. Nobody may change one. */
export class KnownOfKind<T> {
  /** The newest first. */
  readonly #known = new WeakMap<ConfigKind, Known<T>[]>();

  /** @param make is told of nothing else that the value depends on */
  get(kind: ConfigKind, facts: readonly Fact[], make: () => T): T {
    const known = this.#known.get(kind) ?? [];
    for (const one of known) if (isSame(one.facts, facts)) return one.value;
    const value = make();
    if (facts.length > longest) return value;
    known.unshift({ facts, value });
    if (known.length > kept) known.length = kept;
    this.#known.set(kind, known);
    return value;
  }
}

function isSame(a: readonly Fact[], b: readonly Fact[]): boolean {
  if (a.length !== b.length) return false;
  for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) return false;
  return true;
}
