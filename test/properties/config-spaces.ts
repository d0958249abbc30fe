// Config spaces of any content.
import { expect } from "bun:test";
import fc from "fast-check";
import { decodeConfig, layoutOf, type Verbosity } from "../../src/regs/index.ts";
import { anyConfig, anyMutation, mutated, recordedConfigs } from "./any-config.ts";
import { checkConfig, checkDiff } from "./config-checks.ts";
import { property, type Effects } from "./property.ts";

const verbosities = fc.constantFrom<Verbosity>(0, 1, 2);

function countLayout(config: Uint8Array, effects: Effects): void {
  const { capabilities, malformations } = layoutOf(config);
  effects.count("capabilities", capabilities.length > 0);
  effects.count("malformed", malformations.length > 0);
}

export const configSpaces = property({
  name: "configSpaces",
  file: "config-spaces.ts",
  says: "whatever a config space holds: walks end, maps stay inside, text and images give it back",
  runs: 1250,
  input: fc.record({ config: anyConfig, verbosity: verbosities }),
  reaches: ["capabilities", "malformed"],
  check({ config, verbosity }, effects) {
    checkConfig(config, verbosity);
    countLayout(config, effects);
  },
});

export const configPairs = property({
  name: "configPairs",
  file: "config-spaces.ts",
  says: "config spaces compared: nothing differs exactly where all bytes are the same",
  runs: 400,
  input: fc.oneof(
    fc.tuple(anyConfig, anyConfig),
    fc
      .tuple(anyConfig, anyMutation)
      .map(([one, changes]): [Uint8Array, Uint8Array] => [one, one.length > 0 ? mutated(one, changes) : one]),
    anyConfig.map((one): [Uint8Array, Uint8Array] => [one, one.slice()]),
  ),
  reaches: ["different", "the same"],
  check([from, to], effects) {
    checkDiff(from, to);
    effects.count(from.toHex() === to.toHex() ? "the same" : "different");
  },
});

/** What each decodes to, once it was asked for. */
const decoded: (string | undefined)[] = [];
const decodedOf = (index: number): string =>
  (decoded[index] ??= JSON.stringify(decodeConfig(recordedConfigs[index]!.config)));

export const mutatedRecordings = property({
  name: "mutatedRecordings",
  file: "config-spaces.ts",
  says: "recorded config spaces with bytes and bits changed: the same holds, and the recording decodes as before",
  runs: 400,
  input: fc.record({
    index: fc.nat(recordedConfigs.length - 1),
    changes: anyMutation,
    verbosity: verbosities,
  }),
  reaches: ["capabilities", "malformed"],
  check({ index, changes, verbosity }, effects) {
    const before = decodedOf(index);
    const { config } = recordedConfigs[index]!;
    const changed = mutated(config, changes);
    checkConfig(changed, verbosity);
    checkDiff(config, changed);
    expect(JSON.stringify(decodeConfig(config))).toBe(before);
    countLayout(changed, effects);
  },
});
