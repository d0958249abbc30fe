import { expect } from "bun:test";
import { oracleTest, runLspci } from "../support/lspci.ts";
import { compareConfig, takeComparedCount } from "./compare.ts";
import { recordedConfigs } from "./recorded.ts";
import { standardRules } from "./standard-rules.ts";

oracleTest("every standard capability of every recorded device decodes as lspci decodes it", () => {
  takeComparedCount();
  const devices = runLspci(recordedConfigs);
  expect(devices.length).toBe(26);
  const differences = devices.flatMap((device) =>
    compareConfig(recordedConfigs.get(device.bdf)!, device, { which: "standard", rules: standardRules }),
  );
  expect(differences).toEqual([]);
  expect(takeComparedCount()).toBeGreaterThan(1500);
});
