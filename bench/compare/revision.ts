// A revision of this repository as files that can be run: its tree, with the packages that it asks for.
import { cpSync, existsSync, mkdtempSync, readFileSync, rmSync, symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

/** Files of a revision. */
export interface Checkout extends Disposable {
  readonly root: string;
  /** For the table: a short hash, or "working tree". */
  readonly name: string;
}

function run(cmd: string[], cwd: string): string {
  const { exitCode, stdout, stderr } = Bun.spawnSync({
    cmd,
    cwd,
    stdin: "ignore",
    stdout: "pipe",
    stderr: "pipe",
  });
  if (exitCode === 0) return stdout.toString().trim();
  throw new Error(`${cmd.join(" ")} exits with ${exitCode}: ${stderr.toString().trim()}`);
}

/**
 * A revision in a folder of its own, which disposing of it removes. Packages are those of `repository` where both locks are
 * equal; else they are installed, which npm does.
 * @param revision as git knows it @throws Error where git or npm fails
 */
export function checkOut(repository: string, revision: string): Checkout {
  const commit = run(
    ["git", "rev-parse", "--verify", "--quiet", "--end-of-options", `${revision}^{commit}`],
    repository,
  );
  const root = mkdtempSync(join(tmpdir(), "bun-vfio-compare-"));
  const remove = (): void => rmSync(root, { recursive: true, force: true });
  try {
    run(["git", "archive", `--output=${join(root, "tree.tar")}`, commit], repository);
    run(["tar", "-xf", "tree.tar"], root);
    const lock = (folder: string): string => {
      const path = join(folder, "package-lock.json");
      return existsSync(path) ? readFileSync(path, "utf8") : "";
    };
    if (lock(root) === lock(repository))
      symlinkSync(join(repository, "node_modules"), join(root, "node_modules"));
    else {
      cpSync(join(repository, ".npmrc"), join(root, ".npmrc"), { force: false });
      run(["npm", "ci", "--omit=dev", "--ignore-scripts", "--no-audit"], root);
    }
  } catch (error) {
    remove();
    throw error;
  }
  return { root, name: commit.slice(0, 9), [Symbol.dispose]: remove };
}

/** The files that lie here, changed or not. */
export const workingTree = (repository: string): Checkout => ({
  root: repository,
  name: "working tree",
  [Symbol.dispose]() {},
});
