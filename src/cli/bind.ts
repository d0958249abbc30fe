import { unlinkSync } from "node:fs";
import { rebind } from "../device/host/rebind.ts";
import {
  bindingWrites,
  readBinding,
  shellCommand,
  toBefore,
  toHost,
  toOwnDriver,
  type Binding,
  type Rebinding,
  type WriteAttribute,
} from "../device/host/binding.ts";
import { deviceFolder } from "../device/host/device-folder.ts";
import type { HostFiles } from "../device/host/host-files.ts";
import { readGroup } from "../device/host/iommu-group.ts";
import { each, plannedBindings, withGroups } from "./bind-plan.ts";
import { refuse } from "./bind-refusals.ts";
import { CliError, exitCode, oneLine } from "./failure.ts";
import { findDevice, hostFiles, idsText } from "./host.ts";
import { print, writeFiles } from "./output.ts";
import { readUndo, undoText } from "./undo-file.ts";

export interface BindOptions {
  readonly json?: boolean | undefined;
  readonly dryRun?: boolean | undefined;
  readonly force?: boolean | undefined;
  readonly group?: boolean | undefined;
  readonly undoFile?: string | undefined;
  readonly driver?: string | undefined;
}

/** Binds functions to a VFIO driver: all of them or none. @param write in place of writes to sysfs, for tests */
export function bindCommand(bdfs: readonly string[], options: BindOptions, write?: WriteAttribute): number {
  const files = hostFiles();
  const driver = options.driver ?? "vfio-pci";
  if (!/^[\w-]+$/.test(driver) || !files.exists(`/sys/bus/pci/drivers/${driver}`))
    throw new CliError(`the driver ${driver} is not loaded; load it: modprobe ${driver}`);
  const devices = bdfs.map((bdf) => findDevice(files, bdf));
  const asked = new Set(devices.map(({ bdf }) => bdf));
  const taken = options.group ? withGroups(files, devices) : each(devices);
  return change(files, plannedBindings(files, taken, asked, driver), options, write);
}

/** Gives functions back to the host's drivers. One that no VFIO driver has loses its `driver_override` alone. */
export function unbindCommand(bdfs: readonly string[], options: BindOptions, write?: WriteAttribute): number {
  const files = hostFiles();
  const named = bdfs.map((bdf) => findDevice(files, bdf));
  const devices = options.group ? withGroups(files, named) : each(named);
  const given = devices.filter(({ vfio, driverOverride }) => vfio || driverOverride !== undefined);
  const [other] = devices.filter((device) => !given.includes(device));
  if (other && !options.group) {
    const is = other.driver === undefined ? "has no driver" : `is bound to ${other.driver}`;
    throw new CliError(`${other.bdf} ${is}, not to a VFIO driver; there is nothing to unbind`);
  }
  const rebindings = given.map(({ bdf, vfio }): Rebinding => {
    const now = readBinding(files, bdf);
    return { now, wanted: vfio || now.driver === undefined ? toHost : toOwnDriver(now) };
  });
  return change(files, rebindings, options, write);
}

/** Puts functions back to the drivers that an undo file names. */
export function undoCommand(path: string, options: BindOptions, write?: WriteAttribute): number {
  const files = hostFiles();
  const saved = readUndo(path).toReversed();
  const gone = saved.filter(({ bdf }) => !files.exists(deviceFolder(bdf)));
  const there = saved.filter((before) => !gone.includes(before));
  const changed = there.flatMap(({ bdf, ids }) => {
    const is = idsText(findDevice(files, bdf));
    return ids === undefined || ids === is
      ? []
      : [`${bdf}: it is another device than when the file was written: ${is}, not ${ids}`];
  });
  const rebindings = there
    .map((before): Rebinding => ({ now: readBinding(files, before.bdf), wanted: toBefore(before) }))
    .filter(({ now, wanted }) => bindingWrites(now, wanted).length > 0);
  const unloaded = rebindings.find(
    ({ now, wanted: { driver } }) =>
      typeof driver === "string" && driver !== now.driver && !files.exists(`/sys/bus/pci/drivers/${driver}`),
  );
  if (unloaded) {
    const { now, wanted } = unloaded;
    throw new CliError(
      `${now.bdf}: the driver ${wanted.driver} is not loaded; load it: modprobe ${wanted.driver}`,
    );
  }
  const missing = gone.map(({ bdf }) => `${bdf}: this host has no such device any more`);
  return change(files, rebindings, options, write, [...missing, ...changed]);
}

function change(
  files: HostFiles,
  rebindings: readonly Rebinding[],
  options: BindOptions,
  write?: WriteAttribute,
  doubts?: readonly string[],
): number {
  const { dryRun = false, undoFile, json, force = false } = options;
  refuse(files, rebindings, force, doubts);
  const before = rebindings.map(({ now }) => now);
  const writes = rebindings.flatMap(({ now, wanted }) => bindingWrites(now, wanted));
  if (!dryRun) {
    if (undoFile !== undefined) writeFiles([{ path: undoFile, text: undoText(files, before) }], false);
    try {
      rebind(files, rebindings, { write, force });
    } catch (error) {
      if (undoFile !== undefined && before.every((one) => isAsBefore(files, one))) tryUnlink(undoFile);
      throw error;
    }
  }
  const devices = before.map((from) => ({ bdf: from.bdf, from, to: readBinding(files, from.bdf) }));
  if (json) {
    const facts = ({ driver, driverOverride }: Binding): unknown => ({
      driver: driver ?? null,
      driverOverride: driverOverride ?? null,
    });
    const shown = devices.map(({ bdf, from, to }) => ({
      bdf,
      from: facts(from),
      to: dryRun ? null : facts(to),
    }));
    print(`${JSON.stringify({ formatVersion: 1, dryRun, devices: shown, writes }, undefined, 2)}\n`);
  } else if (dryRun) print(writes.map((one) => `${shellCommand(one)}\n`).join(""));
  else print(devices.map(({ bdf, from, to }) => `${bdf}: ${changeText(from, to)}\n`).join(""));
  if (rebindings.length === 0) process.stderr.write("bun-vfio: note: nothing is to do\n");
  if (!dryRun) noteBlocked(files, before);
  return exitCode.ok;
}

/** `nvme -> vfio-pci`; `nvme stays, driver_override vfio-pci -> none`. */
function changeText(from: Binding, to: Binding): string {
  const is = ({ driver }: Binding): string => driver ?? "no driver";
  if (from.driver !== to.driver || from.driverOverride === to.driverOverride)
    return `${is(from)} -> ${is(to)}`;
  return `${is(from)} stays, driver_override ${from.driverOverride ?? "none"} -> ${to.driverOverride ?? "none"}`;
}

/** An undo file that stays is of no harm, and no reason to hide what failed before. */
function tryUnlink(path: string): void {
  try {
    unlinkSync(path);
  } catch {
    process.stderr.write(`bun-vfio: ${oneLine(`note: ${path} is of no use, and cannot be deleted`)}\n`);
  }
}

const isAsBefore = (files: HostFiles, before: Binding): boolean =>
  Bun.deepEquals(readBinding(files, before.bdf), before);

/** A function that was bound is of no use as long as the host keeps another one of its group. */
function noteBlocked(files: HostFiles, changed: readonly Binding[]): void {
  const groups = new Set(
    changed.flatMap(({ bdf }) => {
      const { vfio, iommuGroup } = findDevice(files, bdf);
      return vfio && iommuGroup !== undefined ? iommuGroup : [];
    }),
  );
  for (const id of groups) {
    const culprits = (readGroup(files, id)?.members ?? []).filter(({ state }) => state === "blocks");
    if (culprits.length > 0) {
      const names = culprits.map(({ name, driver }) => `${name} (${driver})`).join(", ");
      const note = `note: group ${id} is still held by ${names}; bind them too, or add --group`;
      process.stderr.write(`bun-vfio: ${oneLine(note)}\n`);
    }
  }
}
