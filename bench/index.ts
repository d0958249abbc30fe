// `bun bench`: ratios count, taken in one run; absolute times are this machine's. `--smoke` runs everything once, to see
// that it works, and measures nothing.
import { run } from "mitata";
import { accessorBenches, comparisons } from "./accessors.ts";
import { accessesPerIteration, configRead, deviceBenches, tableWrite } from "./device.ts";

const smoke = process.argv.includes("--smoke");

accessorBenches();
deviceBenches();
const { benchmarks } = await run({
  colors: process.stdout.isTTY && !process.env["NO_COLOR"],
  format: smoke ? "quiet" : "mitata",
  ...(smoke && { min_cpu_time: 1, min_samples: 1 }),
  throw: true,
} as Parameters<typeof run>[0]);
if (smoke) console.log(`${benchmarks.length} benchmarks run`);
else {
  // The fastest sample is the one that other work on the machine disturbed least.
  const fastest = (alias: string): number =>
    benchmarks.find((one) => one.alias === alias)?.runs[0]?.stats?.min ?? NaN;
  console.log("\nFastest samples of this run, as ratios to hand-written code:");
  for (const name of comparisons) {
    const ratio = (way: string): string => (fastest(`${name}: ${way}`) / fastest(`${name}: hand`)).toFixed(2);
    console.log(
      `  ${name.padEnd(24)} generated ${ratio("generated")}, typed-struct ${ratio("typed-struct")}`,
    );
  }
  for (const name of [configRead, tableWrite]) {
    const stats = benchmarks.find((one) => one.alias === name)?.runs[0]?.stats;
    const time = ((stats?.p50 ?? NaN) / accessesPerIteration).toFixed(1);
    const heap = ((stats?.heap?.avg ?? 0) / accessesPerIteration).toFixed(2);
    console.log(`  ${name}: ${time} ns, ${heap} bytes allocated`);
  }
}
