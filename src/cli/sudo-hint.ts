// Why `sudo bun-vfio` says that there is no bun: it looks in few folders, and Bun installs itself into a home directory.

/** Where sudo looks by default (secure_path of sudoers(5), as Debian, Ubuntu and Fedora set it). */
const securePath = ["/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin"];

const quoted = (word: string): string =>
  /^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`;

/** A process as it was started. */
export interface Started {
  readonly uid: number | undefined;
  /** The Bun that runs it. */
  readonly bun: string;
  readonly script: string;
  readonly args: readonly string[];
}

/** How to do it as root where sudo does not find Bun; undefined for root, and where it does. */
export function sudoHint(
  { uid, bun, script, args }: Started,
  exists: (path: string) => boolean,
): string | undefined {
  if (uid === 0 || securePath.some((folder) => exists(`${folder}/bun`))) return undefined;
  return `sudo does not find Bun where it is, so: sudo ${[bun, script, ...args].map(quoted).join(" ")}`;
}
