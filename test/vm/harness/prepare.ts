// From nothing to what a machine is started from: Debian's packages, the rebuilt VFIO modules, the guest's initramfs.
import { realpathSync } from "node:fs";
import { join } from "node:path";
import { cached, fileHash, fileText } from "./cache.ts";

/** What machines are started from; paths. */
export interface Prepared {
  /** Debian's packages, unpacked: QEMU, firmware, libraries, modules. */
  readonly root: string;
  readonly kernel: string;
  readonly initramfs: string;
  /** Of that kernel, as uname -r has it. */
  readonly release: string;
}

const folder = join(import.meta.dir, "../prepare");
const script = (name: string): string => join(folder, name);

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

/**
 * @param bun the Bun that runs in the guest @param tell hears of each step that is not there yet
 * @param make runs a script of `prepare/`; the last argument is the folder to fill
 * @throws Error
 */
export async function prepare(
  cache: string,
  bun: string,
  tell: (line: string) => void,
  make = run,
): Promise<Prepared> {
  const step = (name: string, inputs: readonly string[], what: string, args: readonly string[] = []) =>
    cached(cache, name, [fileText(script(`${name}.sh`)), ...inputs], async (out) => {
      tell(what);
      await make(`${name}.sh`, ...args, out);
    });
  const apt = fileText(join(folder, "../../../scripts/private-apt.sh"));
  const packages = await step("packages", [apt], "getting QEMU, a compiler and a kernel from Debian (1 min)");
  const versions = fileText(join(packages, "versions"));
  const modules = await step("modules", [versions], "rebuilding the VFIO modules", [packages]);
  const program = realpathSync(bun);
  const inputs = [versions, modules, fileText(script("guest-init.sh")), await fileHash(program)];
  const image = await step("image", inputs, "building the initramfs", [packages, modules, program]);
  const release = fileText(join(packages, "release")).trim();
  const root = join(packages, "root");
  return {
    root,
    kernel: join(root, `boot/vmlinuz-${release}`),
    initramfs: join(image, "initramfs.cpio"),
    release,
  };
}
