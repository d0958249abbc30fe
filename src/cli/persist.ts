// A binding that outlives the next start: a rule for udev, which gives the function its driver_override before it loads a
// driver, and the module that is to be there. Neither takes a driver away.
import { mkdirSync, readFileSync, rmSync } from "node:fs";
import { dirname } from "node:path";
import type { Sysroot } from "../device/host/sysroot.ts";
import type { PciDevice } from "../device/host/pci-device.ts";
import { writeDurably } from "../ffi/durable-file.ts";
import { CliError } from "./failure.ts";
import { hex } from "../regs/hex-text.ts";

/** A file of the host's /etc. */
export interface PersistFile {
  /** The function that it is for. */
  readonly bdf: string;
  readonly path: string;
  readonly text: string;
}

const header = "# Written by bun-vfio bind --persist; bun-vfio unbind or undo deletes it.\n";
/** Before 80-drivers.rules, which loads the driver. */
const rulePath = (bdf: string): string => `/etc/udev/rules.d/70-bun-vfio-${bdf}.rules`;
const modulePath = (bdf: string): string => `/etc/modules-load.d/bun-vfio-${bdf}.conf`;
/** Whether a file is one of ours; undefined where there is none. */
function isOurs(files: Sysroot, path: string): boolean | undefined {
  if (!files.exists(path)) return undefined;
  return files.text(path)?.startsWith(header.trim()) ?? false;
}

/** Files of ours that make the binding of a function persist. */
export const persistedFiles = (files: Sysroot, bdf: string): string[] =>
  [rulePath(bdf), modulePath(bdf)].filter((path) => isOurs(files, path) === true);

/**
 * The files that make functions go to a driver at each start.
 * @throws CliError where the host has no udev, or a file of somebody else has the name
 */
export function persistFiles(files: Sysroot, devices: readonly PciDevice[], driver: string): PersistFile[] {
  if (devices.length === 0) return [];
  if (!["/etc/udev", "/usr/lib/udev", "/lib/udev"].some((path) => files.exists(path)))
    throw new CliError(
      "--persist: this host has no udev, whose rules it is made of; bind at each start instead",
    );
  return devices.flatMap(({ bdf, vendorId, deviceId }) => {
    if (vendorId === undefined || deviceId === undefined)
      throw new CliError(
        `${bdf}: --persist: sysfs does not tell its IDs, so another one in its place would be taken`,
      );
    const rule = [
      `ACTION=="add", SUBSYSTEM=="pci", KERNEL=="${bdf}"`,
      `ATTR{vendor}=="${hex(vendorId, 4)}", ATTR{device}=="${hex(deviceId, 4)}"`,
      `ATTR{driver_override}="${driver}"`,
    ].join(", ");
    const wanted = [
      { bdf, path: rulePath(bdf), text: `${header}${rule}\n` },
      { bdf, path: modulePath(bdf), text: `${header}${driver}\n` },
    ];
    const other = wanted.find(({ path }) => isOurs(files, path) === false);
    if (other)
      throw new CliError(`${other.path}: it exists, and was not written by bind --persist; move it away`);
    return wanted;
  });
}

/** Writes files. @returns what brings back what was there before @throws VfioError; then nothing was changed */
export function writePersistFiles(files: Sysroot, wanted: readonly PersistFile[]): () => void {
  const before: (PersistFile & { readonly was: string | undefined })[] = [];
  const back = (): void => {
    for (const { path, was } of before.splice(0).reverse())
      if (was === undefined) rmSync(files.at(path), { force: true });
      else writeDurably(files.at(path), was);
  };
  try {
    for (const file of wanted) {
      const at = files.at(file.path);
      const was = files.exists(file.path) ? readFileSync(at, "utf8") : undefined;
      mkdirSync(dirname(at), { recursive: true });
      writeDurably(at, file.text);
      before.push({ ...file, was });
    }
  } catch (error) {
    back();
    throw error;
  }
  return back;
}

/** Deletes files of ours. */
export function deletePersistFiles(files: Sysroot, paths: readonly string[]): void {
  for (const path of paths) rmSync(files.at(path), { force: true });
}
