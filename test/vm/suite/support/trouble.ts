// Failures that docs/troubleshooting.md tells of: caused for real, and compared with what it says word by word.
import { expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { root } from "../../../support/tree.ts";
import { troubles, type Trouble } from "../../../support/troubleshooting.ts";

const told = troubles(readFileSync(join(root, "docs/troubleshooting.md"), "utf8"));

/** Which device, group or process it is, is another's matter. */
const anyone = (text: string): string =>
  text.replaceAll(/\b[0-9a-f]{4}:[0-9a-f]{2}:[0-9a-f]{2}\.[0-7]\b/g, "BDF").replaceAll(/\d+/g, "N");

/** Errors have a message and a hint; the command prints both in one line. */
type Failure = Error & { readonly hint?: string | undefined };

/**
 * A test of the failure that the page has under this heading.
 * @param cause causes it, cleans up, and gives the error, or what the command prints
 */
export function trouble(title: string, cause: () => Failure | string | Promise<Failure | string>): void {
  test(title, async () => {
    const failure = await cause();
    const text =
      typeof failure === "string" ? failure.trim() : `${failure.message}\n${failure.hint ?? ""}`.trim();
    const page: Trouble | undefined = told.find((one) => one.title === title);
    if (process.env.BUN_VFIO_TROUBLES) console.log(`### ${title}\n\n\`\`\`text\n${text}\n\`\`\`\n`);
    expect(anyone(text)).toBe(anyone(page?.message ?? "nothing: the page has no such heading"));
  });
}

/** What a call throws. What it opens by mistake is closed: a virtual function that is open keeps the kernel from taking it away. */
export function failureOf(call: () => unknown): Failure {
  try {
    const opened = call();
    if (typeof opened === "object" && opened !== null && Symbol.dispose in opened)
      (opened as Disposable)[Symbol.dispose]();
  } catch (error) {
    return error as Failure;
  }
  throw new Error("it did not fail");
}
