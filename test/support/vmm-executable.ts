// The example VMM as one file, made by the command that its README has.
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { root } from "./tree.ts";

/** @param folder gets the executable @returns its path @throws Error where the README's command makes none */
export function compileExample(folder: string): string {
  const readme = readFileSync(join(root, "examples/vmm/README.md"), "utf8");
  const [command] = /^bun build (?:.*\\\n)*.*$/m.exec(readme) ?? [];
  if (!command?.endsWith(" --outfile vmm"))
    throw new Error("the README has no command that makes an executable");
  const file = join(folder, "vmm");
  const here = command.replace(/^bun/, `'${process.execPath}'`).replace(/vmm$/, `'${file}'`);
  const { exitCode, stderr } = Bun.spawnSync(["sh", "-c", here], { cwd: root });
  if (exitCode !== 0) throw new Error(`the example cannot be compiled: ${stderr.toString()}`);
  return file;
}
