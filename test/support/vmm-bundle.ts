// The example VMM in few files, made by the command that its README has.
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { root } from "../project/tree.ts";

/** @param folder gets the bundle @returns its program @throws Error where the README's command makes none */
export function bundleExample(folder: string): string {
  const readme = readFileSync(join(root, "examples/vmm/README.md"), "utf8");
  const [command] = /^bun build (?:.*\\\n)*.*$/m.exec(readme) ?? [];
  if (!command?.endsWith(" --outdir vmm")) throw new Error("the README has no command that makes a bundle");
  const here = command.replace(/^bun/, `'${process.execPath}'`).replace(/vmm$/, `'${folder}'`);
  const { exitCode, stderr } = Bun.spawnSync(["sh", "-c", here], { cwd: root });
  if (exitCode !== 0) throw new Error(`the example cannot be bundled: ${stderr.toString()}`);
  return join(folder, "main.ts");
}
