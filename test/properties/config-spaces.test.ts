import { expect, test } from "bun:test";
import fc from "fast-check";
import { decodeConfig, type Verbosity } from "../../src/regs/index.ts";
import { anyConfig, anyMutation, mutated, recordedConfigs } from "./any-config.ts";
import { checkConfig, checkDiff } from "./config-checks.ts";
import { runs } from "./runs.ts";

const verbosities = fc.constantFrom<Verbosity>(0, 1, 2);

test("whatever a config space holds: walks end, maps stay inside, text and images give it back", () => {
  fc.assert(fc.property(anyConfig, verbosities, checkConfig), runs("configSpaces"));
}, 600_000);

test("config spaces compared: nothing differs exactly where all bytes are the same", () => {
  const pair = fc.oneof(
    fc.tuple(anyConfig, anyConfig),
    fc
      .tuple(anyConfig, anyMutation)
      .map(([one, changes]) => [one, one.length > 0 ? mutated(one, changes) : one] as const),
    anyConfig.map((one) => [one, one.slice()] as const),
  );
  fc.assert(
    fc.property(pair, ([from, to]) => checkDiff(from, to)),
    runs("configPairs"),
  );
}, 600_000);

test("recorded config spaces with bytes and bits changed: the same holds, and the recording decodes as before", () => {
  expect(recordedConfigs.length).toBe(26);
  const decoded = recordedConfigs.map(({ config }) => JSON.stringify(decodeConfig(config)));
  fc.assert(
    fc.property(fc.nat(recordedConfigs.length - 1), anyMutation, verbosities, (index, changes, verbosity) => {
      const { config } = recordedConfigs[index]!;
      const changed = mutated(config, changes);
      checkConfig(changed, verbosity);
      checkDiff(config, changed);
      expect(JSON.stringify(decodeConfig(config))).toBe(decoded[index]!);
    }),
    runs("mutatedRecordings"),
  );
}, 600_000);
