// What a page shows: fenced blocks, the values that its code states, the commands and their output.
import ts from "typescript";

export interface Block {
  readonly language: string;
  readonly text: string;
  /** Of the opening fence, from 1. */
  readonly line: number;
}

/** The fenced blocks of a page, in order. */
export function blocksOf(markdown: string): Block[] {
  const blocks: Block[] = [];
  let open: { language: string; line: number; lines: string[] } | undefined;
  for (const [index, line] of markdown.split("\n").entries()) {
    const fence = /^```(\w*)$/.exec(line);
    if (!open && fence) open = { language: fence[1]!, line: index + 1, lines: [] };
    else if (open && fence) {
      blocks.push({ language: open.language, line: open.line, text: `${open.lines.join("\n")}\n` });
      open = undefined;
    } else open?.lines.push(line);
  }
  if (open) throw new Error(`line ${open.line}: a block has no end`);
  return blocks;
}

/** Snippets of one page as one program, in which each line has the number that it has on the page. */
export function joined(snippets: readonly Block[]): string {
  const lines: string[] = [];
  for (const { line, text } of snippets) {
    while (lines.length < line) lines.push("");
    lines.push(...text.trimEnd().split("\n"));
  }
  return `${lines.join("\n")}\n`;
}

/** Whether a snippet opens a device of the host: only the virtual machine has one to open. */
export const opensDevice = (text: string): boolean => /\bopenDevice\(/.test(text);

const marker = "// =>";
/** Below the snippet, whose lines keep their numbers. */
const stated = `
function stated(line: number, actual: unknown, value: unknown): void {
  if (!Bun.deepEquals(actual, value, true)) throw new Error(\`line \${line}: \${Bun.inspect(actual)}, not \${Bun.inspect(value)}\`);
}
`;

/**
 * Turns `expression; // => value` into a call that compares the two, and `const name = ...; // => value` likewise.
 * @returns a module, and how many values it checks
 * @throws if a value stands where none can be compared
 */
export function checkedModule(text: string): { readonly code: string; readonly values: number } {
  const file = ts.createSourceFile("snippet.ts", text, ts.ScriptTarget.ESNext, true);
  let code = "";
  let done = 0;
  let values = 0;
  for (const statement of file.statements) {
    const comment = ts
      .getTrailingCommentRanges(text, statement.end)
      ?.map(({ pos, end }) => text.slice(pos, end))
      .find((one) => one.startsWith(marker));
    if (comment === undefined) continue;
    const line = file.getLineAndCharacterOfPosition(statement.end).line + 1;
    const compare = (actual: string): string =>
      `stated(${line}, ${actual}, ${comment.slice(marker.length)});`;
    code += text.slice(done, statement.getStart());
    if (ts.isExpressionStatement(statement)) code += compare(statement.expression.getText());
    else {
      const name = ts.isVariableStatement(statement) && statement.declarationList.declarations[0]?.name;
      if (!name || !ts.isIdentifier(name))
        throw new Error(`line ${line} of a snippet states the value of nothing`);
      code += `${statement.getText()} ${compare(name.text)}`;
    }
    done = statement.end;
    values++;
  }
  if (values !== text.split(marker).length - 1)
    throw new Error("a snippet states a value inside of a statement");
  return { code: `${code}${text.slice(done)}${stated}`, values };
}

/** A line of a shell block. */
export interface ShellCommand {
  readonly words: readonly string[];
  /** What its comment promises; 0 without. */
  readonly exitCode: number;
}

export function commandsOf(block: Block): ShellCommand[] {
  return block.text
    .split("\n")
    .filter((line) => line.trim() !== "" && !line.startsWith("#"))
    .map((line) => {
      const [command = "", comment = ""] = line.split(" # ");
      return {
        words: command.trim().split(/\s+/),
        exitCode: Number(/exit code (\d)/.exec(comment)?.[1] ?? 0),
      };
    });
}

/** The first line shown that the output does not have, in order; `...` stands for lines left out. */
export function missingLine(shown: string, output: string): string | undefined {
  const real = output.split("\n");
  let from = 0;
  for (const line of shown.replace(/\n$/, "").split("\n")) {
    if (line === "...") continue;
    const found = real.indexOf(line, from);
    if (found < 0) return line;
    from = found + 1;
  }
  return undefined;
}
