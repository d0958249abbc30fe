// `npm run bench:loading`: what it takes to load the package as Bun has it once it is installed (`npm run build` first), and from its
// sources, in turns: medians of processor time. `-- ROUNDS` takes another number of rounds than 11.
import { existsSync } from "node:fs";
import { join } from "node:path";
import manifest from "../package.json" with { type: "json" };
import { entryPoints } from "./compare/library.ts";
import { median } from "./compare/table.ts";

const root = join(import.meta.dir, "..");
const built = Object.values(manifest.exports).flatMap((target) =>
  typeof target === "string" ? [] : [join(root, target.bun)],
);
const commands = [join(root, "src/cli/main.ts"), join(root, manifest.bin["bun-vfio"])] as const;
if (!built.every(existsSync)) throw new Error("dist/ is not built: npm run build");

const load = join(import.meta.dir, "compare/import.ts");
const image = join(root, "images/nvme.json");
/** From the sources, and as installed. */
const programs: Record<string, readonly [string[], string[]]> = {
  "an empty program": [[load], [load]],
  "import of all entry points": [
    [load, ...entryPoints(root).values()],
    [load, ...built],
  ],
  "bun-vfio --version": [
    [commands[0], "--version"],
    [commands[1], "--version"],
  ],
  "bun-vfio show nvme.json": [
    [commands[0], "show", image],
    [commands[1], "show", image],
  ],
  "bun-vfio ls": [
    [commands[0], "ls"],
    [commands[1], "ls"],
  ],
};

/** In milliseconds. */
function timeOf(words: readonly string[]): number {
  const { resourceUsage } = Bun.spawnSync([process.execPath, ...words], { stdout: "ignore", stderr: "pipe" });
  return Number(resourceUsage.cpuTime.total) / 1000;
}

const rounds = Number(process.argv[2] ?? 11);
for (const [name, [source, installed]] of Object.entries(programs)) {
  const times: [number, number][] = Array.from({ length: rounds }, () => [timeOf(source), timeOf(installed)]);
  const [before, after] = [0, 1].map((i) => median(times.map((pair) => pair[i]!))) as [number, number];
  console.log(
    `${name.padEnd(28)} ${before.toFixed(1).padStart(6)} ms  ${after.toFixed(1).padStart(6)} ms  ${(after / before).toFixed(2)}`,
  );
}
