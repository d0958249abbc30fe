// The maps of this package are checked when they are first used: here all of them are.
import { expect, test } from "bun:test";
import * as regs from "../../src/regs/index.ts";
import { layoutOf, type RegisterBlock } from "../../src/regs/index.ts";
import { sampleConfig } from "../oracle/extended-samples.ts";
import { recordedConfigs } from "../oracle/recorded.ts";
import { standardKinds, synthesize } from "../oracle/synthetic.ts";
import { seededRandom } from "../support/random.ts";

const isMap = (what: unknown): what is RegisterBlock =>
  typeof what === "object" && what !== null && "entries" in what && "masks" in what;

test("none of them is wrong, nor what is derived of it", () => {
  const random = seededRandom(4);
  const maps = new Set<RegisterBlock>((Object.values(regs) as unknown[]).filter(isMap));
  const configs = [
    ...recordedConfigs.values(),
    ...Array.from({ length: 40 }, () => sampleConfig(random)),
    ...standardKinds.map((kind) => synthesize(kind, random)),
  ];
  for (const { header, capabilities } of configs.map((config) => layoutOf(config))) {
    if (header) maps.add(header);
    for (const { map } of capabilities) maps.add(map);
  }
  // Whatever the bytes of a capability are.
  for (const type of [...regs.standardCapabilities, ...regs.extendedCapabilities])
    for (const fill of [0, 0xff, 1, 2, 3, 4, 5, 6, 7, 8]) {
      const bytes = Uint8Array.from({ length: 0x1000 }, () => (fill < 2 ? fill : random.below(256)));
      maps.add(type.layout(new DataView(bytes.buffer), 0x100, 0x1000 - 0x100));
    }
  expect(maps.size).toBeGreaterThan(100);
  for (const map of maps) {
    expect([map.name, Object.keys(map.registers).length]).not.toEqual([map.name, 0]);
    expect(map.masks.defined).toHaveLength(map.size);
  }
});
