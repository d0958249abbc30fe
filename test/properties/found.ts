// The test that an input becomes which a property does not hold of.
import type { Counterexample, Property } from "./property.ts";
import { sourceOf } from "./source.ts";

const firstLine = (error: unknown): string =>
  Bun.stripANSI(error instanceof Error ? error.message : String(error))
    .split("\n")
    .find((line) => line.trim() !== "") ?? "it fails";

/** The text of a test file, ready to stand beside the property's. */
export const foundTest = ({ name, file, says }: Property, { input, error }: Counterexample): string =>
  `// ${says}
import { test } from "bun:test";
import { ${name} } from "./${file}";

test(${JSON.stringify(`${name}: ${firstLine(error)}`)}, () => {
  ${name}.check(${sourceOf(input)});
});
`;
