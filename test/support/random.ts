/** A seeded source of random numbers (mulberry32): what a test draws is the same in every run. */
export interface Random {
  /** An integer from 0 to `limit - 1`. */
  below(limit: number): number;
  /** Fills with bytes; about a third of them all zeros or all ones, where the odd cases are. */
  fill(bytes: Uint8Array): void;
  pick<T>(values: readonly T[]): T;
}

export function seededRandom(seed: number): Random {
  let state = seed >>> 0;
  const next = (): number => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
  const below = (limit: number): number => Math.floor(next() * limit);
  return {
    below,
    fill: (bytes) => {
      for (let i = 0; i < bytes.length; i++) {
        const kind = below(6);
        bytes[i] = kind === 0 ? 0 : kind === 1 ? 0xff : below(256);
      }
    },
    pick: (values) => values[below(values.length)]!,
  };
}
