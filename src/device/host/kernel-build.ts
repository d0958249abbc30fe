// How the running kernel was built, and which of its modules there are.
import type { Sysroot } from "./sysroot.ts";

/** Where a module is: in the kernel, on the disk, or nowhere. */
export type ModulePlace = "built-in" | "loadable" | "absent";

const maxConfigBytes = 8 * 2 ** 20;

/** Reads each file once, when it is asked for. Undefined wherever the host does not say. */
export class KernelBuild {
  readonly #files: Sysroot;
  /** As `6.12.95`. */
  readonly release: string | undefined;
  #config: ReadonlyMap<string, string> | undefined;
  #modules: ReadonlyMap<string, ModulePlace> | undefined;

  /** Of the host of `files`. */
  constructor(files: Sysroot) {
    this.#files = files;
    const release = files.text("/proc/sys/kernel/osrelease");
    this.release = release !== undefined && /^[\w.+~-]{1,64}$/.test(release) ? release : undefined;
  }

  /** `y`, `m`, `n` or a value. @param option without `CONFIG_` */
  option(option: string): string | undefined {
    this.#config ??= this.#readConfig();
    return this.#config.size === 0 ? undefined : (this.#config.get(option) ?? "n");
  }

  /** Where the modules of this kernel lie, or would. */
  get modulesFolder(): string | undefined {
    return this.release === undefined ? undefined : `/lib/modules/${this.release}`;
  }
  /** Whether that folder is there: it is gone after an update of the kernel, and not there in most containers. */
  get hasModules(): boolean {
    return this.modulesFolder !== undefined && this.#files.exists(`${this.modulesFolder}/modules.dep`);
  }

  /** Where a module is; undefined where the kernel has none. @param name as `vfio-pci`; `_` and `-` are the same */
  moduleOf(name: string): ModulePlace | undefined {
    if (!this.hasModules) return undefined;
    this.#modules ??= this.#readModules();
    return this.#modules.get(name.replaceAll("_", "-")) ?? "absent";
  }

  #readConfig(): ReadonlyMap<string, string> {
    const { release } = this;
    const paths = [`/boot/config-${release}`, `/lib/modules/${release}/config`];
    const plain = paths.find((path) => release !== undefined && this.#files.exists(path));
    const text =
      plain === undefined ? this.#zipped("/proc/config.gz") : this.#files.text(plain, maxConfigBytes);
    const lines = (text ?? "").split("\n").flatMap((line) => /^CONFIG_(\w+)=(.*)$/.exec(line) ?? []);
    const options = new Map<string, string>();
    for (let at = 0; at < lines.length; at += 3) options.set(lines[at + 1]!, lines[at + 2]!);
    return options;
  }

  #zipped(path: string): string | undefined {
    try {
      // Few programs ask, and each would wait for it at its start.
      const { gunzipSync } = require("node:zlib") as typeof import("node:zlib");
      const bytes = this.#files.bytes(path, maxConfigBytes);
      return gunzipSync(bytes, { maxOutputLength: maxConfigBytes }).toString();
    } catch {
      return undefined;
    }
  }

  /** Lines as `kernel/drivers/vfio/pci/vfio-pci.ko.xz: kernel/...`. */
  #readModules(): ReadonlyMap<string, ModulePlace> {
    const modules = new Map<string, ModulePlace>();
    for (const [file, place] of [
      ["modules.dep", "loadable"],
      ["modules.builtin", "built-in"],
    ] as const)
      for (const line of this.#files.lines(`${this.modulesFolder}/${file}`)) {
        const name = /([^/]+)\.ko(?:\.\w+)?(?::|$)/.exec(line)?.[1];
        if (name !== undefined) modules.set(name.replaceAll("_", "-"), place);
      }
    return modules;
  }
}
