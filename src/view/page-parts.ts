// The page's script and style. They are made of the sources that lie beside this file; a program of one file has no sources, and
// holds what `npm run build` made of them.
import { existsSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { VfioError } from "../ffi/errors.ts";
import type { PageParts } from "./page-html.ts";

const entry = fileURLToPath(new URL("./page/main.ts", import.meta.url));

/** @throws VfioError where neither is there */
export async function pageParts(): Promise<PageParts> {
  return existsSync(entry) ? buildParts() : builtParts();
}

/** Makes them of the sources. */
export async function buildParts(): Promise<PageParts> {
  const script = await bundled(entry);
  const style = await bundled(entry.replace(/main\.ts$/, "page.css"));
  return { script, style };
}

async function bundled(entrypoint: string): Promise<string> {
  const { outputs } = await Bun.build({
    entrypoints: [entrypoint],
    target: "browser",
    format: "iife",
    minify: true,
  });
  return (await outputs[0]!.text()).trimEnd();
}

/** A bundler puts the file into the program, where it is there; where not, it leaves a call that throws. */
function builtParts(): PageParts {
  try {
    return require("../../dist/view-page.json") as PageParts;
  } catch (cause) {
    throw new VfioError("this program was compiled without the viewer's script", {
      code: "ENOENT",
      hint: "Run `npm run build` before `bun build --compile`.",
      cause,
    });
  }
}
