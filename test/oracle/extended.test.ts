// Every token that lspci prints of an extended capability equals a decoded field.
import { expect, test } from "bun:test";
import { decodeConfig } from "../../src/regs/decode.ts";
import { layoutOf } from "../../src/regs/layout.ts";
import { extendedCapabilities } from "../../src/regs/maps/extended.ts";
import { oracleTest, runLspci } from "../support/lspci.ts";
import { seededRandom } from "../support/random.ts";
import { compareConfig, takeComparedCount } from "./compare.ts";
import { extendedRules } from "./extended-rules.ts";
import { sampleConfig } from "./extended-samples.ts";
import { recordedConfigs } from "./recorded.ts";
import { virtualChannelAt } from "./topology-rules.ts";

const seed = 20_260_101;
const samples = 480;
const options = { which: "extended", rules: extendedRules } as const;

test("each extended capability with a map has rules", () => {
  expect(extendedCapabilities.map(({ name }) => name).filter((name) => !extendedRules[name])).toEqual([]);
});

oracleTest("extended capabilities of the recorded devices", () => {
  const devices = runLspci(recordedConfigs);
  takeComparedCount();
  const differences = devices.flatMap((device) =>
    compareConfig(recordedConfigs.get(device.bdf)!, device, options),
  );
  expect(differences).toEqual([]);
  const extended = [...recordedConfigs.values()].flatMap((config) =>
    decodeConfig(config).capabilities.filter((capability) => capability.extended),
  );
  expect(extended.length).toBeGreaterThan(20);
  expect(takeComparedCount()).toBeGreaterThan(800);
});

oracleTest(`extended capabilities with random contents, seed ${seed}`, () => {
  const random = seededRandom(seed);
  const configs = Array.from({ length: samples }, () => sampleConfig(random));
  const devices = runLspci(configs);
  takeComparedCount();
  const differences: string[] = [];
  const met = new Map<string, number>();
  for (const [i, config] of configs.entries()) {
    differences.push(...compareConfig(config, devices[i]!, options));
    for (const { name, extended } of layoutOf(config).capabilities)
      if (extended) met.set(name, (met.get(name) ?? 0) + 1);
  }
  expect(differences.slice(0, 20)).toEqual([]);
  expect(takeComparedCount()).toBeGreaterThan(100_000);
  const rare = extendedCapabilities.filter(({ name }) => name !== "Null" && (met.get(name) ?? 0) < 50);
  expect(rare.map(({ name }) => name)).toEqual([]);
});

oracleTest("what lspci leaves unsaid of TPH is off", () => {
  const random = seededRandom(seed + 1);
  const configs = Array.from({ length: 40 }, () => sampleConfig(random));
  const devices = runLspci(configs);
  let compared = 0;
  for (const [i, config] of configs.entries()) {
    const tph = decodeConfig(config).capabilities.find(({ name }) => name === "TPH");
    if (!tph) continue;
    const capability = tph.registers["capability"] as Readonly<Record<string, unknown>>;
    const flags = ["interruptVectorMode", "deviceSpecificMode", "extendedRequester"];
    const printed = devices[i]!.capabilities.find(
      ({ offset, extended }) => extended && offset === tph.offset,
    )!;
    expect(printed.lines.length).toBe(1 + flags.filter((flag) => capability[flag] === true).length);
    compared++;
  }
  expect(compared).toBeGreaterThan(10);
});

oracleTest("a flipped bit is noticed", () => {
  const config = sampleConfig(seededRandom(seed + 2));
  const [device] = runLspci([config]);
  expect(compareConfig(config, device!, options)).toEqual([]);
  const flipped = config.slice();
  // Whether the port of the virtual channels has a fixed arbitration.
  flipped[virtualChannelAt + 8]! ^= 1;
  expect(compareConfig(flipped, device!, options)).toEqual([
    expect.stringMatching(/portCapability2\.fixed is .*, lspci says/),
  ]);
});
