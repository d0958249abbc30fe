// From nothing to what machines are started from: programs and kernels of Debian's, the rebuilt VFIO modules, the guests' initramfs.
import { realpathSync } from "node:fs";
import { join } from "node:path";
import type { Machine } from "../machines.ts";
import { cached, fileHash, fileText } from "./cache.ts";

/** What a machine is started from; paths. */
export interface Prepared {
  /** A root with QEMU, its firmware and libraries. */
  readonly tools: string;
  /** A root with the programs of the guest's architecture. */
  readonly programs: string;
  readonly kernel: string;
  /** What becomes the guest's /lib/modules. */
  readonly modules: string;
  readonly initramfs: string;
  /** Of that kernel, as uname -r has it. */
  readonly release: string;
}

const folder = join(import.meta.dir, "../prepare");
const script = (name: string): string => join(folder, name);
/** What the scripts share. */
const shared = [script("view.sh"), join(folder, "../../../scripts/private-apt.sh")].map(fileText);

/** @throws Error with what the script said */
async function run(name: string, ...args: string[]): Promise<void> {
  const child = Bun.spawn(["sh", script(name), ...args], {
    stdin: "ignore",
    stdout: "ignore",
    stderr: "pipe",
  });
  const said = await new Response(child.stderr).text();
  if ((await child.exited) !== 0) throw new Error(said.trimEnd() || `${name} exited with ${child.exitCode}`);
}

/** As Debian names it. */
const flavourOf = ({ arch, pages }: Machine): string =>
  arch === "aarch64" ? `arm64${pages === 16 ? "-16k" : ""}` : "amd64";

/** Prepares what machines need, each part once, and what does not depend on another at the same time. */
export class Preparation {
  readonly #cache: string;
  readonly #bun: string;
  readonly #tell: (line: string) => void;
  readonly #make: typeof run;
  readonly #steps = new Map<string, Promise<string>>();

  /**
   * @param bun the Bun that runs in guests that are as this machine @param tell hears of each step that is not there yet
   * @param make runs a script of `prepare/`; the last argument is the folder to fill
   */
  constructor(cache: string, bun: string, tell: (line: string) => void, make = run) {
    this.#cache = cache;
    this.#bun = bun;
    this.#tell = tell;
    this.#make = make;
  }

  /** @throws Error with what a script said */
  async of(machine: Machine): Promise<Prepared> {
    const { arch, kernel: suite = "trixie" } = machine;
    const flavour = flavourOf(machine);
    const tools = await this.#step("tools", [], "getting QEMU and compilers from Debian (30 s)", []);
    const kernel = await this.#kernel(tools, suite, flavour);
    const modules = suite === "bookworm" ? kernel : await this.#modules(tools, kernel);
    const programs = arch === "aarch64" ? await this.#userland() : tools;
    const bun = await this.#bunFor(machine);
    const release = fileText(join(kernel, "release")).trim();
    const musl = machine.libc === "musl" ? await this.#musl() : undefined;
    const inputs = [
      tools,
      kernel,
      modules,
      programs,
      musl ?? "",
      fileText(script("guest-init.sh")),
      await fileHash(bun),
    ];
    const root = join(programs, "root");
    const image = await this.#step("image", inputs, `building the initramfs of ${release}`, [
      ...[tools, root, kernel, modules, bun, musl ?? ""],
    ]);
    return {
      ...{ tools: join(tools, "root"), programs: root, release },
      kernel: join(kernel, "vmlinuz"),
      modules: join(kernel, "root/lib/modules"),
      initramfs: join(image, "initramfs.cpio"),
    };
  }

  #kernel(tools: string, suite: string, flavour: string): Promise<string> {
    const what = `getting ${suite}'s kernel for ${flavour}`;
    return this.#step("kernel", [suite, flavour], what, [tools, suite, flavour]);
  }

  #modules(tools: string, kernel: string): Promise<string> {
    const release = fileText(join(kernel, "release")).trim();
    const inputs = [kernel, fileText(script("inject-once.c"))];
    return this.#step("modules", inputs, `rebuilding the VFIO modules of ${release}`, [tools, kernel]);
  }

  #userland(): Promise<string> {
    return this.#step("userland", [], "getting the guests' programs for aarch64", ["arm64"]);
  }

  #musl(): Promise<string> {
    return this.#step("musl", [], "getting musl and what Bun needs over it", []);
  }

  async #bunFor({ arch, libc }: Machine): Promise<string> {
    const target = arch === "aarch64" ? "linux-aarch64" : "linux-x64-musl";
    if (arch !== "aarch64" && libc !== "musl") return realpathSync(this.#bun);
    const { version } = Bun;
    const got = await this.#step("bun", [target, version], `getting Bun ${version} for ${target}`, [
      ...[target, version],
    ]);
    return join(got, "bun");
  }

  /** A folder that a script fills, made once for all machines of a run and all inputs. */
  #step(name: string, inputs: readonly string[], what: string, args: readonly string[]): Promise<string> {
    const all = [fileText(script(`${name}.sh`)), ...shared, ...inputs];
    const key = JSON.stringify([name, all]);
    const made =
      this.#steps.get(key) ??
      cached(this.#cache, name, all, async (out) => {
        this.#tell(what);
        await this.#make(`${name}.sh`, ...args, out);
      });
    this.#steps.set(key, made);
    return made;
  }
}
