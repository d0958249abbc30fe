// Recorded guests on recorded devices.
import { expect } from "bun:test";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { MemoryPlatform } from "../../src/device/platforms/memory/memory-platform.ts";
import type { AttachOptions } from "../../src/device/passthrough/options.ts";
import { RecordedDevice } from "../../src/device/backends/recorded/recorded-device.ts";
import { replay, type DifferenceRule, type ReplayReport } from "../../src/device/replay/replay.ts";
import { parseTrace, readImage, type DeviceImage, type TraceAccess } from "../../src/image/index.ts";

const root = join(import.meta.dir, "../..");
/** The devices that a guest was recorded on. */
export const names = readdirSync(join(root, "test/traces"))
  .map((file) => file.replace(/\.txt$/, ""))
  .sort();
/** The devices that are shipped. */
export const imageNames = readdirSync(join(root, "images"))
  .map((file) => file.replace(/\.json$/, ""))
  .sort();
export const imageOf = (name: string): DeviceImage =>
  readImage(readFileSync(join(root, "images", `${name}.json`), "utf8"));
export const traceOf = (name: string): TraceAccess[] =>
  parseTrace(readFileSync(join(root, "test/traces", `${name}.txt`), "utf8"));

/** Replays on a machine like the recorded one; nothing may stay behind on it. */
export function run(
  image: DeviceImage,
  trace: readonly TraceAccess[],
  options: AttachOptions = {},
): ReplayReport {
  using platform = new MemoryPlatform({
    windows: { mmio32: { base: 0x8000_0000, size: 0x7ec0_0000 } },
  });
  const report = replay(new RecordedDevice(image), platform, image.config, trace, options);
  expect(platform.leaks()).toEqual([]);
  return report;
}
export const unexplained = ({ differences }: ReplayReport) =>
  differences.filter(({ rule }) => rule === undefined);
export const linesOf = ({ differences }: ReplayReport, rule: DifferenceRule | undefined): number[] =>
  differences.filter((difference) => difference.rule === rule).map(({ line }) => line);
export const trace = (...lines: string[]): TraceAccess[] => parseTrace(lines.join("\n"));
