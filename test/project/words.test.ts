import { describe, expect, test } from "bun:test";
import { lines, readTree, sources } from "../support/tree.ts";
import { checkAny, checkForeign, checkGlobals, checkLengths, checkNames, maxLines } from "./words.ts";

const files = readTree();
const source = sources(files);

function one(path: string, text: string): Map<string, string> {
  return new Map([[path, text]]);
}

describe("the project", () => {
  test("was found", () => {
    expect(source.size).toBeGreaterThan(100);
    expect([...files.keys()]).toContain("package-lock.json");
  });
  test("keeps source files short", () => expect(lines(checkLengths(source))).toEqual([]));
  test("names source files in kebab-case", () => expect(lines(checkNames(source))).toEqual([]));
  test("keeps the register maps free of Bun and Node", () => expect(lines(checkGlobals(source))).toEqual([]));
  test("has no any in its source", () => expect(lines(checkAny(source))).toEqual([]));
  test("names no registry and no machine's folder", () => expect(lines(checkForeign(files))).toEqual([]));
});

describe("lengths", () => {
  const long = "x;\n".repeat(maxLines + 1);
  test("one line too many is caught, the limit itself is not", () => {
    expect(lines(checkLengths(one("src/regs/a.ts", long), new Map()))).toEqual([
      `src/regs/a.ts: ${maxLines + 1} lines, more than ${maxLines}`,
    ]);
    expect(checkLengths(one("src/regs/a.ts", "x;\n".repeat(maxLines)), new Map())).toEqual([]);
  });
  test("an exception holds, and is caught once it is not needed", () => {
    const exceptions = new Map([["src/regs/a.ts", "a table"]]);
    expect(checkLengths(one("src/regs/a.ts", long), exceptions)).toEqual([]);
    expect(checkLengths(one("src/regs/a.ts", "x;\n"), exceptions)).toHaveLength(1);
    expect(checkLengths(new Map(), exceptions)).toHaveLength(1);
  });
});

test("a name that is not kebab-case is caught", () => {
  for (const path of ["src/regs/msiX.ts", "src/Regs/a.ts", "src/regs/msi_x.ts", "src/regs/-a.ts"]) {
    expect(checkNames(one(path, ""))).toHaveLength(1);
  }
});

describe("globals of the lowest floor", () => {
  const caught = [
    "Bun.file(name);",
    "const a = Bun;",
    "process.exit(1);",
    "const { env } = process;",
    "const a = { process };",
    'require("fs");',
    "console.log(1);",
    "Buffer.alloc(1);",
    "function a(raw: Buffer) { return raw; }",
  ];
  for (const text of caught) {
    test(`caught: ${text}`, () => expect(checkGlobals(one("src/regs/a.ts", text))).toHaveLength(1));
  }
  test("the same word as a property, in a comment or a string, or on another floor", () => {
    expect(checkGlobals(one("src/regs/a.ts", '// Bun\nconst a = { process: "Bun" }; a.process;'))).toEqual(
      [],
    );
    expect(checkGlobals(one("src/regs/ioctl/a.ts", "Buffer.alloc(1);"))).toEqual([]);
    expect(checkGlobals(one("src/ffi/a.ts", "Bun.file(name);"))).toEqual([]);
  });
});

describe("any", () => {
  for (const text of [
    "let a: any;",
    "const a = b as any;",
    "type A = Map<string, any[]>;",
    "// @ts-ignore\na;",
  ]) {
    test(`caught: ${text}`, () => expect(checkAny(one("src/regs/a.ts", text))).toHaveLength(1));
  }
  test("the word elsewhere", () => {
    expect(checkAny(one("src/regs/a.ts", 'const any = "any"; // any'))).toEqual([]);
  });
});

describe("registries and machines", () => {
  // Put together here, so that this file does not mention them itself.
  const slash = "/";
  const caught = [
    `https:${slash}${slash}${"registry"}.example.org/a.tgz`,
    `{\n  "resolved": "https:${slash}${slash}example.org/a.tgz"\n}`,
    `cd ${slash}work${slash}main`,
    `cat "${slash}work"`,
    `> ${slash}tmp${slash}out.txt`,
  ];
  for (const text of caught) {
    test(`caught: ${JSON.stringify(text)}`, () =>
      expect(checkForeign(one("README.md", text))).toHaveLength(1));
  }
  test("what only looks like one", () => {
    const text = `$cache${slash}work.XXX https:${slash}${slash}example.org${slash}work${slash}a omit-registry-resolved`;
    expect(lines(checkForeign(one("a.sh", text)))).toEqual([]);
  });
});
