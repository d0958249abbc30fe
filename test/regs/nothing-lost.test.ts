// No bit of a config space is lost: whichever is flipped, what is decoded is not what it was.
import { expect, test } from "bun:test";
import { decodeConfig, layoutOf } from "../../src/regs/index.ts";
import { sampleConfig } from "../oracle/extended-samples.ts";
import { recordedConfigs } from "../oracle/recorded.ts";
import { standardKinds, synthesize } from "../oracle/synthetic.ts";
import { seededRandom, type Random } from "../support/random.ts";

/** Two encodings of one meaning, which format 2 gives one name (PCI Express Base Specification 7.5.3.19). */
const sameMeaning = new Set(["linkControl2.targetSpeed"]);

/** Paths of the fields over one bit. */
function fieldsAt(config: Uint8Array, at: number, bit: number): string[] {
  const { header, capabilities } = layoutOf(config);
  return [...(header ? [{ map: header, offset: 0 }] : []), ...capabilities].flatMap(({ map, offset }) =>
    Object.entries(map.registers).flatMap(([name, register]) => {
      const place = (at - offset - register.at) * 8 + bit;
      return Object.entries(register.fields)
        .filter(([, { hi, lo }]) => place >= lo && place <= hi)
        .map(([field]) => `${name}.${field}`);
    }),
  );
}

/** Bits of which a flip changes nothing, among `count` random ones; places by what lies there. */
function lostBits(config: Uint8Array, random: Random, count: number): string[] {
  const before = JSON.stringify(decodeConfig(config));
  const lost: string[] = [];
  for (let i = 0; i < count; i++) {
    const at = random.below(config.length);
    const bit = random.below(8);
    const flipped = config.slice();
    flipped[at]! ^= 1 << bit;
    if (JSON.stringify(decodeConfig(flipped)) !== before) continue;
    const fields = fieldsAt(config, at, bit);
    if (!fields.some((field) => sameMeaning.has(field)))
      lost.push(`${at.toString(16)}.${bit} ${fields.join(" ")}`);
  }
  return lost;
}

test("of a recorded device", () => {
  const random = seededRandom(1);
  for (const config of recordedConfigs.values()) expect(lostBits(config, random, 60)).toEqual([]);
}, 60_000);

test("of extended capabilities with random contents", () => {
  const random = seededRandom(2);
  for (let i = 0; i < 40; i++) expect(lostBits(sampleConfig(random), random, 60)).toEqual([]);
}, 60_000);

test("of standard capabilities with random contents", () => {
  const random = seededRandom(3);
  for (const kind of standardKinds)
    for (let i = 0; i < 3; i++) expect(lostBits(synthesize(kind, random), random, 40)).toEqual([]);
}, 60_000);
