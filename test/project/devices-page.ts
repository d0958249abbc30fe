// The program of docs/devices-in-typescript.md: its files, by the names that the page gives them.
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { root } from "../support/tree.ts";
import { blocksOf, checkedModule } from "./markdown.ts";

const page = readFileSync(join(root, "docs/devices-in-typescript.md"), "utf8");
const blocks = blocksOf(page);

/** Each block of TypeScript with the last file that the text before it names. */
export const pageFiles: Readonly<Record<string, { readonly code: string; readonly values: number }>> =
  Object.fromEntries(
    blocks
      .filter(({ language }) => language === "ts")
      .map(({ line, text }) => {
        const before = page
          .split("\n")
          .slice(0, line - 1)
          .join("\n")
          .split("```")
          .at(-1)!;
        const names = [...before.matchAll(/`([a-z]+\.ts)`/g)].map(([, name]) => name!);
        const name = names.at(-1);
        if (name === undefined) throw new Error(`line ${line}: a block without the name of a file`);
        const checked = checkedModule(text);
        return [name, checked.values > 0 ? checked : { code: text, values: 0 }];
      }),
  );

/** What is typed: on this side, and in the guest. */
export const [hostCommands = "", guestCommands = ""] = blocks
  .filter(({ language }) => language === "sh")
  .map(({ text }) => text);
