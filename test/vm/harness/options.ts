// What can be said on the command line.
import { parseArgs } from "node:util";

export const usage = `usage: npm run test:vm -- [OPTION...]
  --all             also what test files leave to a run of everything; a --suite is always run as a whole
  --nightly         also what takes longest
  --machine NAME    only on this machine; may be repeated
  --suite GLOB      test files below the tree, test/vm/suite/*.test.ts unless given; may be repeated
  --tree FOLDER     what the guest sees as /src: this project unless given
  --machines FILE   a module that exports \`machines\` in place of test/vm/machines.ts
  --jobs N          machines at once: two a CPU unless given, since they often wait for a device
  --timeout S       for each test file: 600 unless given
  --patience S      how long a machine may say nothing besides: 120 unless given
  --coverage        adds up which lines were run
  --console         shows the guests' consoles
  --keep            keeps what the run left: consoles, logs, reports, disks
  --shell           a shell in the machine in place of the tests (needs --machine)
  --prepare         gets and builds what is needed, and starts nothing
`;

const known = {
  all: { type: "boolean" },
  nightly: { type: "boolean" },
  machine: { type: "string", multiple: true },
  suite: { type: "string", multiple: true },
  tree: { type: "string" },
  machines: { type: "string" },
  jobs: { type: "string" },
  timeout: { type: "string" },
  patience: { type: "string" },
  coverage: { type: "boolean" },
  console: { type: "boolean" },
  keep: { type: "boolean" },
  shell: { type: "boolean" },
  prepare: { type: "boolean" },
  help: { type: "boolean", short: "h" },
} as const;

type Texts = ReturnType<typeof parseArgs<{ options: typeof known }>>["values"];
type Numbers = "jobs" | "timeout" | "patience";
export type Options = Omit<Texts, Numbers> & Readonly<Partial<Record<Numbers, number>>>;

/** Ends the process with 2 where there is no such option. */
export function readOptions(args: readonly string[]): Options {
  try {
    const { jobs, timeout, patience, ...texts } = parseArgs({ args: [...args], options: known }).values;
    return {
      ...texts,
      ...(jobs !== undefined && { jobs: numberOf("jobs", jobs, 1) }),
      ...(timeout !== undefined && { timeout: numberOf("timeout", timeout) }),
      ...(patience !== undefined && { patience: numberOf("patience", patience) }),
    };
  } catch (error) {
    console.error(`vm: ${error instanceof Error ? error.message : String(error)}`);
    process.exit(2);
  }
}

/** @param least above 0 unless given */
function numberOf(name: string, text: string, least = Number.MIN_VALUE): number {
  const value = Number(text);
  if (text.trim() !== "" && Number.isFinite(value) && value >= least) return value;
  throw new Error(`--${name} must be a number ${least === 1 ? "from 1 on" : "above 0"}, not "${text}"`);
}
