// Registers that PCI tools have no names for are printed all the same, where the capability would else be a heading alone.
import { expect, test } from "bun:test";
import { configText } from "../../src/regs/index.ts";

test("show -v has a serial number, and no head of its capability", () => {
  const config = new Uint8Array(4096);
  config.set([0x34, 0x12, 0x78, 0x56]);
  config.set([0x03, 0x00, 0x01, 0x00, 0x56, 0x34, 0x12, 0xff, 0xff, 0xce, 0x00, 0x00], 0x100);
  const text = configText(config, 1);
  expect(text).toContain("serialNumber: 0000ceffff123456");
  expect(text).not.toContain("header:");
});
