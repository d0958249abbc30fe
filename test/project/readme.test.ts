import { describe, expect, test } from "bun:test";
import { existsSync, readdirSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { blocksOf, checkedModule, commandsOf, missingLine } from "./markdown.ts";
import { Sandbox } from "../support/sandbox.ts";
import { testSnippets } from "./snippets.ts";
import { root } from "../support/tree.ts";

const readme = readFileSync(join(root, "README.md"), "utf8");
const blocks = blocksOf(readme);
const shells = blocks.filter(({ language }) => language === "sh");
const scripts = (
  JSON.parse(readFileSync(join(root, "package.json"), "utf8")) as { scripts: Record<string, string> }
).scripts;

testSnippets("README.md", 3);
testSnippets("docs/ffi.md", 1);
testSnippets("docs/flight-recorder.md", 1);
testSnippets("docs/recorded-devices.md", 2);
testSnippets("docs/vfio-user.md", 1);

describe("README commands", () => {
  test("are there", () => expect(shells.length).toBeGreaterThan(3));

  test.each(shells.map((block) => [block.line, block] as const))(
    "those of line %d do what is shown",
    (_, shell) => {
      using sandbox = new Sandbox();
      for (const name of ["images", "test"]) sandbox.link(join(root, name), name);
      // In place of this machine's devices.
      sandbox.write("host.txt", readFileSync(join(root, "test/data/lspci-xxxx.txt"), "utf8"));
      let output = "";
      const run = (command: readonly string[], exitCode: number, cwd = sandbox.path): void => {
        const done = Bun.spawnSync([...command], { cwd, stdout: "pipe", stderr: "pipe" });
        // A note tells what is not known; it is no failure.
        const errors = done.stderr.toString().replace(/^bun-vfio: note: .*\n/gm, "");
        expect([command.join(" "), errors, done.exitCode]).toEqual([command.join(" "), "", exitCode]);
        output = done.stdout.toString();
      };
      for (const { words, exitCode } of commandsOf(shell)) {
        const line = words.join(" ");
        if (words[0] === "bun-vfio")
          run([process.execPath, join(root, "src/cli/main.ts"), ...words.slice(1)], exitCode);
        else if (line === "npm install && npm start") run(["sh", "-c", scripts["start"]!], exitCode, root);
        else expect(line).toBe("lspci -xxxx > host.txt");
      }
      const shown = blocks[blocks.indexOf(shell) + 1];
      if (shown?.language === "text") expect(missingLine(shown.text, output)).toBeUndefined();
    },
  );
});

describe("README links", () => {
  const links = [...readme.matchAll(/\]\(([^)]+)\)/g)].map(([, target]) => target!);

  test("lead to files", () => {
    expect(links.length).toBeGreaterThan(4);
    expect(links.filter((link) => !link.startsWith("https:") && !existsSync(join(root, link)))).toEqual([]);
  });

  test("name every page of docs", () => {
    const pages = readdirSync(join(root, "docs")).filter((name) => !name.endsWith(".png"));
    expect(pages.filter((page) => !links.includes(`docs/${page}`))).toEqual([]);
  });

  test("pictures are small, and shown by a page", () => {
    const pages = readdirSync(join(root, "docs"));
    const texts = pages
      .filter((name) => name.endsWith(".md"))
      .map((name) => readFileSync(join(root, "docs", name), "utf8"));
    for (const name of pages.filter((one) => one.endsWith(".png"))) {
      expect([name, texts.some((text) => text.includes(`](${name})`))]).toEqual([name, true]);
      expect([name, statSync(join(root, "docs", name)).size <= 150_000]).toEqual([name, true]);
    }
  });
});

describe("a snippet's value", () => {
  const run = (text: string): void => {
    const { code } = checkedModule(text);
    new Function(new Bun.Transpiler({ loader: "ts" }).transformSync(code))();
  };

  test("is compared", () => {
    expect(() => run("1 + 1; // => 2\n")).not.toThrow();
    expect(() => run("1 + 1; // => 3\n")).toThrow("line 1: 2, not 3");
    expect(() => run("const a = [1];\nconst b = { a }; // => { a: [2] }\n")).toThrow("line 2: ");
  });

  test("where nothing can be compared is refused", () => {
    expect(() => checkedModule("if (true) {\n  1; // => 2\n}\n")).toThrow("inside of a statement");
    expect(() => checkedModule("const [a] = [1]; // => 1\n")).toThrow("the value of nothing");
  });

  test("output that is not there is noticed", () => {
    expect(missingLine("a\n...\nc\n", "a\nb\nc\n")).toBeUndefined();
    expect(missingLine("c\na\n", "a\nb\nc\n")).toBe("a");
    expect(missingLine("a \n", "a\n")).toBe("a ");
  });
});
