// `npm run fuzz -- --cases N --seed S [--only NAME,...]`: N inputs over all properties, a million where nothing is said. Prints
// how often what was drawn took effect. Ends with status 1 at the first input that a property does not hold of, the smallest like
// it printed as a test file.
import { properties } from "./all.ts";
import { fuzzOptions, runFuzz } from "./fuzz-run.ts";

const options = fuzzOptions(process.argv.slice(2), properties);
if (typeof options === "string") {
  console.error(`fuzz: ${options}`);
  process.exit(2);
}
process.exit(runFuzz(options.chosen, options, (text) => console.log(text)) ? 0 : 1);
