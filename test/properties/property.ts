// A property as a value: what is drawn, and what must hold of it. `npm test` tries some of each; `npm run fuzz` tries as many as
// it is told to, and makes a test of the smallest input that one does not hold of.
import fc from "fast-check";

/** How often each thing that was drawn took effect: what is turned away at the door tests nothing. */
export class Effects {
  readonly counts = new Map<string, number>();

  count(effect: string, took = true): void {
    this.counts.set(effect, (this.counts.get(effect) ?? 0) + Number(took));
  }
  of(effect: string): number {
    return this.counts.get(effect) ?? 0;
  }
}

export interface PropertySpec<Input> {
  /** Also the name of the constant that it is. */
  readonly name: string;
  /** Its file in this folder. */
  readonly file: string;
  readonly says: string;
  /** Inputs that `npm test` tries; of `npm run fuzz` it gets the same part. */
  readonly runs: number;
  readonly input: fc.Arbitrary<Input>;
  /** Throws where it does not hold. */
  readonly check: (input: Input, effects: Effects) => void;
  /** What must take effect now and then. */
  readonly reaches: readonly string[];
}

/** An input that a property does not hold of: the smallest that was found. */
export interface Counterexample {
  readonly input: unknown;
  readonly error: unknown;
}

export interface Property extends Omit<PropertySpec<never>, "input" | "check"> {
  /** Tries one input. @throws where it does not hold */
  readonly check: (input: unknown, effects?: Effects) => void;
  /** Tries so many inputs. @returns undefined where it holds of all of them */
  readonly fails: (runs: number, seed: number, effects: Effects) => Counterexample | undefined;
}

export function property<Input>({ input, check, ...spec }: PropertySpec<Input>): Property {
  return {
    ...spec,
    check: (one, effects = new Effects()) => check(one as Input, effects),
    fails(runs, seed, effects) {
      const all = fc.property(input, (one) => check(one, effects));
      const { failed, counterexample, errorInstance } = fc.check(all, { numRuns: runs, seed });
      return failed ? { input: counterexample?.[0], error: errorInstance } : undefined;
    },
  };
}
