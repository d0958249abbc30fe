// vfio-user beside the C of peers/vfio-user.c: each end in a process, both pinned to one core, rounds that alternate.
// `--smoke` runs each pair once with few messages, and measures nothing.
import { rmSync, mkdtempSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

const smoke = process.argv.includes("--smoke");
const rounds = smoke ? 1 : 5;
const core = "1";
const folder = mkdtempSync(join(tmpdir(), "bun-vfio-bench-"));
const peer = join(folder, "vfio-user");
const here = import.meta.dir;

const modes = [
  { name: "read", words: ["read", smoke ? "100" : "200000"] },
  { name: "write", words: ["write", smoke ? "100" : "200000"] },
  { name: "posted", words: ["posted", smoke ? "100" : "200000"] },
  { name: "map", words: ["dmamap", "64", smoke ? "20" : "30000"] },
] as const;
const ends = ["C", "Bun"] as const;
type End = (typeof ends)[number];

interface Figures {
  readonly p50: number;
  readonly p99: number;
  readonly mean: number;
}

const command = (end: End, role: string, socket: string, words: readonly string[]): string[] => [
  ...["taskset", "-c", core],
  ...(end === "C" ? [peer] : [process.execPath, join(here, "vfio-user-end.ts")]),
  ...[role, socket, ...words],
];

async function run(client: End, server: End, words: readonly string[]): Promise<Map<string, Figures>> {
  const socket = join(folder, "socket");
  const serving = Bun.spawn(command(server, "server", socket, []), { stdout: "pipe", stderr: "ignore" });
  const reader = serving.stdout.getReader();
  await reader.read(); // "listening"
  const asking = Bun.spawnSync(command(client, "client", socket, words));
  await serving.exited;
  if (asking.exitCode !== 0) throw new Error(`${client} client: ${asking.stderr.toString()}`);
  const lines = asking.stdout.toString().matchAll(/^(\w+) n \d+ p50 (\d+) p99 (\d+) mean (\d+)/gm);
  return new Map(
    [...lines].map(([, name, p50, p99, mean]) => [
      name!,
      { p50: Number(p50), p99: Number(p99), mean: Number(mean) },
    ]),
  );
}

const median = (values: readonly number[]): number => values.toSorted((a, b) => a - b)[values.length >> 1]!;

/** By what was measured, then by the pair, `client/server`. */
const found = new Map<string, Map<string, Figures[]>>();
const built = Bun.spawnSync(["cc", "-O2", "-o", peer, join(here, "peers/vfio-user.c")]);
if (built.exitCode !== 0) throw new Error(`cc: ${built.stderr.toString()}`);
try {
  for (let round = 0; round < rounds; round++)
    for (const { words } of modes)
      for (const client of ends)
        for (const server of ends)
          for (const [name, figures] of await run(client, server, words)) {
            const pairs = found.get(name) ?? new Map<string, Figures[]>();
            found.set(name, pairs);
            const pair = `${client}/${server}`;
            pairs.set(pair, [...(pairs.get(pair) ?? []), figures]);
          }
} finally {
  rmSync(folder, { recursive: true });
}

console.log(`client/server, us, medians of ${rounds} rounds, ratios to C/C of the same round`);
for (const [name, pairs] of found)
  for (const [pair, runs] of pairs) {
    const base = pairs.get("C/C")!;
    const cell = (key: keyof Figures): string => {
      const ratio = median(runs.map((one, i) => one[key] / base[i]![key]));
      return `${key} ${(median(runs.map((one) => one[key])) / 1000).toFixed(2)} (${ratio.toFixed(2)})`;
    };
    console.log(`  ${name.padEnd(6)} ${pair.padEnd(8)} ${cell("p50")}  ${cell("mean")}  ${cell("p99")}`);
  }
