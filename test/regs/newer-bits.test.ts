// Bits that came with newer revisions of the specification, by hand: where no lspci prints them, the section is the oracle.
import { describe, expect, test } from "bun:test";
import { layoutOf, type RegisterBlock } from "../../src/regs/index.ts";

/** Standard IDs are below 0x100 in a row by themselves; extended ones have bit 31. */
const extended = (id: number): number => (id | 0x8000_0000) >>> 0;
/** Capability, offset of the register in it, bits, access word, path of the field, section. */
type Row = readonly [
  id: number,
  at: number,
  bits: readonly [hi: number, lo: number],
  access: string,
  path: string,
  section: string,
];

const express = 0x10;
const rows: readonly Row[] = [
  [express, 0x02, [15, 15], "hwinit", "flags.flitMode", "PCIe 6.0, 7.5.3.2"],
  [express, 0x04, [17, 17], "ro", "deviceCapabilities.rxMpsFixed", "PCIe 6.0, 7.5.3.3"],
  [express, 0x04, [29, 29], "ro", "deviceCapabilities.mixedMps", "PCIe 6.0, 7.5.3.3"],
  [express, 0x04, [30, 30], "ro", "deviceCapabilities.teeIo", "PCIe 6.0, 7.5.3.3"],
  [express, 0x10, [12, 12], "rw", "linkControl.srisClocking", "PCIe 6.0, 7.5.3.7"],
  [express, 0x10, [13, 13], "rw", "linkControl.flitModeDisable", "PCIe 6.0, 7.5.3.7"],
  [express, 0x18, [14, 14], "rw", "slotControl.inBandPresenceDisable", "PCIe 5.0, 7.5.3.10"],
  [express, 0x1c, [5, 5], "rw", "rootControl.noNonFlitBelow", "PCIe 6.0, 7.5.3.12"],
  [express, 0x24, [28, 28], "hwinit", "deviceCapabilities2.deferrableWriteCompleter", "PCIe 6.0, 7.5.3.15"],
  [express, 0x24, [30, 29], "hwinit", "deviceCapabilities2.deferrableWriteLengths", "PCIe 6.0, 7.5.3.15"],
  [express, 0x32, [10, 10], "ro", "linkStatus2.flitMode", "PCIe 6.0, 7.5.3.20"],
  [extended(0x0f), 0x04, [8, 8], "ro", "capability.memoryAttributes", "PCIe 6.x, 10.5.1.2"],
  [extended(0x0f), 0x06, [13, 11], "rw", "control.memoryAttributesDefault", "PCIe 6.x, 10.5.1.3"],
  [extended(0x0f), 0x06, [14, 14], "rw", "control.memoryAttributesEnable", "PCIe 6.x, 10.5.1.3"],
  [extended(0x10), 0x04, [3, 3], "ro", "capabilities.fourteenBitTagRequester", "PCIe 6.0, 9.3.3.2"],
  [extended(0x10), 0x08, [6, 6], "rw", "control.fourteenBitTagRequesterEnable", "PCIe 6.0, 9.3.3.3"],
  [extended(0x1d), 0x04, [13, 13], "ro", "capability.logSizeHigh", "PCIe 6.0, 7.9.14.2"],
  [extended(0x1d), 0x06, [8, 8], "rw", "control.sigSfwEnable", "PCIe 6.0, 7.9.14.3"],
  [extended(0x1d), 0x08, [13, 13], "rw1cs", "status.sigSfw", "PCIe 6.0, 7.9.14.4"],
  [extended(0x1f), 0x04, [3, 3], "hwinit", "capability.enhanced", "PCIe 6.0, 7.9.15.2"],
  [extended(0x2e), 0x04, [12, 12], "ro", "capabilities.attentionMechanism", "PCIe 6.x, 7.9.24.2"],
  [extended(0x2e), 0x04, [13, 13], "ro", "capabilities.asyncMessage", "PCIe 6.x, 7.9.24.2"],
  [extended(0x2e), 0x08, [2, 2], "rw", "control.attentionNotNeeded", "PCIe 6.x, 7.9.24.3"],
  [extended(0x2e), 0x08, [3, 3], "rw", "control.asyncMessageEnable", "PCIe 6.x, 7.9.24.3"],
  [extended(0x2e), 0x0c, [3, 3], "rw1c", "status.asyncMessage", "PCIe 6.x, 7.9.24.4"],
  [extended(0x2e), 0x0c, [4, 4], "ro", "status.atAttention", "PCIe 6.x, 7.9.24.4"],
  [extended(0x2f), 0x0c, [3, 3], "rw1c", "status.segmentCaptured", "PCIe 6.0, 7.7.9.4"],
  [extended(0x30), 0x04, [25, 25], "hwinit", "capability.xt", "PCIe 6.x, 7.9.26.2"],
];

/** The map of a capability with all that a root port with a slot can have. */
function mapOf(id: number): RegisterBlock {
  const config = new Uint8Array(4096);
  config[0x06] = 0x10;
  config[0x34] = 0x40;
  // PCI Express of version 2: a root port with a slot.
  config.set([0x10, 0x00, 0x42, 0x01], 0x40);
  if (id > 0xffff) config.set([id & 0xff, (id >>> 8) & 0xff, 1, 0], 0x100);
  const wanted = id > 0xffff;
  return layoutOf(config).capabilities.find(({ extended }) => extended === wanted)!.map;
}

describe("newer bits", () => {
  test.each(rows.map((row) => [`${row[4]} (${row[5]})`, row] as const))("%s", (_, row) => {
    const [id, at, [hi, lo], access, path] = row;
    const map = mapOf(id);
    const [name, field] = path.split(".") as [string, string];
    expect(map.registers[name]!.at).toBe(at);
    expect(map.registers[name]!.fields[field]).toMatchObject({ hi, lo, access });
  });

  test("what is cleared by writing 1 is a guest's to clear", () => {
    const cleared = rows.filter(([, , , access]) => access.startsWith("rw1c"));
    expect(cleared).not.toEqual([]);
    for (const [id, at, [hi]] of cleared) {
      const { w1c, emulated } = mapOf(id).masks;
      const [byte, bit] = [at + (hi >> 3), 1 << (hi & 7)];
      expect([w1c[byte]! & bit, emulated[byte]! & bit]).toEqual([bit, 0]);
    }
  });
});
