// The table of commands (specification, "Commands"): each is spoken as it says, and each end has a test of each by name.
import { expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { deviceInfo, feature, migrationData } from "../../../src/device/vfio-user/messages/device.ts";
import { dmaAccess, dmaMap, dmaUnmap } from "../../../src/device/vfio-user/messages/dma.ts";
import { Command, commandName } from "../../../src/device/vfio-user/messages/header.ts";
import { irqInfo, irqSet } from "../../../src/device/vfio-user/messages/irqs.ts";
import {
  regionAccess,
  regionInfo,
  regionIoFds,
  writeMulti,
  writeRecord,
  writeRecordSize,
} from "../../../src/device/vfio-user/messages/regions.ts";
import { version } from "../../../src/device/vfio-user/messages/version.ts";
import { testsOf } from "../../project/named-tests.ts";

interface Row {
  readonly number: number;
  readonly name: string;
  /** Bytes of the fixed part of its body; undefined for a command that nobody sends. */
  readonly body: number | undefined;
  /** What reads and writes that part. */
  readonly struct?: { readonly size: number };
}

const table: readonly Row[] = [
  { number: 1, name: "VERSION", body: 4, struct: version },
  { number: 2, name: "DMA_MAP", body: 32, struct: dmaMap },
  { number: 3, name: "DMA_UNMAP", body: 24, struct: dmaUnmap },
  { number: 4, name: "DEVICE_GET_INFO", body: 16, struct: deviceInfo },
  { number: 5, name: "DEVICE_GET_REGION_INFO", body: 32, struct: regionInfo },
  { number: 6, name: "DEVICE_GET_REGION_IO_FDS", body: 16, struct: regionIoFds },
  { number: 7, name: "DEVICE_GET_IRQ_INFO", body: 16, struct: irqInfo },
  { number: 8, name: "DEVICE_SET_IRQS", body: 20, struct: irqSet },
  { number: 9, name: "REGION_READ", body: 16, struct: regionAccess },
  { number: 10, name: "REGION_WRITE", body: 16, struct: regionAccess },
  { number: 11, name: "DMA_READ", body: 16, struct: dmaAccess },
  { number: 12, name: "DMA_WRITE", body: 16, struct: dmaAccess },
  { number: 13, name: "DEVICE_RESET", body: 0 },
  { number: 14, name: "DIRTY_PAGES", body: undefined },
  { number: 15, name: "REGION_WRITE_MULTI", body: 8, struct: writeMulti },
  { number: 16, name: "DEVICE_FEATURE", body: 8, struct: feature },
  { number: 17, name: "MIG_DATA_READ", body: 8, struct: migrationData },
  { number: 18, name: "MIG_DATA_WRITE", body: 8, struct: migrationData },
];

test("the commands are those of the table, by number and name", () => {
  expect<number[]>(Object.values(Command)).toEqual(table.map(({ number }) => number));
  expect(table.map(({ number }) => commandName(number))).toEqual(table.map(({ name }) => name));
  expect([commandName(0), commandName(19), commandName(0xffff)]).toEqual([
    ...["none", "command 19", "command 65535"],
  ]);
});

test("bodies have the sizes of the table", () => {
  for (const { name, body, struct } of table) expect([name, struct?.size ?? body]).toEqual([name, body]);
  // A record of REGION_WRITE_MULTI: its fixed part, and eight bytes of data.
  expect([writeRecord.size, writeRecordSize]).toEqual([16, 24]);
});

/** Files that have a test for each row. */
const ends = {
  server: ["server-commands.test.ts", "server-dma.test.ts"],
  client: ["client-commands.test.ts"],
};

/** Rows that no test of a file has in its name, or in that of a block around it. */
const untested = (files: readonly { readonly path: string; readonly text: string }[]): string[] => {
  const titles = files
    .flatMap(({ path, text }) => testsOf(path, text))
    .filter(({ runs }) => runs)
    .flatMap(({ title, blocks }) => [title, ...blocks]);
  return table
    .map(({ name }) => name)
    .filter((name) => !titles.some((title) => title.split(/[^A-Z_]+/).includes(name)));
};

test.each(Object.entries(ends))("the %s has a test of each command by name", (_, names) => {
  const files = names.map((name) => ({
    path: name,
    text: readFileSync(join(import.meta.dir, name), "utf8"),
  }));
  expect(untested(files)).toEqual([]);
});

test("a row without a test is noticed, one whose test is skipped too", () => {
  const all = table.filter(({ number }) => number > 3).map(({ name }) => name);
  const text = `describe("${all.join(", ")}", () => { test("a", () => {}); });
    test("VERSION is first", () => {}); test.skip("DMA_MAP", () => {}); test("DMA_UNMAPPED", () => {});`;
  expect(untested([{ path: "a.test.ts", text }])).toEqual(["DMA_MAP", "DMA_UNMAP"]);
});
