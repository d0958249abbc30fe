// What takes long is made once, and kept outside of the tree under a key of everything that it was made from.
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  renameSync,
  readdirSync,
  rmSync,
  statSync,
  utimesSync,
} from "node:fs";
import { homedir } from "node:os";
import { join } from "node:path";

/** BUN_VFIO_VM_CACHE, or bun-vfio/vm below XDG_CACHE_HOME or ~/.cache. */
export const cacheFolder = (
  environment: Readonly<Record<string, string | undefined>> = process.env,
): string =>
  environment.BUN_VFIO_VM_CACHE ||
  join(environment.XDG_CACHE_HOME || join(homedir(), ".cache"), "bun-vfio/vm");

/**
 * @param inputs what the result depends on: the content of files, versions, settings
 * @param make fills an empty folder; should it throw, nothing is kept
 * @returns the folder, made now or before
 */
export async function cached(
  cache: string,
  step: string,
  inputs: readonly string[],
  make: (folder: string) => Promise<void>,
): Promise<string> {
  const key = new Bun.CryptoHasher("sha256").update(JSON.stringify(inputs)).digest("hex").slice(0, 16);
  const folder = join(cache, `${step}-${key}`);
  if (existsSync(folder)) {
    utimesSync(folder, new Date(), new Date());
    return folder;
  }
  mkdirSync(cache, { recursive: true });
  forget(cache, `${step}-`);
  const work = mkdtempSync(join(cache, `${step}-work-`));
  try {
    await make(work);
    renameSync(work, folder);
  } catch (error) {
    rmSync(work, { recursive: true, force: true });
    // Another run was faster.
    if (!existsSync(folder)) throw error;
  }
  return folder;
}

/** Removes what nobody has used for a month. */
function forget(cache: string, prefix: string): void {
  const old = Date.now() - 30 * 24 * 3600_000;
  for (const name of readdirSync(cache))
    if (name.startsWith(prefix) && statSync(join(cache, name)).mtimeMs < old)
      rmSync(join(cache, name), { recursive: true, force: true });
}

export const fileText = (path: string): string => readFileSync(path, "utf8");

/** Of a file that is too big to be a key itself. */
export const fileHash = async (path: string): Promise<string> =>
  new Bun.CryptoHasher("sha256").update(await Bun.file(path).bytes()).digest("hex");
