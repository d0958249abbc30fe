// The API reference is generated without a warning: all that is exported is documented, each type that is mentioned has a
// page, each link leads somewhere. One run proves that, and that it can fail: in a copy that has one fault of each kind.
// A comment that is wrong in itself, as an @param without its parameter, ends typedoc before it looks for the others.
import { afterAll, beforeAll, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { type Outcome, Sandbox } from "../support/sandbox.ts";
import { root } from "../support/tree.ts";

const faults = `interface Hidden {
  readonly bit: number;
}
/** Takes a type that nobody can name. */
export function takesHidden(_hidden: Hidden): void {}
/** Says where {@link NoSuchThing} is. */
export const lost = 1;
export function bareFunction(): void {}
export interface BareInterface {}
export type BareType = "x";
export const bareVariable = 2;
/** With two bare members. */
export class HasMembers {
  bareMethod(): void {}
  get bareAccessor(): number {
    return 0;
  }
  /** @internal */
  notForPeople(_hidden: Hidden): void {}
}
export class BareClass {}
`;
const expected = [
  /^Hidden, defined in .*faults\.ts, is referenced by bun-vfio\.takesHidden\._hidden but not included/,
  /^Failed to resolve link to "NoSuchThing" in comment for bun-vfio\.lost$/,
  /^bun-vfio\.bareFunction \(CallSignature\), .* does not have any documentation$/,
  /^bun-vfio\.BareInterface \(Interface\), .* does not have any documentation$/,
  /^bun-vfio\.BareType \(TypeAlias\), .* does not have any documentation$/,
  /^bun-vfio\.bareVariable \(Variable\), .* does not have any documentation$/,
  /^bun-vfio\.HasMembers\.bareMethod \(CallSignature\), .* does not have any documentation$/,
  /^bun-vfio\.HasMembers\.bareAccessor \(GetSignature\), .* does not have any documentation$/,
  /^bun-vfio\.BareClass \(Class\), .* does not have any documentation$/,
];

const box = new Sandbox();
let outcome: Outcome;
let warnings: string[];

beforeAll(() => {
  box.copy(["package.json", "tsconfig.json", "typedoc.json", "scripts", "src"]);
  box.copy(["README.md", "CHANGELOG.md", "CONTRIBUTING.md", "docs", "examples"]);
  box.link(join(root, "node_modules"), "node_modules");
  box.write("src/faults.ts", faults);
  box.write(
    "src/index.ts",
    `${readFileSync(join(root, "src/index.ts"), "utf8")}export * from "./faults.ts";\n`,
  );
  outcome = box.run(["npm", "run", "--silent", "docs", "--", "--emit", "none"]);
  const printed = Bun.stripANSI(outcome.stdout + outcome.stderr);
  warnings = printed.split("\n").flatMap((line) => /^\[(?:warning|error)\] (.*)$/.exec(line)?.[1] ?? []);
}, 120_000);

afterAll(() => box[Symbol.dispose]());

test("each fault is found", () => {
  for (const fault of expected) expect(warnings.filter((line) => fault.test(line))).toHaveLength(1);
});

test("nothing else is found, in all that the package exports", () => {
  expect(warnings.filter((line) => !expected.some((fault) => fault.test(line)))).toEqual([
    expect.stringMatching(/^Found 0 errors and \d+ warnings$/),
  ]);
});

test("the command fails for it", () => {
  expect(outcome.code).not.toBe(0);
});
