// A Linux in the virtual machine's own virtual machine: an initramfs with a script of the test's, and the VMM that boots it.
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { basename, dirname, join } from "node:path";
import { root } from "../../../support/tree.ts";
import { newFlight, replayFlights } from "./flights.ts";

/** Debian's kernel, which the harness puts there. */
export const kernel = "/out/vmlinuz";
const release = readFileSync("/proc/sys/kernel/osrelease", "utf8").trim();
const modules = `/lib/modules/${release}`;

/** Files of modules with those that they need, in the order in which they load. */
function withNeeded(names: readonly string[]): string[] {
  const lines = readFileSync(`${modules}/modules.dep`, "utf8").trim().split("\n");
  const files = names.flatMap((name) => {
    const line = lines.find((each) => basename(each.split(":")[0]!) === `${name}.ko.xz`);
    if (line === undefined) throw new Error(`Debian's kernel has no module ${name}`);
    const [own, needed] = line.split(":") as [string, string];
    return [...needed.trim().split(/ +/).filter(Boolean).toReversed(), own];
  });
  return [...new Set(files)];
}

/** Programs of this machine with all of its libraries, for `makeInitramfs`. */
export function withLibraries(...programs: readonly string[]): Record<string, string> {
  const libraries = "/lib/x86_64-linux-gnu";
  const paths = [
    ...[...programs, "/lib64/ld-linux-x86-64.so.2"],
    ...readdirSync(libraries).map((name) => join(libraries, name)),
  ];
  return Object.fromEntries(paths.map((path) => [path, path]));
}

const init = `#!/bin/sh
export PATH=/bin
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t devtmpfs dev /dev
for module in /modules/*.ko; do [ ! -e "$module" ] || insmod "$module"; done
stty -echo 2>/dev/null
echo "L2 up $(cut -d' ' -f1 /proc/uptime)"
sh /script
poweroff -f
`;

/**
 * An initramfs whose guest loads modules, runs a script and turns itself off.
 * @param script for busybox's shell @param names of modules of Debian's kernel
 * @param files more of them: where the guest has one, and where it is here
 * @returns its path
 */
export function makeInitramfs(
  script: string,
  names: readonly string[] = [],
  files: Readonly<Record<string, string>> = {},
): string {
  const work = mkdtempSync(join(tmpdir(), "l2-"));
  const tree = join(work, "tree");
  for (const folder of ["bin", "dev", "proc", "sys", "tmp", "modules"])
    mkdirSync(join(tree, folder), { recursive: true });
  copyFileSync("/bin/busybox", join(tree, "bin/busybox"));
  Bun.spawnSync(["chmod", "+x", join(tree, "bin/busybox")]);
  const applets = Bun.spawnSync(["/bin/busybox", "--list"]).stdout.toString().trim().split("\n");
  for (const applet of applets) if (applet !== "busybox") symlinkSync("busybox", join(tree, "bin", applet));
  withNeeded(names).forEach((file, i) => {
    const name = `${String(i).padStart(2, "0")}-${basename(file, ".xz")}`;
    const unpacked = Bun.spawnSync(["xz", "-dc", join(modules, file)]).stdout;
    writeFileSync(join(tree, "modules", name), unpacked);
  });
  for (const [to, from] of Object.entries(files)) {
    mkdirSync(join(tree, dirname(to)), { recursive: true });
    // What is there by that name is a link to busybox.
    rmSync(join(tree, to), { force: true });
    copyFileSync(from, join(tree, to));
  }
  writeFileSync(join(tree, "init"), init, { mode: 0o755 });
  writeFileSync(join(tree, "script"), script);
  const archive = join(work, "l2.cpio");
  const packed = Bun.spawnSync(["sh", "-c", `find . | cpio -o -H newc >${archive}`], { cwd: tree });
  rmSync(tree, { recursive: true });
  if (packed.exitCode !== 0 || !existsSync(archive)) throw new Error(packed.stderr.toString());
  return archive;
}

/** What a guest's kernel is told besides: few messages, since each letter is an exit, and no waiting after a panic. */
export const commandLine = "console=ttyS0 quiet panic=-1";

export interface VmmRun {
  readonly status: number | null;
  readonly output: string;
  /** What the VMM itself had to say. */
  readonly said: string;
}

/** A VMM that runs: the example, or a peer. */
export class Vmm implements Disposable {
  readonly #child: Bun.Subprocess<"pipe", "pipe", "pipe">;
  readonly #ended: Promise<VmmRun>;
  readonly #flight: string | undefined;
  #output = "";
  #said = "";
  #heard: (() => void)[] = [];

  /** @param command with its words @param flight where it records what its devices do, which is replayed at its end */
  constructor(command: readonly string[], flight?: string) {
    this.#flight = flight;
    this.#child = Bun.spawn([...command], {
      stdin: "pipe",
      stdout: "pipe",
      stderr: "pipe",
    });
    const follow = async (stream: ReadableStream<Uint8Array>, add: (text: string) => void): Promise<void> => {
      const decoder = new TextDecoder();
      for await (const chunk of stream) {
        const text = decoder.decode(chunk, { stream: true }).replaceAll("\r", "");
        add(text);
        // Into the test's log at once, so that one sees where it hung.
        process.stdout.write(text);
        for (const heard of this.#heard.splice(0)) heard();
      }
      for (const heard of this.#heard.splice(0)) heard();
    };
    this.#ended = Promise.all([
      follow(this.#child.stdout, (text) => (this.#output += text)),
      follow(this.#child.stderr, (text) => (this.#said += text)),
      this.#child.exited,
    ]).then(([, , status]) => ({ status, output: this.#output, said: this.#said }));
  }

  /** Waits until the guest, or the VMM, has said something so many times. @throws Error where the VMM has ended before */
  async hear(text: string, times = 1): Promise<void> {
    const heard = (): boolean => `${this.#output}\n${this.#said}`.split(text).length > times;
    while (!heard()) {
      if (this.#child.exitCode !== null && (await this.#ended, !heard()))
        throw new Error(`the VMM ended with ${this.#child.exitCode} and never said "${text}"`);
      await new Promise<void>((resolve) => {
        this.#heard.push(resolve);
        void this.#child.exited.then(() => resolve());
      });
    }
  }

  /** What it holds of the host: what its descriptors are open on, and how much of devices and virtual machines it has mapped. */
  held(): string[] {
    const folder = `/proc/${this.#child.pid}`;
    const files = readdirSync(`${folder}/fd`).map((fd) => readlinkSync(`${folder}/fd/${fd}`));
    const mapped = readFileSync(`${folder}/maps`, "utf8")
      .split("\n")
      .filter((line) => /vfio|kvm/.test(line))
      .map((line) => {
        const [start, end] = line.split(/[- ]/, 2).map((text) => Number.parseInt(text, 16)) as [
          number,
          number,
        ];
        return `mapped 0x${(end - start).toString(16)} of ${line.split(/ +/)[5]}`;
      });
    // A pipe's number says nothing.
    return [...files.map((name) => name.replace(/\d+\]$/, "]")), ...mapped].sort();
  }

  /** Types. */
  type(text: string): void {
    this.#child.stdin.write(text);
    this.#child.stdin.flush();
  }

  /** @throws Error where what its devices did does not replay the same */
  async end(): Promise<VmmRun> {
    const run = await this.#ended;
    if (this.#flight !== undefined && run.status === 0) {
      const accesses = replayFlights(this.#flight).map((count) => count ?? "more than are kept");
      console.log(`recorded and replayed, accesses of each device: ${accesses.join(", ")}`);
    }
    return run;
  }

  [Symbol.dispose](): void {
    this.#child.kill("SIGKILL");
  }
}

/** What starts the example with these words. */
export const exampleCommand = (...words: readonly string[]): string[] => [
  ...[process.execPath, join(root, "examples/vmm/main.ts"), ...words],
];
/** Starts the example with these words. */
export const startExample = (...words: readonly string[]): Vmm => new Vmm(exampleCommand(...words));

/** Words with which the example boots Debian's kernel, with an initramfs and more words. */
export const bootWords = (initrd: string, ...words: readonly string[]): string[] => [
  ...["--kernel", kernel, "--initrd", initrd, "--cmdline", commandLine, "--memory", "256M", ...words],
];
/** What boots it so. */
export const bootCommand = (initrd: string, ...words: readonly string[]): string[] =>
  exampleCommand(...bootWords(initrd, ...words));
/** Boots Debian's kernel in the example, with an initramfs and more words. What its devices do is recorded, and replays the same. */
export function boot(initrd: string, ...words: readonly string[]): Vmm {
  if (!words.includes("--device")) return new Vmm(bootCommand(initrd, ...words));
  const flight = newFlight();
  return new Vmm(bootCommand(initrd, ...words, "--flight-recorder", flight), flight);
}
