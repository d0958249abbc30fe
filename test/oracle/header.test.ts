import { expect } from "bun:test";
import { oracleTest, runLspci } from "../support/lspci.ts";
import { seededRandom, type Random } from "../support/random.ts";
import { takeComparedCount } from "./compare.ts";
import { compareHeader } from "./header.ts";
import { recordedConfigs } from "./recorded.ts";

oracleTest("the header of every recorded device decodes as lspci decodes it", () => {
  takeComparedCount();
  const differences = runLspci(recordedConfigs).flatMap((device) =>
    compareHeader(recordedConfigs.get(device.bdf)!, device),
  );
  expect(differences).toEqual([]);
  expect(takeComparedCount()).toBeGreaterThan(800);
});

function common(random: Random, type: 0 | 1): Uint8Array {
  const config = new Uint8Array(64);
  random.fill(config);
  // lspci leaves out devices whose vendor ID is all ones or all zeros.
  config.set([0x34, 0x12], 0);
  // No capability list; a bridge's class is a bridge's.
  config[0x06]! &= ~0x10;
  config.set(type === 1 ? [0x04, 0x06] : [random.below(256), 0x02], 0x0a);
  config[0x0e] = type | (random.below(2) << 7);
  config[0x3d] = random.below(5);
  return config;
}
const compareAll = (configs: readonly Uint8Array[]): string[] =>
  runLspci(configs).flatMap((device, index) => compareHeader(configs[index]!, device));

oracleTest("300 random type 0 headers decode as lspci decodes them", () => {
  const random = seededRandom(0x10);
  const configs = Array.from({ length: 300 }, () => common(random, 0));
  takeComparedCount();
  expect(compareAll(configs).slice(0, 8)).toEqual([]);
  expect(takeComparedCount()).toBeGreaterThan(300 * 23);
});

oracleTest("300 random type 1 headers decode as lspci decodes them", () => {
  const random = seededRandom(0x11);
  const configs = Array.from({ length: 300 }, () => {
    const config = common(random, 1);
    // A window's base and limit say the same of their width.
    const io = random.below(2);
    const prefetchable = random.below(2);
    for (const at of [0x1c, 0x1d]) config[at] = (config[at]! & 0xf0) | io;
    for (const at of [0x20, 0x22]) config[at]! &= 0xf0;
    for (const at of [0x24, 0x26]) config[at] = (config[at]! & 0xf0) | prefetchable;
    return config;
  });
  takeComparedCount();
  expect(compareAll(configs).slice(0, 8)).toEqual([]);
  expect(takeComparedCount()).toBeGreaterThan(300 * 50);
});

oracleTest("150 random type 2 headers decode as lspci decodes them", () => {
  const random = seededRandom(0x12);
  const configs = Array.from({ length: 150 }, () => {
    const config = new Uint8Array(256);
    config.set(common(random, 0));
    config.set([0x07, 0x06], 0x0a);
    config[0x0e] = 2;
    for (let at = 0x40; at < 0x48; at++) config[at] = random.below(256);
    // A bus of the bridge's own below the socket's registers, and neither capabilities nor reserved bits of a window.
    for (const at of [0x1c, 0x20, 0x24, 0x28]) config.set([0, config[at + 1]! & 0xf0], at);
    return config;
  });
  takeComparedCount();
  expect(compareAll(configs).slice(0, 8)).toEqual([]);
  expect(takeComparedCount()).toBeGreaterThan(150 * 23);
});
