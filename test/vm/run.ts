#!/usr/bin/env bun
// `npm run test:vm`: prepares what a machine needs, starts each with the tests that ask for it, and sums up what they say.
// See docs/testing-without-hardware.md.
import { existsSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { availableParallelism, freemem } from "node:os";
import { join, resolve } from "node:path";
import { cacheFolder, fileText } from "./harness/cache.ts";
import { addUp, coverageOf, lcovOf } from "./harness/coverage.ts";
import { chosenMachines } from "./harness/machines-file.ts";
import { readOptions, usage } from "./harness/options.ts";
import { linksOut } from "./harness/packages.ts";
import { Preparation } from "./harness/prepare.ts";
import { commandOf, versionOf } from "./harness/qemu.ts";
import { mergedReport, totalsOf, type FileResult } from "./harness/report.ts";
import { makeRunFolder } from "./harness/run-folder.ts";
import { layOut, runSession, type Session } from "./harness/session.ts";
import { startServers } from "./harness/servers.ts";
import { extentOf, plan } from "./harness/suites.ts";
import type { Machine } from "./machines.ts";

const options = readOptions(process.argv.slice(2));
const project = resolve(import.meta.dir, "../..");
const tree = resolve(options.tree ?? project);
const say = (text: string): void => console.log(text);

async function main(): Promise<number> {
  if (options.help) {
    process.stdout.write(usage);
    return 0;
  }
  const started = performance.now();
  const chosen = await chosenMachines(options);
  if (options.shell && chosen.machines.length !== 1) throw new Error("--shell needs one --machine");
  const cache = cacheFolder();
  const preparation = new Preparation(cache, process.execPath, (line) => say(`vm: ${line}`));
  const extent = extentOf(options);
  const suites = options.suite ?? ["test/vm/suite/*.test.ts"];
  const { queues, left } = plan(tree, suites, chosen.all, extent);
  const busy = options.shell
    ? chosen.machines
    : chosen.machines.filter(({ name }) => queues.get(name)!.length > 0);
  const prepared = new Map(
    await Promise.all(busy.map(async (machine) => [machine.name, await preparation.of(machine)] as const)),
  );
  if (options.prepare) return 0;
  const runs = makeRunFolder(cache, options.keep ?? false);
  const remove = (): void => {
    if (!options.keep) rmSync(runs, { recursive: true, force: true, maxRetries: 3 });
  };
  // A signal ends this without the `finally`; the machines are killed by then.
  process.on("exit", remove);
  try {
    const packages = join(tree, "node_modules");
    for (const [link, target] of linksOut(packages, tree))
      say(
        `vm: ${link} leads out of the tree, to ${target}: the guest will not find it; install a packed one`,
      );
    const common = {
      archive: await archive(join(runs, "tree.tar")),
      packages: existsSync(packages) ? packages : undefined,
      timeout: options.timeout ?? 600,
      patience: options.patience ?? 120,
      coverage: options.coverage ?? false,
      nightly: options.nightly ?? false,
    };
    const session = (machine: Machine, folder: string): Session => ({
      ...{ ...common, machine, prepared: prepared.get(machine.name)!, out: join(runs, folder) },
    });
    if (options.shell) return await shell(session(chosen.machines[0]!, "shell"));
    for (const machine of busy) {
      const { release } = prepared.get(machine.name)!;
      const isServed = Object.values(machine.devices).some(({ served }) => served);
      const client = isServed ? `, and ${versionOf(machine, prepared.get(machine.name)!)}` : "";
      say(`vm: ${machine.name} has Linux ${release}${client}`);
    }
    const results = await runAll(busy, queues, (machine, number) =>
      session(machine, `${machine.name}-${number}`),
    );
    const more = left.filter((name) => chosen.machines.some((machine) => machine.name === name)).length;
    if (more > 0)
      say(`vm: ${more} test files more with --all and --nightly, where each machine's are counted`);
    return summary(results, runs, (performance.now() - started) / 1000);
  } finally {
    if (options.keep) say(`vm: kept ${runs}`);
    remove();
  }
}

/** The tree without what is installed, built or versioned. */
async function archive(file: string): Promise<string> {
  const left = ["./node_modules", "./.git", "./dist"].map((name) => `--exclude=${name}`);
  const tar = Bun.spawn(["tar", "-cf", file, ...left, "-C", tree, "."], { stdin: "ignore" });
  if ((await tar.exited) !== 0) throw new Error(`tar could not read ${tree}`);
  return file;
}

/** Starts machines, several at once and more than one of a kind, until each has run all of its files. */
async function runAll(
  machines: readonly Machine[],
  queues: ReadonlyMap<string, string[]>,
  session: (machine: Machine, number: number) => Session,
): Promise<FileResult[]> {
  const results: FileResult[] = [];
  const running = new Map(machines.map(({ name }) => [name, 0]));
  let number = 0;
  const load = ({ name }: Machine): number => queues.get(name)!.length / (running.get(name)! + 1);
  const worker = async (): Promise<void> => {
    for (;;) {
      const machine = machines.toSorted((a, b) => load(b) - load(a))[0];
      const queue = queues.get(machine?.name ?? "");
      // Taken before the machine is up: the next worker is to see that it is no longer waiting.
      const files = [queue?.shift()];
      if (!machine || !queue || files[0] === undefined) return;
      running.set(machine.name, running.get(machine.name)! + 1);
      const found = await runSession(
        session(machine, ++number),
        () => files.shift() ?? queue.shift(),
        (line) => {
          if (options.console) say(`${machine.name}: ${line}`);
        },
      );
      running.set(machine.name, running.get(machine.name)! - 1);
      for (const result of found) tell(result);
      results.push(...found);
    }
  };
  const inMemory = Math.floor(freemem() / (2048 * 2 ** 20));
  const jobs = options.jobs ?? Math.max(1, Math.min(2 * availableParallelism(), inMemory));
  await Promise.all(Array.from({ length: jobs }, worker));
  return results;
}

function tell({ machine, file, tests, failures, skipped, problem, log, seconds }: FileResult): void {
  const failed = failures + (problem === undefined ? 0 : 1);
  const counts = [`${tests - failures - skipped} passed`];
  if (failed > 0) counts.push(`${failed} failed`);
  if (skipped > 0) counts.push(`${skipped} skipped`);
  say(`vm: ${machine.padEnd(8)} ${file}: ${counts.join(", ")} (${seconds.toFixed(1)} s)`);
  if (failed === 0) return;
  if (problem !== undefined) say(`  ${problem}`);
  if (log !== "") for (const line of log.trimEnd().split("\n").slice(-200)) say(`  | ${line}`);
}

function summary(results: readonly FileResult[], runs: string, seconds: number): number {
  const { tests, failures, skipped } = totalsOf(results);
  const folder = process.env.BUN_VFIO_JUNIT;
  if (folder) writeFileSync(join(folder, "vm.xml"), mergedReport(results));
  if (options.coverage) {
    const lcov = readdirSync(runs, { recursive: true, encoding: "utf8" }).filter((name) =>
      name.endsWith(".lcov"),
    );
    const covered = addUp(lcov.map((name) => fileText(join(runs, name))));
    const file = join(cacheFolder(), "lcov.info");
    writeFileSync(file, lcovOf(covered));
    const { lines, run } = coverageOf(covered);
    say(`vm: ${run} of ${lines} lines of what was loaded were run: ${file}`);
  }
  if (tests === 0) say("vm: no test was run");
  const more = skipped > 0 ? `, ${skipped} skipped` : "";
  say(`vm: ${tests - failures - skipped} passed, ${failures} failed${more} in ${seconds.toFixed(0)} s`);
  return failures > 0 || tests === 0 ? 1 : 0;
}

/** For people: the machine with a shell, on this terminal. */
async function shell(session: Session): Promise<number> {
  const { machine, prepared, packages, out } = session;
  layOut(session);
  await using _ = await startServers(machine, out);
  const child = Bun.spawn(commandOf(machine, prepared, { packages, out, shell: true }), {
    stdio: ["inherit", "inherit", "inherit"],
  });
  return await child.exited;
}

try {
  process.exitCode = await main();
} catch (error) {
  console.error(`vm: ${error instanceof Error ? error.message : String(error)}`);
  process.exitCode = 1;
}
