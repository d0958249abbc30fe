// What is declared static is served without the device: a register that changes by itself must not be. docs/passthrough-model.md has
// the kinds; here are those that are named as if they changed, each checked against its specification by hand.
import { expect, test } from "bun:test";
import * as regs from "../../src/regs/index.ts";
import type { RegisterBlock } from "../../src/regs/index.ts";

const isMap = (value: unknown): value is RegisterBlock =>
  typeof value === "object" && value !== null && "registers" in value && "masks" in value;
const maps = new Map<string, RegisterBlock>();
for (const map of Object.values(regs) as unknown[]) if (isMap(map)) maps.set(`${map.name} ${map.size}`, map);

/** Bytes of a map that are read once and then served from the shadow. */
const isStatic = ({ masks }: RegisterBlock, at: number): boolean =>
  masks.defined[at] !== 0 &&
  ((masks.volatile[at]! | masks.precious[at]!) & ~masks.emulated[at]!) === 0 &&
  masks.emulated[at] !== 0xff;

test("no bit that a one clears is static: the device sets such a bit", () => {
  expect(maps.size).toBeGreaterThan(60);
  const wrong = [...maps.values()].flatMap((map) =>
    [...map.masks.w1c.keys()]
      .filter((at) => (map.masks.w1c[at]! & ~map.masks.emulated[at]!) !== 0 && isStatic(map, at))
      .map((at) => `${map.name} 0x${at.toString(16)}`),
  );
  expect(wrong).toEqual([]);
});

/** Register by map, and why its static bytes do not change by themselves. */
const checked: Readonly<Record<string, string>> = {
  "AGP status": "what the function supports (AGP V3.0 Interface Specification 6.1)",
  "type 1 header secondaryStatus":
    "66 MHz and fast back-to-back, in the low byte (PCI-to-PCI Bridge Architecture Specification 1.2, 3.2.5)",
  "type 2 header secondaryStatus": "likewise (PC Card Standard 8.0, volume 7, 4.5)",
  "PCIe deviceStatus2": "a place without a bit (PCI Express Base Specification 7.5.3.17)",
  "PCIe slotStatus2": "a place without a bit (7.5.3.23)",
  "FlitLogging counterControl": "control: software alone writes it (7.7.8)",
  "MSI-X table entry data": "the model has the table, this is no register of config space",
  "PCI-X secondaryStatus":
    "width and frequency that the bus can do, in the high byte (PCI-X Protocol Addendum 2.0a, 8.6.2)",
  "PCI-X status": "function and device number in the low byte; the host sets them (7.2 there)",
  "PowerBudgeting dataSelect": "control: software alone writes it; what it selects is live (7.8.1)",
  "PM data":
    "a constant by Data_Select, which lies in the same dword: asked again once that was written (7.5.2.3)",
};

test("registers that are named as if they changed are live, but for those of the list", () => {
  const found = new Set<string>();
  for (const map of maps.values())
    for (const [name, register] of Object.entries(map.registers)) {
      if (!/status|pending|count|current|log|result|data/i.test(name)) continue;
      const bytes = Array.from({ length: register.width / 8 }, (_, i) => register.at + i);
      if (bytes.some((at) => isStatic(map, at))) found.add(`${map.name} ${name}`);
    }
  expect([...found].filter((name) => checked[name] === undefined)).toEqual([]);
  expect(Object.keys(checked).filter((name) => !found.has(name))).toEqual([]);
});
