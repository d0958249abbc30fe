import { afterEach, expect, test } from "bun:test";
import { styleOf } from "../../src/cli/style.ts";
import { wrapped } from "../../src/cli/wrap.ts";
import { outputWidth, tableLines, type Column } from "../../src/cli/table.ts";

const style = styleOf(false);
const columns: readonly Column[] = [
  { title: "A", cells: ["one", "two"] },
  { title: "EMPTY", cells: ["-", ""], optional: true },
  { title: "FEW", cells: ["-", "7"], optional: true, drop: "first" },
  { title: "LONG", cells: ["0108 a long name of a class", "0200"], min: 4, drop: "last" },
  { title: "NAME", cells: ["1b36:0010 a name", "8086:10c9 another name that is longer"], min: 9 },
  { title: "WHY", cells: ["", "because of this"], below: true, optional: true },
];
afterEach(() => void delete process.env["COLUMNS"]);

test("a pipe gets all of it", () => {
  expect(tableLines(columns, undefined, style)).toEqual([
    "A    FEW  LONG                         NAME                                   WHY",
    "one  -    0108 a long name of a class  1b36:0010 a name",
    "two  7    0200                         8086:10c9 another name that is longer  because of this",
  ]);
});

test("less room: what may go goes, classes are cut to their code, reasons move below, names are cut last", () => {
  expect(tableLines(columns, 70, style)).toEqual([
    "A    FEW  LONG  NAME                                   WHY",
    "one  -    0108  1b36:0010 a name",
    "two  7    0200  8086:10c9 another name that is longer  because of this",
  ]);
  expect(tableLines(columns, 50, style)).toEqual([
    "A    LONG  NAME                    WHY",
    "one  0108  1b36:0010 a name",
    "two  0200  8086:10c9 another nam…  because of this",
  ]);
  expect(tableLines(columns, 40, style)).toEqual([
    "A    LONG  NAME",
    "one  0108  1b36:0010 a name",
    "two  0200  8086:10c9 another name that…",
    "  because of this",
  ]);
  expect(tableLines(columns, 24, style)[2]).toBe("two  8086:10c9 another…");
});

test("no line is wider than the terminal, while the least of each column fits", () => {
  for (let most = 14; most < 100; most++)
    expect(
      tableLines(columns.slice(0, 5), most, style).filter((line) => Bun.stringWidth(line) > most),
    ).toEqual([]);
});

test("a number stands without a part of its name", () => {
  const cells = ["8086:0d57 Intel Corporation", "1234:11e8"];
  const one: Column = { title: "D", cells, min: 9 };
  expect(tableLines([one], 11, style)).toEqual(["D", "8086:0d57", "1234:11e8"]);
});

test("lines are cut at blanks, and the rest is indented", () => {
  expect(wrapped("✗ one two three", undefined, 2)).toEqual(["✗ one two three"]);
  expect(wrapped("✗ one two three", 9, 2)).toEqual(["✗ one two", "  three"]);
  expect(wrapped("  ✗ a-long-word-that-goes-over b", 10, 4)).toEqual([
    "  ✗",
    "    a-long-word-that-goes-over",
    "    b",
  ]);
});

test("the width is the terminal's; a pipe has one only where COLUMNS is set", () => {
  expect(outputWidth({ isTTY: true, columns: 91 })).toBe(91);
  expect(outputWidth({})).toBeUndefined();
  process.env["COLUMNS"] = "60";
  expect(outputWidth({})).toBe(60);
  for (const bad of ["", "x", "-5", "0"]) {
    process.env["COLUMNS"] = bad;
    expect(outputWidth({})).toBeUndefined();
  }
});
