// A page as text: what is named in it is text, and nothing runs but its own script.
import { describe, expect, test } from "bun:test";
import { createHash } from "node:crypto";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import type { PageData } from "../../src/view/page-data.ts";
import { dataText, pageHtml, pagePolicy } from "../../src/view/page-html.ts";
import { buildParts } from "../../src/view/page-parts.ts";
import { root } from "../support/tree.ts";

const parts = { script: "start();", style: "p { color: red }" };
const hostile = [
  "</script><script>alert(1)</script>",
  "</ScRiPt ><img src=x onerror=alert(1)>",
  "<!--<script>",
  "]]><svg onload=alert(1)>",
  "\u202egpj.exe\u2028\u0000\u001b[31m",
  `"'&lt;${"`"}\${alert(1)}`,
];

const dataOf = (title: string): PageData => ({
  ...{ title, made: "2026-01-01T00:00:00.000Z", live: false, host: undefined, flight: undefined },
  devices: [],
});
const htmlOf = (title: string): string => pageHtml(dataOf(title), parts);

/** What the element of the data holds. */
const heldIn = (html: string): string =>
  /<script type="application\/json" id="data">(.*)<\/script>\n<script>/s.exec(html)![1]!;

describe("what a device, a guest or a file names", () => {
  test.each(hostile)("is text: %j", (name) => {
    const html = htmlOf(name);
    // Two scripts, each ended once, and no other markup than that of every page.
    expect(html.match(/<\/?script/gi)).toHaveLength(4);
    expect(html.match(/<(?:img|svg)|<!--/gi)).toBeNull();
    const tags = (text: string): string[] | null => text.match(/<\/?[a-z]+/gi);
    expect(tags(html)).toEqual(tags(htmlOf("name")));
  });

  test.each(hostile)("comes out as it went in: %j", (name) => {
    expect((JSON.parse(heldIn(htmlOf(name))) as PageData).title).toBe(name);
  });

  test("drives no terminal and turns no text around in the title", () => {
    expect(/<title>(.*)<\/title>/s.exec(htmlOf(hostile[4]!))![1]).toBe(
      "\\u202egpj.exe\\u2028\\u0000\\u001b[31m",
    );
  });

  test("no data has the sign that markup begins with", () => {
    for (const name of hostile) expect(dataText(dataOf(name))).not.toContain("<");
  });
});

describe("the policy", () => {
  const policy = pagePolicy(parts);
  test("lets this script and this style run, by their hashes, and loads nothing", () => {
    const hash = (text: string): string => `'sha256-${createHash("sha256").update(text).digest("base64")}'`;
    expect(policy.split("; ")).toEqual([
      "default-src 'none'",
      `script-src ${hash(parts.script)}`,
      `style-src ${hash(parts.style)}`,
      "base-uri 'none'",
      "form-action 'none'",
      "require-trusted-types-for 'script'",
      "trusted-types 'none'",
    ]);
  });

  test("stands before everything that it is about", () => {
    const html = htmlOf("name");
    expect(html).toContain(`<meta http-equiv="Content-Security-Policy" content="${policy}">`);
    expect(html.indexOf("Content-Security-Policy")).toBeLessThan(html.indexOf("<style>"));
  });

  test("a script or a style that would end its element is refused", () => {
    const make = (more: Partial<typeof parts>) => () => pageHtml(dataOf("name"), { ...parts, ...more });
    expect(make({ script: 'a("</script>")' })).toThrow(RangeError);
    expect(make({ script: 'a("<!--")' })).toThrow(RangeError);
    expect(make({ style: "a::after { content: '</style>' }" })).toThrow(RangeError);
  });
});

describe("the page's own script", () => {
  test("is built, and is one that a page takes", async () => {
    const built = await buildParts();
    expect(built.script.length).toBeGreaterThan(10_000);
    expect(() => pageHtml(dataOf("name"), built)).not.toThrow();
    // Self-contained: it asks for nothing.
    expect(built.script).not.toMatch(
      /\bimport\s*\(|XMLHttpRequest|WebSocket|EventSource|\bfetch\(|sendBeacon/,
    );
    expect(built.style).not.toMatch(/url\(|@import/);
  });

  test("needs no package, and nothing of Bun or Node", async () => {
    const { outputs } = await Bun.build({
      entrypoints: [join(root, "src/view/page/main.ts")],
      packages: "external",
      target: "bun",
    });
    expect(new Bun.Transpiler().scanImports(await outputs[0]!.text())).toEqual([]);
  });

  test("takes no markup anywhere", () => {
    const folder = join(root, "src/view/page");
    const files = readdirSync(folder).filter((name) => name.endsWith(".ts"));
    expect(files.length).toBeGreaterThan(8);
    for (const name of files)
      expect([
        name,
        /innerHTML|outerHTML|insertAdjacent|document\.write|\beval\b|new Function|srcdoc/.exec(
          readFileSync(join(folder, name), "utf8"),
        )?.[0],
      ]).toEqual([name, undefined]);
  });
});
