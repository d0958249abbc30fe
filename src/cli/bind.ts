import { unlinkSync } from "node:fs";
import {
  bindingWrites,
  readBinding,
  rebind,
  shellCommand,
  toBefore,
  toDriver,
  toHost,
  toNoDriver,
  type Binding,
  type Rebinding,
  type WriteAttribute,
} from "../device/host/binding.ts";
import type { HostFiles } from "../device/host/host-files.ts";
import { readGroup } from "../device/host/iommu-group.ts";
import { isHostPart, type PciDevice } from "../device/host/pci-device.ts";
import { bindRefusals, unbindRefusals } from "./bind-refusals.ts";
import { CliError, exitCode, oneLine } from "./failure.ts";
import { findDevice, hostFiles } from "./host.ts";
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
  const devices = named(files, bdfs, options).filter(
    (device) => device.driver !== driver || device.driverOverride !== driver,
  );
  // A bridge that comes with its group keeps forwarding without its driver; vfio-pci takes none.
  const asked = new Set(bdfs.map((bdf) => findDevice(files, bdf).bdf));
  const isFreed = ({ bdf, bridge }: PciDevice): boolean => bridge && !asked.has(bdf);
  const refusals = bindRefusals(
    files,
    devices.filter((device) => !isFreed(device)),
  );
  if (!options.force) refuse(refusals, "--force binds it all the same");
  const rebindings = devices.map((device): Rebinding => {
    const now = readBinding(files, device.bdf);
    return { now, wanted: isFreed(device) ? toNoDriver(now) : toDriver(driver) };
  });
  return change(files, rebindings, options, write);
}

/** Gives functions back to the host's drivers. */
export function unbindCommand(bdfs: readonly string[], options: BindOptions, write?: WriteAttribute): number {
  const files = hostFiles();
  const devices = named(files, bdfs, options);
  const bound = devices.filter(({ vfio, driverOverride }) => vfio || driverOverride !== undefined);
  const [other] = devices.filter((device) => !bound.includes(device));
  if (other && !options.group) {
    const is = other.driver === undefined ? "has no driver" : `is bound to ${other.driver}`;
    throw new CliError(`${other.bdf} ${is}, not to a VFIO driver; there is nothing to unbind`);
  }
  if (!options.force) refuse(unbindRefusals(files, bound), "--force waits until they let go of it");
  const rebindings = bound.map(({ bdf }) => ({ now: readBinding(files, bdf), wanted: toHost }));
  return change(files, rebindings, options, write);
}

/** Puts functions back to the drivers that an undo file names. */
export function undoCommand(path: string, options: BindOptions, write?: WriteAttribute): number {
  const files = hostFiles();
  const rebindings = readUndo(path)
    .toReversed()
    .map((before): Rebinding => {
      findDevice(files, before.bdf);
      return { now: readBinding(files, before.bdf), wanted: toBefore(before) };
    })
    .filter(({ now, wanted }) => bindingWrites(now, wanted).length > 0);
  if (!options.force) {
    const devices = rebindings.map(({ now }) => findDevice(files, now.bdf));
    refuse(unbindRefusals(files, devices), "--force waits until they let go of it");
  }
  return change(files, rebindings, options, write);
}

/** The functions that were named, each once, and with `--group` all of their groups but bridges that are in nobody's way. */
function named(files: HostFiles, bdfs: readonly string[], { group }: BindOptions): PciDevice[] {
  const devices = bdfs.map((bdf) => findDevice(files, bdf));
  const all = devices.flatMap((device) => {
    const members = group && device.iommuGroup !== undefined && readGroup(files, device.iommuGroup)?.members;
    return members
      ? members.flatMap(({ pci, state }) => (pci && (!isHostPart(pci) || state === "blocks") ? pci : []))
      : device;
  });
  return [...new Map(all.map((device) => [device.bdf, device])).values()];
}

function refuse(reasons: readonly string[], force: string): void {
  const [first, ...rest] = reasons;
  if (first === undefined) return;
  const more = rest.length === 0 ? "" : ` (and ${rest.length} more: ${rest.join("; ")})`;
  throw new CliError(`refused: ${first}${more}; ${force}`);
}

function change(
  files: HostFiles,
  rebindings: readonly Rebinding[],
  options: BindOptions,
  write?: WriteAttribute,
): number {
  const { dryRun = false, undoFile, json } = options;
  const before = rebindings.map(({ now }) => now);
  const writes = rebindings.flatMap(({ now, wanted }) => bindingWrites(now, wanted));
  if (!dryRun) {
    if (undoFile !== undefined) writeFiles([{ path: undoFile, text: undoText(before) }], false);
    try {
      rebind(files, rebindings, write);
    } catch (error) {
      if (undoFile !== undefined && before.every((one) => isAsBefore(files, one))) unlinkSync(undoFile);
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
  else
    print(
      devices
        .map(({ bdf, from, to }) => `${bdf}: ${from.driver ?? "no driver"} -> ${to.driver ?? "no driver"}\n`)
        .join(""),
    );
  if (rebindings.length === 0) process.stderr.write("bun-vfio: note: nothing is to do\n");
  if (!dryRun) noteBlocked(files, before);
  return exitCode.ok;
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
