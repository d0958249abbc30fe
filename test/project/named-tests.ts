// Which tests a test file has, by their titles as written: nothing is run.
import ts from "typescript";

export interface NamedTest {
  readonly title: string;
  /** Titles of the blocks around it, outermost first. */
  readonly blocks: readonly string[];
  /** Runs always: neither it nor a block around it is skipped, conditional or to do. */
  readonly runs: boolean;
}

const testNames = new Set(["test", "it"]);

/** The name of what is called and its modifiers: `test.each([1])(...)` is `["test", "each"]`. */
function calleeOf(node: ts.Expression): string[] {
  if (ts.isIdentifier(node)) return [node.text];
  if (ts.isPropertyAccessExpression(node)) return [...calleeOf(node.expression), node.name.text];
  return ts.isCallExpression(node) ? calleeOf(node.expression) : [];
}

/** Every `test` and `it` of a file with a literal title. */
export function testsOf(path: string, text: string): NamedTest[] {
  const found: NamedTest[] = [];
  const file = ts.createSourceFile(path, text, ts.ScriptTarget.ESNext, true);
  const visit = (node: ts.Node, blocks: readonly string[], runs: boolean): void => {
    if (ts.isCallExpression(node)) {
      const [name = "", ...modifiers] = calleeOf(node.expression);
      const [title, body] = node.arguments;
      const isCall = title !== undefined && ts.isStringLiteralLike(title) && body !== undefined;
      const always = runs && modifiers.every((word) => word === "each" || word === "concurrent");
      if (isCall && testNames.has(name)) return void found.push({ title: title.text, blocks, runs: always });
      if (isCall && name === "describe") return visit(body, [...blocks, title.text], always);
    }
    ts.forEachChild(node, (child) => visit(child, blocks, runs));
  };
  visit(file, [], true);
  return found;
}
