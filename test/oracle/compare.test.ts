import { expect } from "bun:test";
import { oracleTest, runLspci, type LspciDevice } from "../support/lspci.ts";
import { compareConfig } from "./compare.ts";
import { compareHeader } from "./header.ts";
import { recordedConfigs } from "./recorded.ts";
import { standardRules } from "./standard-rules.ts";

// The comparison itself: what it must notice.
const nvme = recordedConfigs.get("0000:02:00.0")!;
const printed = (): LspciDevice => runLspci([nvme])[0]!;
const compare = (config: Uint8Array, device: LspciDevice): string[] => [
  ...compareHeader(config, device),
  ...compareConfig(config, device, { which: "standard", rules: standardRules }),
];

oracleTest("the recorded NVMe controller agrees before a bit is flipped", () => {
  expect(compare(nvme, printed())).toEqual([]);
});

oracleTest("each flipped bit of a register that lspci prints whole is noticed", () => {
  const device = printed();
  const bit = (at: number, from: number, to: number): [number, number][] =>
    Array.from({ length: to - from + 1 }, (_, i) => [at + ((from + i) >> 3), (from + i) & 7]);
  const express = 0x80;
  const bits = [
    ...bit(0x04, 0, 10), // Control
    ...bit(0x06, 3, 9), // Status
    ...bit(express + 0x08, 0, 14), // DevCtl
    ...bit(express + 0x0a, 0, 5), // DevSta
    ...bit(express + 0x12, 0, 15), // LnkSta
    ...bit(0x40 + 0x02, 0, 10), // MSI-X table size
    ...bit(0x40 + 0x02, 14, 15),
    ...bit(0x40 + 0x04, 0, 31), // MSI-X table
  ];
  for (const [at, number] of bits) {
    const flipped = nvme.slice();
    flipped[at]! ^= 1 << number;
    expect([at, number, compare(flipped, device).length > 0]).toEqual([at, number, true]);
  }
});

oracleTest("a token, a line and a capability that nothing describes are noticed", () => {
  const device = printed();
  const [first, ...others] = device.capabilities;
  const withLine = (label: string, text: string): LspciDevice => ({
    ...device,
    capabilities: [{ ...first!, lines: [...first!.lines, { label, text, parts: [text] }] }, ...others],
  });
  expect(first!.title).toStartWith("MSI-X");
  expect(compare(nvme, withLine("PBA", "Frobbed+"))).toHaveLength(1);
  expect(compare(nvme, withLine("PBA", "Frob=1"))).toHaveLength(1);
  expect(compare(nvme, withLine("PBA", "Frob factor 1"))).toHaveLength(1);
  expect(compare(nvme, withLine("FrobCap", "BAR=0"))).toHaveLength(1);
  expect(compare(nvme, { ...device, capabilities: others })).toHaveLength(1);
  const { "MSI-X": _, ...rules } = standardRules;
  expect(compareConfig(nvme, device, { which: "standard", rules })).toHaveLength(1);
});
