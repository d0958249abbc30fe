// One start of a machine: hands the guest one test file after the other until there are none, and reads what came of them.
import { existsSync, mkdirSync, renameSync, truncateSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Machine } from "../machines.ts";
import { boot } from "./boot.ts";
import type { Prepared } from "./prepare.ts";
import { Monitor, Requests } from "./monitor.ts";
import { commandOf, diskOf } from "./qemu.ts";
import { readResults, type FileResult } from "./report.ts";
import { startServers } from "./servers.ts";

export interface Session {
  readonly machine: Machine;
  readonly prepared: Prepared;
  /** A tar file of what becomes /src. */
  readonly archive: string;
  /** What becomes /src/node_modules. */
  readonly packages: string | undefined;
  /** A folder for this start, which becomes /out. */
  readonly out: string;
  /** In seconds, for each test file. */
  readonly timeout: number;
  /** How long a guest may take to start, and to end a test file that is too late; in seconds. */
  readonly patience: number;
  readonly coverage: boolean;
  /** What takes longest is wanted, too: tests see BUN_VFIO_VM_NIGHTLY. */
  readonly nightly: boolean;
}

/** What the guest's tests see of this process's environment: CI, and all of Bun's and of the project's but what is the harness's own. */
const passedOn = /^(?:CI$|BUN_(?!VFIO_JUNIT|VFIO_VM))/;

/** Fills `out` with what the guest reads when it starts. */
export function layOut({
  machine,
  prepared,
  archive,
  packages,
  out,
  timeout,
  coverage,
  nightly,
}: Session): void {
  mkdirSync(out, { recursive: true });
  for (const [name, { disk }] of Object.entries(machine.devices)) {
    if (!disk) continue;
    writeFileSync(diskOf(out, name), "");
    truncateSync(diskOf(out, name), 16 * 2 ** 20);
  }
  const settings = {
    ...Object.fromEntries(Object.entries(process.env).filter(([name]) => passedOn.test(name))),
    VM_FILE_TIMEOUT: String(timeout),
    // A test may take as long as its file: what hangs is ended with the file.
    VM_TEST_TIMEOUT: String(1000 * timeout),
    VM_COVERAGE: coverage ? "1" : "",
    VM_PACKAGES: packages === undefined ? "" : "1",
    BUN_VFIO_VM_MACHINE: machine.name,
    BUN_VFIO_VM_IOMMU: machine.iommu,
    BUN_VFIO_VM_NIGHTLY: nightly ? "1" : "",
  };
  const lines = Object.entries(settings).map(([name, value]) => `export ${name}=${quoted(value ?? "")}\n`);
  writeFileSync(join(out, "environment"), lines.join(""));
  // One for all: a second name, not a second copy. The kernel is for the guests of a guest.
  Bun.spawnSync(["ln", archive, join(out, "tree.tar")]);
  Bun.spawnSync(["ln", prepared.kernel, join(out, "vmlinuz")]);
}

const quoted = (value: string): string => `'${value.replaceAll("'", "'\\''")}'`;

/** How long a hung machine has to say where, in milliseconds. */
const lastWords = 2000;

/** What is known of a machine that hangs; its kernel's own words come on the console. */
async function autopsyOf(monitor: Monitor | undefined): Promise<string> {
  const registers = monitor?.autopsy().catch(({ message }: Error) => message);
  // A QEMU that hangs answers nothing.
  const [said] = await Promise.all([Promise.race([registers, Bun.sleep(lastWords)]), Bun.sleep(lastWords)]);
  return said ?? "QEMU's monitor says nothing";
}

/** @param next gives the test files, then undefined @param line hears what appears on the console */
export async function runSession(
  session: Session,
  next: () => string | undefined,
  line: (text: string) => void,
): Promise<FileResult[]> {
  const { machine, prepared, packages, out, timeout, patience } = session;
  layOut(session);
  await using _ = await startServers(machine, out);
  const given: string[] = [];
  const hung = new AbortController();
  let number = 1;
  let heard = performance.now();
  let monitor: Monitor | undefined;
  const requests = new Requests(machine, out);
  const timer = setInterval(() => {
    if (performance.now() - heard > 1000 * (timeout + patience)) hung.abort();
    void requests.look(monitor);
    if (!existsSync(join(out, `${number}.ask`))) return;
    heard = performance.now();
    const file = next();
    if (file !== undefined) given.push(file);
    writeFileSync(join(out, "answer"), file ?? "");
    renameSync(join(out, "answer"), join(out, `${number++}.file`));
  }, 50);
  try {
    const end = await boot(
      commandOf(machine, prepared, { packages, out, shell: false }),
      out,
      hung.signal,
      () => autopsyOf(monitor),
      line,
      (fd) => {
        // Without a monitor, what a test asks of it is not done in time; that QEMU did not start, `boot` tells.
        Monitor.on(fd).then(
          (connected) => (monitor = connected),
          () => {},
        );
      },
    );
    const problem = number === 1 ? "ended before it asked for a test file" : end.problem;
    return readResults(machine.name, given, out, { ...end, problem });
  } finally {
    clearInterval(timer);
  }
}
