// Each member that the package exports has words of its own: methods, accessors and properties, of classes and of interfaces.
import { afterAll, beforeAll, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { Sandbox } from "../support/sandbox.ts";
import { root } from "../support/tree.ts";

/** A declaration in typedoc's JSON, as far as it matters. */
interface Reflection {
  readonly name: string;
  /** See `kinds`. */
  readonly kind: number;
  readonly comment?: { readonly summary?: readonly unknown[]; readonly blockTags?: readonly unknown[] };
  readonly children?: readonly Reflection[];
  readonly signatures?: readonly Reflection[];
  readonly getSignature?: Reflection;
  readonly setSignature?: Reflection;
}
/** Of typedoc's ReflectionKind. A constructor that is not written has no place for words. */
const kinds = { class: 128, interface: 256, property: 1024, method: 2048, accessor: 262144 } as const;
const holders: readonly number[] = [kinds.class, kinds.interface];
const members: readonly number[] = [kinds.property, kinds.method, kinds.accessor];

const faults = `/** Has words, and members with and without. */
export class Half {
  /** Has some. */
  readonly told = 1;
  readonly untold = 2;
}
/** Likewise. */
export interface Quarter {
  readonly bare: number;
  /** Has some. */
  called(): void;
}
`;

const box = new Sandbox();
let reference: Reflection;
beforeAll(() => {
  box.copy(["package.json", "tsconfig.json", "typedoc.json", "scripts", "src"]);
  box.copy(["README.md", "CHANGELOG.md", "CONTRIBUTING.md", "docs", "examples"]);
  box.link(join(root, "node_modules"), "node_modules");
  box.write("src/faults.ts", faults);
  const face = readFileSync(join(root, "src/index.ts"), "utf8");
  box.write("src/index.ts", `${face}export * from "./faults.ts";\n`);
  const { code, stderr } = box.run(["npm", "run", "--silent", "docs", "--", "--json", "api.json"]);
  expect([code, stderr]).toEqual([0, expect.any(String)]);
  reference = JSON.parse(readFileSync(join(box.path, "api.json"), "utf8")) as Reflection;
}, 120_000);
afterAll(() => box[Symbol.dispose]());

const hasWords = ({ comment }: Reflection): boolean =>
  [comment?.summary, comment?.blockTags].some((part) => (part?.length ?? 0) > 0);

/** Every member with its path, and whether it has words. */
function* membersOf(of: Reflection, path: string): Generator<readonly [path: string, told: boolean]> {
  for (const child of of.children ?? []) {
    const own = `${path}.${child.name}`;
    const { signatures = [], getSignature, setSignature } = child;
    if (holders.includes(of.kind) && members.includes(child.kind))
      yield [own, [child, ...signatures, getSignature, setSignature].some((one) => one && hasWords(one))];
    yield* membersOf(child, own);
  }
}

test("all of them: those that were made up without words are the only ones", () => {
  const all = [...membersOf(reference, "")];
  expect(all.length).toBeGreaterThan(1600);
  const untold = all.filter(([, told]) => !told).map(([path]) => path);
  expect(untold).toEqual([".bun-vfio.Half.untold", ".bun-vfio.Quarter.bare"]);
});
