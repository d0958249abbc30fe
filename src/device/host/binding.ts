import { closeSync, constants, openSync, writeSync } from "node:fs";
import { VfioError } from "../../ffi/errors.ts";
import { errorText } from "./error-text.ts";
import type { Sysroot } from "./sysroot.ts";
import { deviceFolder, driverOf } from "./device-folder.ts";

/** Which driver drives a function, and which one alone may. */
export interface Binding {
  /** In full, as `0000:01:00.0`. */
  readonly bdf: string;
  /** Undefined: none has it. */
  readonly driver: string | undefined;
  /** The one driver that may have it; undefined: any that knows it. */
  readonly driverOverride: string | undefined;
}

/** One write to a file of sysfs; `value` without the line's end that goes with it. */
export interface SysfsWrite {
  /** Of the host, from `/sys` on. */
  readonly path: string;
  /** Empty to clear it. */
  readonly value: string;
}

/**
 * What a function's binding is to become. `driver` is the one to have, null for none, undefined for whichever of the
 * host's takes it.
 */
export interface WantedBinding {
  /** Null for none, undefined for whichever of the host's takes it. */
  readonly driver: string | null | undefined;
  /** Undefined clears it. */
  readonly driverOverride: string | undefined;
}

/** How a function gets to a VFIO driver, whatever IDs that knows: by `driver_override`. */
export const bindTo = (driver: string): WantedBinding => ({ driver, driverOverride: driver });
/** How a function gets back to whichever driver of the host claims it. */
export const unbind: WantedBinding = { driver: undefined, driverOverride: undefined };
/** How a function gets back to what it had. */
export const restoreBinding = ({ driver, driverOverride }: Binding): WantedBinding => ({
  driver: driver ?? null,
  driverOverride,
});

/** How a function is bound now. */
export function readBinding(files: Sysroot, bdf: string): Binding {
  const override = files.text(`${deviceFolder(bdf)}/driver_override`);
  return {
    bdf,
    driver: driverOf(files, bdf),
    driverOverride: override === "(null)" || override === "" ? undefined : override,
  };
}

/** The writes from one binding to another, in their order; none where a named driver, or none, is there already. */
export function bindingWrites(now: Binding, wanted: WantedBinding): SysfsWrite[] {
  const folder = deviceFolder(now.bdf);
  const writes: SysfsWrite[] = [];
  if (now.driverOverride !== wanted.driverOverride)
    writes.push({ path: `${folder}/driver_override`, value: wanted.driverOverride ?? "" });
  if ((now.driver ?? null) === wanted.driver) return writes;
  if (now.driver !== undefined) writes.push({ path: `${folder}/driver/unbind`, value: now.bdf });
  if (wanted.driver === undefined || wanted.driver === wanted.driverOverride)
    writes.push({ path: "/sys/bus/pci/drivers_probe", value: now.bdf });
  else if (wanted.driver !== null)
    writes.push({ path: `/sys/bus/pci/drivers/${wanted.driver}/bind`, value: now.bdf });
  return writes;
}

/** How a function that no VFIO driver has gets its `driver_override` cleared: a driver that it has stays. */
export const clearOverride = ({ driver }: Binding): WantedBinding => ({ driver, driverOverride: undefined });

/** Takes a function's driver away, and leaves the rest as it is: for a bridge, which no other driver may have. */
export const detachDriver = ({ driverOverride }: Binding): WantedBinding => ({
  driver: null,
  driverOverride,
});

/** A write as a shell does it: `echo 0000:01:00.0 > /sys/bus/pci/drivers_probe`. */
export const shellCommand = ({ path, value }: SysfsWrite): string =>
  `echo ${value === "" ? "" : `${value} `}> ${path}`;

/** Does a write. @throws VfioError that tells what to do about it */
export type WriteAttribute = (write: SysfsWrite, bdf: string) => void;

const hints: Readonly<Record<string, string>> = {
  EACCES: "Do it as root.",
  EPERM: "Do it as root.",
  EROFS: "Sysfs is read-only here, as in most containers: do it on the host.",
  ENOENT: "The device or the driver went away: look at it again with bun-vfio ls.",
  ENODEV: "The driver refuses the device: the kernel's log tells why.",
  EINVAL: "The driver refuses the device: the kernel's log tells why.",
  EBUSY: "The device is in use: the kernel's log tells by whom.",
};

/** Writes to the files of a host. */
export const attributeWriter =
  (files: Sysroot): WriteAttribute =>
  ({ path, value }, bdf) => {
    try {
      // One write, and no file made where sysfs has none; otherwise as a shell's `>` does it.
      const fd = openSync(files.at(path), constants.O_WRONLY | constants.O_TRUNC);
      try {
        writeSync(fd, `${value}\n`);
      } finally {
        closeSync(fd);
      }
    } catch (error) {
      const { code = "EIO", errno, syscall } = error as NodeJS.ErrnoException;
      throw new VfioError(`${bdf}: cannot write ${JSON.stringify(value)} to ${path}: ${errorText(error)}`, {
        code,
        errno: errno === undefined ? undefined : Math.abs(errno),
        syscall,
        request: path,
        device: bdf,
        hint: hints[code],
        cause: error,
      });
    }
  };

/** A function and what it is to become. */
export interface Rebinding {
  /** What it is. */
  readonly now: Binding;
  /** What it is to be. */
  readonly wanted: WantedBinding;
}
