// Properties to see what is made of one that does not hold, and of one that does.
import fc from "fast-check";
import { property as made } from "./property.ts";

const input = fc.record({
  bytes: fc.uint8Array({ maxLength: 4 }),
  numbers: fc.array(fc.nat(2000), { maxLength: 3 }),
});

export const planted = made({
  ...{ name: "planted", file: "planted.ts", says: "no number is too large", runs: 1, input, reaches: [] },
  check({ numbers }) {
    const large = numbers.find((number) => number > 100);
    if (large !== undefined) throw new Error(`${large} is too large`);
  },
});

export const harmless = made({
  ...{ name: "harmless", file: "planted.ts", says: "bytes are few", runs: 1, input, reaches: [] },
  check: ({ bytes }, effects) => effects.count("none", bytes.length === 0),
});
