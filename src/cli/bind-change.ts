// A change of drivers, once it is known what is to become what: refused, shown, or done, and told.
import { jsonText } from "../image/json-text.ts";
import { unlinkSync } from "node:fs";
import {
  attributeWriter,
  bindingWrites,
  readBinding,
  shellCommand,
  type Binding,
  type Rebinding,
  type WriteAttribute,
} from "../device/host/binding.ts";
import type { Sysroot } from "../device/host/sysroot.ts";
import { printable } from "../regs/printable.ts";
import { readGroup } from "../device/host/iommu-group.ts";
import { rebind } from "../device/host/rebind.ts";
import { refuse } from "./bind-refusals.ts";
import { CliError, exitCode } from "./failure.ts";
import { findDevice } from "./host.ts";
import { print, tell, writeFiles } from "./output.ts";
import { deletePersistFiles, writePersistFiles, type PersistFile } from "./persist.ts";
import { progress } from "./progress.ts";
import { undoText } from "./undo-file.ts";

export interface ChangeOptions {
  readonly json?: boolean | undefined;
  readonly dryRun?: boolean | undefined;
  readonly force?: boolean | undefined;
  readonly undoFile?: string | undefined;
}

/** What is to be done. */
export interface Change {
  readonly rebindings: readonly Rebinding[];
  /** Reasons of the command's own to refuse it. */
  readonly doubts?: readonly string[];
  /** Files to write, for the next start. */
  readonly write?: readonly PersistFile[];
  /** Files to delete that were written for it. */
  readonly remove?: readonly string[];
}

/** Refuses, shows or does it. @param write in place of writes to sysfs, for tests @returns the exit code */
export function change(
  files: Sysroot,
  { rebindings, doubts = [], write: wanted = [], remove = [] }: Change,
  { dryRun = false, undoFile, json, force = false }: ChangeOptions,
  write?: WriteAttribute,
): number {
  refuse(files, rebindings, force, doubts);
  const before = rebindings.map(({ now }) => now);
  const writes = rebindings.flatMap(({ now, wanted }) => bindingWrites(now, wanted));
  if (!dryRun) {
    checkDrivers(files, rebindings);
    const persisted = new Set(wanted.map(({ bdf }) => bdf));
    if (undoFile !== undefined)
      writeFiles(
        [{ path: undoFile, text: undoText(files, bindingsOf(files, before, persisted), persisted) }],
        { force: false },
      );
    let back = (): void => {};
    try {
      back = writePersistFiles(files, wanted);
      rebind(files, rebindings, { write: shown(write ?? attributeWriter(files)), force });
    } catch (error) {
      attempt("the files for the next start stay", back);
      if (undoFile !== undefined && before.every((one) => isAsBefore(files, one)))
        attempt(`${undoFile} is of no use, and cannot be deleted`, () => unlinkSync(undoFile));
      throw error;
    }
    deletePersistFiles(files, remove);
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
    const changed = [
      ...wanted.map(({ path, text }) => ({ path, text })),
      ...remove.map((path) => ({ path, text: null })),
    ];
    const all = { formatVersion: 1, dryRun, devices: shown, writes, files: changed };
    print(`${jsonText(all, undefined, 2)}\n`);
  } else if (dryRun)
    print(
      [
        ...wanted.flatMap(({ path, text }) => [`cat > ${path} <<'END'`, `${text}END`]),
        ...writes.map(shellCommand),
        ...remove.map((path) => `rm ${path}`),
      ]
        .map((line) => `${line}\n`)
        .join(""),
    );
  else
    print(
      [
        ...devices.map(({ bdf, from, to }) => printable(`${bdf}: ${changeText(from, to)}`)),
        ...wanted.map(({ path }) => `${path}: written, for the next start`),
        ...remove.map((path) => `${path}: deleted`),
      ]
        .map((line) => `${line}\n`)
        .join(""),
    );
  if (rebindings.length + wanted.length + remove.length === 0) tell("nothing to do");
  if (!dryRun) noteBlocked(files, before);
  return exitCode.ok;
}

/** The kernel answers a write when a driver has let go of its device, or taken it: a second, or as long as that is open. */
const shown =
  (write: WriteAttribute): WriteAttribute =>
  (one, bdf) => {
    progress.wait(shellCommand(one));
    write(one, bdf);
  };

/** A function that has its driver already is in the undo file for the sake of its files. */
const bindingsOf = (
  files: Sysroot,
  before: readonly Binding[],
  persisted: ReadonlySet<string>,
): Binding[] => [
  ...before,
  ...[...persisted]
    .filter((bdf) => before.every((one) => one.bdf !== bdf))
    .map((bdf) => readBinding(files, bdf)),
];

/** Drivers that functions are to get by name must be there. What is only shown needs none. */
function checkDrivers(files: Sysroot, rebindings: readonly Rebinding[]): void {
  for (const { now, wanted } of rebindings) {
    const { driver } = wanted;
    if (
      typeof driver === "string" &&
      driver !== now.driver &&
      !files.exists(`/sys/bus/pci/drivers/${driver}`)
    )
      throw new CliError(`${now.bdf}: the driver ${driver} is not loaded; load it: modprobe ${driver}`);
  }
}

/** What is tried after a failure is no reason to hide that. @param what stays where it fails */
function attempt(what: string, act: () => void): void {
  try {
    act();
  } catch {
    tell(`note: ${what}`);
  }
}

/** `nvme -> vfio-pci`; `nvme stays, driver_override vfio-pci -> none`. */
function changeText(from: Binding, to: Binding): string {
  const is = ({ driver }: Binding): string => driver ?? "no driver";
  if (from.driver !== to.driver || from.driverOverride === to.driverOverride)
    return `${is(from)} -> ${is(to)}`;
  return `${is(from)} stays, driver_override ${from.driverOverride ?? "none"} -> ${to.driverOverride ?? "none"}`;
}

const isAsBefore = (files: Sysroot, before: Binding): boolean =>
  Bun.deepEquals(readBinding(files, before.bdf), before);

/** A function that was bound is of no use as long as the host keeps another one of its group. */
function noteBlocked(files: Sysroot, changed: readonly Binding[]): void {
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
      tell(`note: group ${id} is still held by ${names}; bind them too, or add --group`);
    }
  }
}
