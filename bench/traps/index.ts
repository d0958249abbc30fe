// `bun bench/traps [REV] [--device NAME] [--mixed N] [--smoke]`: what the model adds to a trap, with a device and a machine that do
// nothing, beside the Rust of ../peers/passthrough.rs and, where one is named, another revision. All take turns, a process each.
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { checkOut } from "../compare/revision.ts";
import { median } from "../compare/table.ts";
import type { Figures } from "./subject.ts";

const { values, positionals } = parseArgs({
  args: process.argv.slice(2),
  allowPositionals: true,
  options: {
    device: { type: "string", default: "nvme" },
    mixed: { type: "string", default: "0" },
    smoke: { type: "boolean", default: false },
  },
});
const { device, mixed, smoke } = values;
const rounds = smoke ? 1 : 9;
const here = import.meta.dir;
const repository = join(here, "../..");

/** The shape that the peer has of a recorded device. */
const shapes: Readonly<Record<string, string>> = { nvme: "nvme", igb: "igb", "virtio-net": "net" };

function run(cmd: string[]): string {
  const { exitCode, stdout, stderr } = Bun.spawnSync({ cmd, stdout: "pipe", stderr: "pipe" });
  if (exitCode !== 0) throw new Error(`${cmd.join(" ")} exits with ${exitCode}: ${stderr.toString().trim()}`);
  return stdout.toString();
}

/** Undefined where no Rust compiler is: revisions are compared all the same. */
function buildPeer(folder: string): string | undefined {
  const rustc = Bun.which("rustc");
  if (!rustc) return undefined;
  const peer = join(folder, "passthrough");
  const flags = ["--edition", "2021", "-O", "-C", "lto", "-C", "codegen-units=1"];
  run([rustc, ...flags, "-o", peer, join(here, "../peers/passthrough.rs")]);
  return peer;
}

const subject = (root: string): Figures =>
  JSON.parse(
    run([
      ...[process.execPath, join(here, "subject.ts"), root, device, "--mixed", mixed],
      ...(smoke ? ["--smoke"] : []),
    ]),
  ) as Figures;

function peerFigures(peer: string): Figures {
  const shape = shapes[device];
  if (shape === undefined)
    throw new Error(`the peer has no ${device}: one of ${Object.keys(shapes).join(", ")}`);
  const lines = run([peer, "all", "--device", shape, "--mixed", mixed, "--serials"]).matchAll(
    /^(\S+) (\S+)$/gm,
  );
  return Object.fromEntries([...lines].map(([, path, value]) => [path!, Number(value)]));
}

const folder = mkdtempSync(join(tmpdir(), "bun-vfio-traps-"));
using cleanup = new DisposableStack();
cleanup.defer(() => rmSync(folder, { recursive: true, force: true }));
const peer = buildPeer(folder);
const ways = new Map<string, () => Figures>();
if (peer) ways.set("peer", () => peerFigures(peer));
const [revision] = positionals;
if (revision !== undefined) {
  const { root } = cleanup.use(checkOut(repository, revision));
  ways.set(revision, () => subject(root));
}
ways.set("here", () => subject(repository));

const found = new Map([...ways.keys()].map((way) => [way, [] as Figures[]]));
for (let round = 0; round < rounds; round++)
  for (const [way, measure] of ways) found.get(way)!.push(measure());

/** Median of the rounds, and of their ratios to ours. */
function cell(way: string, path: string): string {
  const theirs = found.get(way)!.map((figures) => figures[path]!);
  const ours = found.get("here")!.map((figures) => figures[path]!);
  const text = median(theirs).toFixed(1);
  return way === "here" ? text : `${text} (${median(ours.map((one, i) => one / theirs[i]!)).toFixed(2)})`;
}
const paths = Object.keys(found.get("here")![0]!);
const names = [...ways.keys()];
console.log(
  `${device}, ns (attach and heap: ns, bytes a device); in brackets: here to that, medians of ${rounds} rounds`,
);
console.log(["path".padEnd(22), ...names.map((name) => name.padStart(18))].join(""));
for (const path of paths)
  console.log([path.padEnd(22), ...names.map((way) => cell(way, path).padStart(18))].join(""));
