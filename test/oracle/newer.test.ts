// The same comparisons with pciutils 3.13.
import { expect } from "bun:test";
import { newerLspci, newerOracleTest, runLspci } from "../support/lspci.ts";
import { seededRandom } from "../support/random.ts";
import { compareConfig, takeComparedCount } from "./compare.ts";
import { sampleConfig } from "./extended-samples.ts";
import { compareHeader } from "./header.ts";
import { newerExtendedRules, newerStandardRules } from "./newer-rules.ts";
import { recordedConfigs } from "./recorded.ts";
import { standardKinds, synthesize } from "./synthetic.ts";

const standard = { which: "standard", rules: newerStandardRules } as const;
const extended = { which: "extended", rules: newerExtendedRules } as const;

newerOracleTest("the recorded devices decode as lspci 3.13 decodes them", () => {
  takeComparedCount();
  const differences = runLspci(recordedConfigs, newerLspci).flatMap((device) => {
    const config = recordedConfigs.get(device.bdf)!;
    return [
      ...compareHeader(config, device),
      ...compareConfig(config, device, standard),
      ...compareConfig(config, device, extended),
    ];
  });
  expect(differences.slice(0, 12)).toEqual([]);
  expect(takeComparedCount()).toBeGreaterThan(3000);
});

for (const kind of standardKinds)
  newerOracleTest(`150 random ${kind.name} capabilities decode as lspci 3.13 decodes them`, () => {
    const random = seededRandom(0xbeef + kind.id);
    const configs = Array.from({ length: 150 }, () => synthesize(kind, random));
    const differences = runLspci(configs, newerLspci).flatMap((device, index) =>
      compareConfig(configs[index]!, device, standard),
    );
    expect(differences.slice(0, 8)).toEqual([]);
  });

newerOracleTest("extended capabilities with random contents decode as lspci 3.13 decodes them", () => {
  const random = seededRandom(20_260_102);
  const configs = Array.from({ length: 480 }, () => sampleConfig(random));
  takeComparedCount();
  const differences = runLspci(configs, newerLspci).flatMap((device, index) =>
    compareConfig(configs[index]!, device, extended),
  );
  expect(differences.slice(0, 20)).toEqual([]);
  expect(takeComparedCount()).toBeGreaterThan(100_000);
});
