// `npm run fuzz:vfio-user -- --cases N --seed S [--side server|client]`: mutated conversations with each end of vfio-user, N a
// side. Ends with status 1 at the first thing that a peer must not be able to do; the seed has it done again.
import { parseArgs } from "node:util";
import { fuzzClient } from "./client-conversations.ts";
import { fuzzServer } from "./server-conversations.ts";

const { values } = parseArgs({
  options: {
    cases: { type: "string", default: "100000" },
    seed: { type: "string", default: "1" },
    side: { type: "string" },
  },
});
const [cases, seed] = [Number(values.cases), Number(values.seed)];
if (!Number.isSafeInteger(cases) || cases < 1 || !Number.isSafeInteger(seed) || seed < 0) {
  console.error("fuzz:vfio-user: --cases must be an integer from 1, --seed one from 0");
  process.exit(2);
}

const sides = { server: fuzzServer, client: fuzzClient };
for (const [side, fuzz] of Object.entries(sides)) {
  if (values.side !== undefined && values.side !== side) continue;
  let told = performance.now();
  const onProgress = (done: number): void => {
    if (performance.now() - told < 30_000) return;
    told = performance.now();
    console.error(`${side}: ${done} of ${cases} conversations`);
  };
  console.log((await fuzz({ cases, seed, onProgress })).text(side, seed));
}
process.exit(0);
