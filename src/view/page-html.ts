// One page in one text: its data, its script and its style are in it, and nothing else is ever loaded.
import { createHash } from "node:crypto";
import type { PageData } from "./page-data.ts";
import { printable } from "../regs/printable.ts";

/** What every page has. */
export interface PageParts {
  readonly script: string;
  readonly style: string;
}

const hashOf = (text: string): string => `'sha256-${createHash("sha256").update(text).digest("base64")}'`;

/** Runs this script and no other, takes this style and no other, loads nothing, sends nothing, turns no text into markup. */
export const pagePolicy = ({ script, style }: PageParts): string =>
  [
    "default-src 'none'",
    `script-src ${hashOf(script)}`,
    `style-src ${hashOf(style)}`,
    "base-uri 'none'",
    "form-action 'none'",
    "require-trusted-types-for 'script'",
    "trusted-types 'none'",
  ].join("; ");

const entities: Readonly<Record<string, string>> = { "&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;" };
const escaped = (text: string): string => printable(text).replace(/[&<>"]/g, (one) => entities[one]!);

/** JSON that no markup can be in: every `<` is written by its number. */
export const dataText = (data: PageData): string => JSON.stringify(data).replaceAll("<", "\\u003c");

/** The page. Text of `script` and `style` must not hold what ends their elements. @throws RangeError where it does */
export function pageHtml(data: PageData, parts: PageParts): string {
  const { script, style } = parts;
  if (/<\/script|<!--/i.test(script)) throw new RangeError("the script holds markup that would end it");
  if (/<\/style/i.test(style)) throw new RangeError("the style holds markup that would end it");
  const title = escaped(data.title);
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="${pagePolicy(parts)}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="referrer" content="no-referrer">
<title>${title}</title>
<style>${style}</style>
</head>
<body>
<a class="skip" href="#main">To the contents</a>
<header class="top"><h1>${title}</h1><nav aria-label="Contents"><ul></ul></nav><div class="tools bar"></div>
<span class="muted">${escaped(data.made)}</span></header>
<main id="main" tabindex="-1"><noscript><p>This page is drawn by its script.</p></noscript></main>
<script type="application/json" id="data">${dataText(data)}</script>
<script>${script}</script>
</body>
</html>
`;
}
