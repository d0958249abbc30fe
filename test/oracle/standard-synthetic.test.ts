import { expect } from "bun:test";
import { oracleTest, runLspci } from "../support/lspci.ts";
import { seededRandom } from "../support/random.ts";
import { compareConfig, takeComparedCount } from "./compare.ts";
import { standardRules } from "./standard-rules.ts";
import { standardKinds, synthesize } from "./synthetic.ts";

const each = 150;
// What lspci has no more than a title for has nothing to compare.
const titleOnly = /^(Null|VPD|hot-plug|AGP3 bridge|unknown .*)$/;

for (const kind of standardKinds)
  oracleTest(`${each} random ${kind.name} capabilities decode as lspci decodes them`, () => {
    const random = seededRandom(0x5eed + kind.id);
    const configs = Array.from({ length: each }, () => synthesize(kind, random));
    takeComparedCount();
    const differences = runLspci(configs).flatMap((device, index) =>
      compareConfig(configs[index]!, device, { which: "standard", rules: standardRules }),
    );
    expect(differences.slice(0, 8)).toEqual([]);
    if (!titleOnly.test(kind.name)) expect(takeComparedCount()).toBeGreaterThanOrEqual(each);
  });
