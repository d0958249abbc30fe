import { expect, test } from "bun:test";
import * as aml from "../../../examples/vmm/acpi/aml.ts";
import { acpiTables } from "../../../examples/vmm/acpi/tables.ts";
import { memory } from "../../../examples/vmm/layout.ts";

const sum = (bytes: Uint8Array): number => bytes.reduce((total, byte) => (total + byte) & 0xff, 0);

test("package lengths count themselves, and grow at 63, 4095 and 1048575", () => {
  const of = (size: number): number[] => [...aml.withLength(Array<number>(size).fill(0))].slice(0, 4);
  expect(of(0)).toEqual([1]);
  expect(of(62)[0]).toBe(63);
  expect(of(63).slice(0, 2)).toEqual([0x41, 0x04]);
  expect(of(4093).slice(0, 2)).toEqual([0x4f, 0xff]);
  expect(of(4094).slice(0, 3)).toEqual([0x81, 0x00, 0x01]);
});

test("names, integers and EISA IDs as the specification encodes them", () => {
  expect([...aml.nameOf("\\_SB.PCI0.S01")]).toEqual([0x5c, 0x2f, 3, ...Buffer.from("_SB_PCI0S01_")]);
  expect([0, 1, 2, 0x100, 0x10000].map((value) => aml.integer(value)[0])).toEqual([0, 1, 0x0a, 0x0b, 0x0c]);
  expect(aml.integer(2 ** 36)).toEqual([0x0e, 0, 0, 0, 0, 0x10, 0, 0, 0]);
  expect(aml.eisaId("PNP0A08")).toEqual([0x0c, 0x41, 0xd0, 0x0a, 0x08]);
});

test("from the RSDP on every table is reached, and adds up to 0", () => {
  const image = acpiTables(3);
  const view = new DataView(image.buffer);
  expect([sum(image.subarray(0, 20)), sum(image.subarray(0, 36))]).toEqual([0, 0]);
  const at = (address: bigint): number => Number(address) - memory.acpi.base;
  const table = (offset: number): [name: string, bytes: Uint8Array] => {
    const bytes = image.subarray(offset, offset + view.getUint32(offset + 4, true));
    return [new TextDecoder().decode(bytes.subarray(0, 4)), bytes];
  };
  const xsdt = at(view.getBigUint64(24, true));
  const entries = (table(xsdt)[1].length - 36) / 8;
  const offsets = Array.from({ length: entries }, (_, i) => at(view.getBigUint64(xsdt + 36 + 8 * i, true)));
  const dsdt = at(view.getBigUint64(offsets[0]! + 140, true));
  const tables = [xsdt, ...offsets, dsdt].map(table);
  expect(tables.map(([name]) => name)).toEqual(["XSDT", "FACP", "APIC", "MCFG", "DSDT"]);
  expect(tables.map(([, bytes]) => sum(bytes))).toEqual([0, 0, 0, 0, 0]);
  expect(tables[2]![1].length).toBe(44 + 3 * 8 + 12);
});
