import { describe, expect, test } from "bun:test";
import { lines, readTree, sources } from "../support/tree.ts";
import { checkFolders, checkForeign, checkSuppressions } from "./words.ts";

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
  test("names folders in kebab-case", () => expect(lines(checkFolders(source))).toEqual([]));
  test("never switches the type checker off", () => expect(lines(checkSuppressions(source))).toEqual([]));
  test("names no registry and no machine's folder", () => expect(lines(checkForeign(files))).toEqual([]));
});

test("a folder that is not kebab-case is caught", () => {
  for (const path of ["src/Regs/a.ts", "src/regs/ioCtl/a.ts", "src/-regs/a.ts"])
    expect(checkFolders(one(path, ""))).toHaveLength(1);
  expect(checkFolders(one("src/device/vfio-user/a.ts", ""))).toEqual([]);
});

test("a comment that switches the type checker off is caught", () => {
  for (const word of ["ignore", "nocheck", "expect-error"])
    expect(checkSuppressions(one("src/regs/a.ts", `// @ts-${word}\na;`))).toHaveLength(1);
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
