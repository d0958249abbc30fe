// What nobody read of a config space is unknown: it is not shown, and whatever stands there changes nothing.
import { describe, expect, test } from "bun:test";
import { configText, decodeConfig, layoutOf } from "../../src/regs/index.ts";
import type { Gaps } from "../../src/regs/gaps.ts";
import { sampleConfig } from "../oracle/extended-samples.ts";
import { recordedConfigs } from "../oracle/recorded.ts";
import { standardKinds, synthesize } from "../oracle/synthetic.ts";
import { seededRandom, type Random } from "../support/random.ts";

/** Up to four gaps, one of them at the end now and then. */
function someGaps(size: number, random: Random): Gaps {
  const cuts = Array.from({ length: 2 * (1 + random.below(4)) }, () => random.below(size)).sort(
    (a, b) => a - b,
  );
  if (random.below(3) === 0) cuts[cuts.length - 1] = size;
  const gaps: { offset: number; size: number }[] = [];
  for (let i = 0; i < cuts.length; i += 2) {
    const before = gaps.at(-1);
    const at = Math.max(cuts[i]!, before ? before.offset + before.size + 1 : 0);
    if (cuts[i + 1]! > at) gaps.push({ offset: at, size: cuts[i + 1]! - at });
  }
  return gaps;
}

const filled = (config: Uint8Array, gaps: Gaps, byte: () => number): Uint8Array => {
  const bytes = config.slice();
  for (const { offset, size } of gaps) for (let at = offset; at < offset + size; at++) bytes[at] = byte();
  return bytes;
};

const kinds: readonly (readonly [name: string, configs: (random: Random) => Iterable<Uint8Array>])[] = [
  ["of recorded devices", () => recordedConfigs.values()],
  ["of random extended capabilities", (random) => Array.from({ length: 60 }, () => sampleConfig(random))],
  [
    "of random standard capabilities",
    (random) => standardKinds.flatMap((kind) => Array.from({ length: 4 }, () => synthesize(kind, random))),
  ],
];
for (const [name, configs] of kinds)
  test(`nothing that is shown hangs on bytes that nobody read: ${name}`, () => {
    const random = seededRandom(11);
    let less = 0;
    for (const config of configs(random))
      for (let i = 0; i < 8; i++) {
        const gaps = someGaps(config.length, random);
        const zeros = filled(config, gaps, () => 0);
        const noise = filled(config, gaps, () => random.below(256));
        for (const verbosity of [0, 1, 2] as const)
          expect(configText(noise, verbosity, gaps)).toBe(configText(zeros, verbosity, gaps));
        expect(decodeConfig(noise, 2, gaps)).toEqual(decodeConfig(zeros, 2, gaps));
        if (configText(zeros, 2, gaps) !== configText(config, 2)) less++;
      }
    expect(less).toBeGreaterThan(10);
  }, 60_000);

describe("a header of which a part is known", () => {
  const header = new Uint8Array(64);
  header.set([0x86, 0x80, 0xd3, 0x10, 0x07, 0x04, 0x10, 0, 0, 0, 0, 0x02, 0x10]);
  header.set([0, 0, 0, 0xfe, 0x04, 0, 0, 0xfd], 0x10);
  const shown = (known: number): string[] =>
    configText(header.subarray(0, known), 1)
      .split("\n")
      .map((line) => line.trim());
  test("has as many registers as were read", () => {
    expect(shown(2)[0]).toBe("Unknown class [????]: 8086:???? (rev ??) (prog-if ??), unknown header");
    expect(shown(11)[0]).toBe("Unknown class [??00]: 8086:10d3 (rev 00) (prog-if 00), unknown header");
    expect(shown(16)[0]).toBe("Ethernet controller [0200]: 8086:10d3 (rev 00) (prog-if 00), endpoint header");
    expect(shown(16).join()).not.toContain("Region");
    expect(Object.keys(decodeConfig(header.subarray(0, 16)).header.registers)).not.toContain("bar0");
  });
  test("has the regions whose registers were read", () => {
    // The first is of 32 bits and needs no second; the second is of 64 bits.
    expect(shown(0x14)).toContain("Region 0: Memory at fe000000 (32-bit, non-prefetchable)");
    expect(shown(0x18)).toContain("BAR1: fd000004");
    expect(shown(0x1c)).toContain("Region 1: Memory at fd000000 (64-bit, non-prefetchable)");
  });
  test("does not answer where all that was read is all ones, and that is more than its IDs", () => {
    const ones = new Uint8Array(64).fill(0xff);
    const kindsOf = (config: Uint8Array, gaps: Gaps = []) =>
      layoutOf(config, gaps).malformations.map(({ kind }) => kind);
    expect(kindsOf(ones.subarray(0, 16))).toContain("all-ones");
    const hole = [{ offset: 0x10, size: 0x10 }];
    expect(
      kindsOf(
        filled(ones, hole, () => 0),
        hole,
      ),
    ).toContain("all-ones");
    const most = [{ offset: 4, size: 60 }];
    expect(
      kindsOf(
        filled(ones, most, () => 0),
        most,
      ),
    ).not.toContain("all-ones");
  });
});

test("a list that leads to where nobody read ends there, and says so", () => {
  const config = new Uint8Array(256);
  config.set([0x10], 0x06);
  config[0x34] = 0x40;
  config.set([0x01, 0x50], 0x40);
  config.set([0x11, 0x00], 0x50);
  const told = (gaps: Gaps) => {
    const { capabilities, malformations } = layoutOf(config, gaps);
    return [capabilities.map(({ offset }) => offset), malformations.map(({ message }) => message)];
  };
  expect(told([{ offset: 0x50, size: 16 }])).toEqual([
    [0x40],
    ["the capability at 0x50 is among the bytes that nobody read"],
  ]);
  expect(told([{ offset: 0x30, size: 16 }])).toEqual([
    [],
    ["where the capability list begins is among the bytes that nobody read"],
  ]);
});

test("a capability that is laid out by a byte that nobody read shows its head, and bytes", () => {
  const config = new Uint8Array(256);
  config.set([0x10], 0x06);
  config[0x34] = 0x50;
  // MSI, whose control says where its data lie.
  config.set([0x05, 0, 0x80, 0, 0x00, 0x00, 0xe0, 0xfe, 0, 0, 0, 0, 0x41, 0], 0x50);
  const [msi] = decodeConfig(config, 2, [{ offset: 0x52, size: 2 }]).capabilities;
  expect(msi).toMatchObject({ name: "MSI", registers: { id: 5, next: 0 } });
  expect(Object.keys(msi!.registers)).toEqual(["id", "next"]);
  expect(configText(config, 1, [{ offset: 0x52, size: 2 }])).toContain("Bytes: ?? ?? 00 00 e0 fe");
});
