// `bun bench`: ratios count, taken in one run; absolute times are this machine's. `--smoke` runs everything once, to see
// that it works, and measures nothing. `--compare REV` sets this tree beside another revision instead.
import { do_not_optimize, measure, run } from "mitata";
import { accessorBenches, type Ways } from "./accessors.ts";
import { compareRevisions } from "./compare/index.ts";
import { accessesPerIteration, configRead, deviceBenches, tableWrite } from "./device.ts";
import { eventfdLatencies, printLatencies } from "./eventfd-latency.ts";
import { ffiCosts, noCompiler, printFfiCosts } from "./ffi.ts";

const rounds = 5;
const smoke = process.argv.includes("--smoke");

const compared = process.argv.indexOf("--compare");
if (compared >= 0) process.exit(compareRevisions(process.argv.slice(compared + 1)));

const comparisons = accessorBenches();
const accesses = deviceBenches();
if (smoke) await runOnce();
else await measureAll();

async function measureAll(): Promise<void> {
  const { benchmarks } = await run({
    colors: process.stdout.isTTY && !process.env["NO_COLOR"],
    throw: true,
  });
  console.log(`\nFastest samples of ${rounds} rounds, as ratios to hand-written code:`);
  for (const [name, ways] of Object.entries(comparisons)) {
    const { hand, generated, "typed-struct": struct } = await fastest(ways);
    const ratio = (time: number): string => (time / hand).toFixed(2);
    console.log(`  ${name.padEnd(24)} generated ${ratio(generated)}, typed-struct ${ratio(struct)}`);
  }
  for (const name of [configRead, tableWrite]) {
    const stats = benchmarks.find((one) => one.alias === name)?.runs[0]?.stats;
    const time = ((stats?.p50 ?? NaN) / accessesPerIteration).toFixed(1);
    const heap = ((stats?.heap?.avg ?? 0) / accessesPerIteration).toFixed(2);
    console.log(`  ${name}: ${time} ns, ${heap} bytes allocated`);
  }
  printFfiCosts(ffiCosts(1));
  printLatencies(await eventfdLatencies(3000));
}

/** mitata gives each benchmark that it runs by itself most of a second, whatever it is told. */
async function runOnce(): Promise<void> {
  const all = [
    ...Object.values(comparisons).flatMap((ways) => Object.values(ways)),
    ...Object.values(accesses),
  ];
  for (const act of all)
    await measure(() => do_not_optimize(act()), { min_cpu_time: 1, min_samples: 1, batch_samples: 4 });
  const costs = ffiCosts(0.001);
  const latencies = await eventfdLatencies(3);
  if (costs.some(({ c }) => c === undefined)) console.log(noCompiler);
  console.log(`${all.length + costs.length + latencies.length} benchmarks run`);
}

/**
 * The fastest sample is the one that other work on the machine disturbed least. The ways take turns, since a machine may be
 * slow for longer than one measurement takes.
 */
async function fastest(ways: Ways): Promise<Record<keyof Ways, number>> {
  const least = { hand: Infinity, generated: Infinity, "typed-struct": Infinity };
  for (let round = 0; round < rounds; round++)
    for (const way of ["hand", "generated", "typed-struct"] as const) {
      const { min } = await measure(() => do_not_optimize(ways[way]()), { min_cpu_time: 1e8 });
      least[way] = Math.min(least[way], min);
    }
  return least;
}
