import { describe, expect, test } from "bun:test";
import { testsOf, type NamedTest } from "./named-tests.ts";
import { type Files, lines, readTree, type Violation } from "../support/tree.ts";

const page = "docs/defects.md";
const count = 71;

interface Row {
  readonly number: number;
  readonly proofs: readonly { readonly path: string; readonly title: string }[];
  /** Why it does not apply: never, or not in full so far. */
  readonly reasons: readonly string[];
}

/** Rows of the page, and lines that are neither text nor part of one. */
function rowsOf(text: string): { rows: Row[]; strays: string[] } {
  const rows: Row[] = [];
  const strays: string[] = [];
  for (const block of text.split(/^(?=\d+\. |## )/m).slice(1)) {
    const number = /^(\d+)\. \*\*/.exec(block)?.[1];
    const items = [...block.matchAll(/^ +- (.*(?:\n {5,}[^\s-].*)*)/gm)].map(([, item]) =>
      item!.replace(/\s+/g, " "),
    );
    const proofs: { path: string; title: string }[] = [];
    const why: string[] = [];
    for (const item of items) {
      const [, path, title] = /^`([^`]+)`: "(.+)"$/.exec(item) ?? [];
      const reason = /^not (?:yet|here): (.+)\.$/.exec(item)?.[1];
      if (path && title) proofs.push({ path, title });
      else if (reason) why.push(reason);
      else strays.push(item);
    }
    if (number) rows.push({ number: Number(number), proofs, reasons: why });
    else if (!block.startsWith("## ")) strays.push(block.split("\n")[0]!);
  }
  return { rows, strays };
}

/** The defects that a title names: `defect 3: ...`, `defects 9, 17 and 63: ...`. */
function defectsIn(title: string): number[] {
  const list = /\bdefects? ((?:\d+(?:, | and )?)+)/i.exec(title)?.[1] ?? "";
  return [...list.matchAll(/\d+/g)].map(([number]) => Number(number));
}

function check(files: Files, expected = count): Violation[] {
  const { rows, strays } = rowsOf(files.get(page) ?? "");
  const reasons = strays.map((line) => `not understood: ${line}`);
  for (let number = 1; number <= expected; number++) {
    const times = rows.filter((row) => row.number === number).length;
    if (times !== 1) reasons.push(`row ${number} is there ${times} times`);
  }
  const tests = new Map<string, NamedTest[]>();
  for (const [path, text] of files) if (path.endsWith(".test.ts")) tests.set(path, testsOf(path, text));
  for (const { number, proofs, reasons: why } of rows) {
    if (number > expected) reasons.push(`there is no defect ${number}`);
    if (proofs.length + why.length === 0) reasons.push(`row ${number} has neither a test nor a reason`);
    for (const { path, title } of proofs) {
      const named = (tests.get(path) ?? []).filter(
        (one) => one.title === title || one.blocks.includes(title),
      );
      if (named.length === 0) reasons.push(`row ${number}: ${path} has no test "${title}"`);
      if (named.some(({ runs }) => !runs)) reasons.push(`row ${number}: "${title}" does not always run`);
    }
  }
  for (const [path, all] of tests)
    for (const title of new Set(all.flatMap((one) => [one.title, ...one.blocks])))
      for (const number of path.startsWith("test/device/") ? defectsIn(title) : []) {
        const row = rows.find((one) => one.number === number);
        if (!row?.proofs.some((proof) => proof.path === path && proof.title === title))
          reasons.push(`row ${number} does not name "${title}" of ${path}`);
      }
  return reasons.map((reason) => ({ path: page, reason }));
}

describe("the page of the reference's defects", () => {
  const files = readTree();

  test("was read: rows with tests, rows without", () => {
    const { rows } = rowsOf(files.get(page)!);
    expect(rows).toHaveLength(count);
    expect(rows.filter(({ proofs }) => proofs.length > 0).length).toBeGreaterThan(60);
    expect(rows.filter(({ reasons }) => reasons.length > 0).map(({ number }) => number)).toEqual([
      59, 63, 70,
    ]);
  });

  test("has each row once, names tests that exist, and leaves out none that names a defect", () => {
    expect(lines(check(files))).toEqual([]);
  });
});

describe("a mistake on the page is caught", () => {
  const proof = (title: string, path = "test/device/a.test.ts"): string => `   - \`${path}\`: "${title}"\n`;
  const tests = `
    describe("block", () => {
      test("defect 1: one", () => {});
      test.each([1])("defects 2 and 3: %s", () => {});
    });
    describe.skip("off", () => { test("not run", () => {}); });
    test.todo("later", () => {});
  `;
  const good =
    `# Page\n\n## Part\n\n1. **A.** B.\n${proof("defect 1: one")}2. **C\n   D.** E.\n` +
    `${proof("defects 2 and 3: %s")}3. **F.**\n${proof("defects 2 and 3: %s")}   - not yet: a\n     reason.\n   - not here: another.\n`;
  const reasons = (text: string): string[] =>
    check(
      new Map([
        [page, text],
        ["test/device/a.test.ts", tests],
      ]),
      3,
    ).map(({ reason }) => reason);

  test("and a good page passes", () => expect(reasons(good)).toEqual([]));

  const both = 'row 1 does not name "defect 1: one" of test/device/a.test.ts';
  const cases: [name: string, text: string, expected: string[]][] = [
    ["no page", "", ["row 1 is there 0 times", "row 2 is there 0 times", "row 3 is there 0 times"]],
    ["a row twice", `${good}3. **F.**\n   - not yet: x.\n`, ["row 3 is there 2 times"]],
    ["a row too many", `${good}4. **F.**\n   - not yet: x.\n`, ["there is no defect 4"]],
    [
      "a row without proof",
      good.replace(proof("defect 1: one"), ""),
      ["row 1 has neither a test nor a reason"],
    ],
    [
      "a title that is not exact",
      good.replace("defect 1: one", "defect 1: One"),
      ['row 1: test/device/a.test.ts has no test "defect 1: One"', both],
    ],
    [
      "another file",
      good.replace("a.test.ts", "b.test.ts"),
      ['row 1: test/device/b.test.ts has no test "defect 1: one"', both],
    ],
    ["a skipped test", good + proof("not run"), ['row 3: "not run" does not always run']],
    ["a test to do", good + proof("later"), ['row 3: "later" does not always run']],
    ["a proof of another form", `${good}   - a.test.ts: defect 1\n`, ["not understood: a.test.ts: defect 1"]],
    ["a row of another form", `${good}4. F.\n`, ["not understood: 4. F."]],
  ];
  test.each(cases)("%s", (_, text, expected) => {
    expect(reasons(text)).toEqual(expect.arrayContaining(expected));
  });

  test("a title names its defects", () => {
    const titles = ["defect 3: a", "defects 9, 17, 18 and 63: b", "the defect is 4", "no"];
    expect(titles.map(defectsIn)).toEqual([[3], [9, 17, 18, 63], [], []]);
  });
});
