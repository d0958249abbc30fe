import {
  accessSync,
  closeSync,
  constants,
  existsSync,
  openSync,
  opendirSync,
  readSync,
  readlinkSync,
  realpathSync,
} from "node:fs";
import { basename, join, relative } from "node:path";

/** Entries that are looked at in one directory: more than any host has, so that no directory is read without end. */
const maxEntries = 65536;

/**
 * The `/sys`, `/proc` and `/dev` of a host below some root, read only. What is not there, cannot be read or went away
 * meanwhile is undefined or empty: on a running host that is no failure. Paths are those of the host, as `/sys/class/net`.
 */
export class Sysroot {
  /** Where the host's tree lies: `/`, or a copy's folder. */
  readonly root: string;

  /**
   * The files below a folder.
   * @param root where the host's tree lies; anything but `/` is a copy, as tests make one
   */
  constructor(root = "/") {
    this.root = root;
  }

  /** Where a path of the host lies for this process. */
  at(path: string): string {
    return join(this.root, path);
  }

  /** A file's text without blanks around it, cut after `limit` bytes. */
  text(path: string, limit = 4096): string | undefined {
    try {
      return new TextDecoder().decode(this.bytes(path, limit)).trim();
    } catch {
      return undefined;
    }
  }

  /** A file's first `limit` bytes at most. @throws what Node throws where it cannot be read */
  bytes(path: string, limit: number): Uint8Array {
    const fd = openSync(this.at(path), constants.O_RDONLY | constants.O_NONBLOCK);
    try {
      const chunks: Uint8Array[] = [];
      for (let size = 0; size < limit;) {
        const chunk = new Uint8Array(Math.min(limit - size, 65536));
        const taken = readSync(fd, chunk, 0, chunk.length, null);
        if (taken === 0) break;
        chunks.push(chunk.subarray(0, taken));
        size += taken;
      }
      return Buffer.concat(chunks);
    } finally {
      closeSync(fd);
    }
  }

  /** Its lines, without empty ones; none where there is no such file. */
  lines(path: string, limit = 2 ** 24): string[] {
    return (this.text(path, limit) ?? "").split("\n").filter((line) => line !== "");
  }

  /** Names in a directory, sorted. */
  list(path: string): string[] {
    const names: string[] = [];
    try {
      const directory = opendirSync(this.at(path));
      try {
        for (
          let entry = directory.readSync();
          entry && names.length < maxEntries;
          entry = directory.readSync()
        )
          names.push(entry.name);
      } finally {
        directory.closeSync();
      }
    } catch {
      return [];
    }
    return names.sort();
  }

  /** What a symbolic link holds. */
  target(path: string): string | undefined {
    try {
      return readlinkSync(this.at(path));
    } catch {
      return undefined;
    }
  }

  /** The last part of what a symbolic link holds: the driver of `driver`, the group of `iommu_group`. */
  linkName(path: string): string | undefined {
    const target = this.target(path);
    return target === undefined ? undefined : basename(target);
  }

  /** A path of the host with every symbolic link followed. */
  resolve(path: string): string | undefined {
    try {
      return `/${relative(realpathSync(this.root), realpathSync(this.at(path)))}`;
    } catch {
      return undefined;
    }
  }

  /** Whether there is anything at a path, which is absolute, as `/dev/vfio/vfio`. */
  exists(path: string): boolean {
    return existsSync(this.at(path));
  }

  /** Whether this process may open it for reading and writing, by its mode. */
  mayUse(path: string): boolean {
    try {
      accessSync(this.at(path), constants.R_OK | constants.W_OK);
      return true;
    } catch {
      return false;
    }
  }
}

/** The host that this process runs on. */
export const thisHost: Sysroot = new Sysroot();
