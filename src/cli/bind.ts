// The commands that change drivers: what each of them wants.
import {
  bindingWrites,
  readBinding,
  restoreBinding,
  unbind,
  clearOverride,
  type Rebinding,
  type WriteAttribute,
} from "../device/host/binding.ts";
import { deviceFolder } from "../device/host/device-folder.ts";
import { change, type ChangeOptions } from "./bind-change.ts";
import { each, plannedBindings, withGroups } from "./bind-plan.ts";
import { CliError } from "./failure.ts";
import { findDevice, sysroot, idsText } from "./host.ts";
import { persistedFiles, persistFiles } from "./persist.ts";
import { readUndo } from "./undo-file.ts";

export interface BindOptions extends ChangeOptions {
  readonly group?: boolean | undefined;
  readonly driver?: string | undefined;
  /** At each start, too. */
  readonly persist?: boolean | undefined;
}

/** Binds functions to a VFIO driver: all of them or none. @param write in place of writes to sysfs, for tests */
export function bindCommand(bdfs: readonly string[], options: BindOptions, write?: WriteAttribute): number {
  const files = sysroot();
  const driver = options.driver ?? "vfio-pci";
  if (!/^\w[\w-]{0,63}$/.test(driver))
    throw new CliError(`--driver: ${JSON.stringify(driver.slice(0, 80))} is no name of a driver`);
  const devices = bdfs.map((bdf) => findDevice(files, bdf));
  const asked = new Set(devices.map(({ bdf }) => bdf));
  const taken = options.group ? withGroups(files, devices) : each(devices);
  // A bridge that comes along is not to lose its driver at each start.
  const lasting = options.persist ? taken.filter(({ bridge }) => !bridge) : [];
  return change(
    files,
    {
      rebindings: plannedBindings(files, taken, asked, driver),
      write: persistFiles(files, lasting, driver),
    },
    options,
    write,
  );
}

/**
 * Gives functions back to the host's drivers, for the next start too. One that no VFIO driver has loses its
 * `driver_override` alone.
 */
export function unbindCommand(bdfs: readonly string[], options: BindOptions, write?: WriteAttribute): number {
  const files = sysroot();
  const named = bdfs.map((bdf) => findDevice(files, bdf));
  const devices = options.group ? withGroups(files, named) : each(named);
  const remove = devices.flatMap(({ bdf }) => persistedFiles(files, bdf));
  const given = devices.filter(({ vfio, driverOverride }) => vfio || driverOverride !== undefined);
  const [other] = devices.filter((device) => !given.includes(device));
  if (other && !options.group && remove.length === 0) {
    const is = other.driver === undefined ? "has no driver" : `is bound to ${other.driver}`;
    throw new CliError(`${other.bdf} ${is}, not to a VFIO driver; there is nothing to unbind`);
  }
  const rebindings = given.map(({ bdf, vfio }): Rebinding => {
    const now = readBinding(files, bdf);
    return { now, wanted: vfio || now.driver === undefined ? unbind : clearOverride(now) };
  });
  return change(files, { rebindings, remove }, options, write);
}

/** Puts functions back to the drivers that an undo file names. */
export function undoCommand(path: string, options: BindOptions, write?: WriteAttribute): number {
  const files = sysroot();
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
    .map((before): Rebinding => ({ now: readBinding(files, before.bdf), wanted: restoreBinding(before) }))
    .filter(({ now, wanted }) => bindingWrites(now, wanted).length > 0);
  const remove = saved.flatMap(({ bdf, persisted }) => (persisted ? persistedFiles(files, bdf) : []));
  const missing = gone.map(({ bdf }) => `${bdf}: this host has no such device any more`);
  return change(files, { rebindings, doubts: [...missing, ...changed], remove }, options, write);
}
