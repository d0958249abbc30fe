// Hot reset: a reset of the bus or slot, with every function on it. Whose they are decides whether it may be done.
import { getHotResetInfo, hotReset } from "../../../ffi/vfio-reset.ts";
import { VfioError } from "../../../ffi/errors.ts";
import { formatBdf } from "../../../regs/bdf.ts";
import { driverOf, isBoundToVfio } from "../../host/device-folder.ts";
import type { Sysroot } from "../../host/sysroot.ts";
import type { Container } from "./container.ts";

/** A function that the reset reaches. */
export interface HotResetDevice {
  /** In full, as `0000:01:00.0`. */
  readonly bdf: string;
  /** IOMMU group; undefined for a device that was opened through an iommufd. */
  readonly group: number | undefined;
  /** Undefined: none has it. */
  readonly driver: string | undefined;
  /** In our hands: its group is in our container, or nobody but our iommufd has it. */
  readonly ours: boolean;
}

/** Whether the slot or the bus of a device can be reset, and what that would reach. */
export interface HotResetReport {
  /** The kernel would do it now. */
  readonly possible: boolean;
  /** Every function that it reaches, this one too; none where neither bus nor slot can be reset. */
  readonly devices: readonly HotResetDevice[];
  /** Why it is not possible, a line each. */
  readonly problems: readonly string[];
}

/** The device, and how it was opened. */
export interface HotResetTarget {
  readonly fd: number;
  readonly bdf: string;
  readonly host: Sysroot;
  /** Undefined for a device that was opened through an iommufd. */
  readonly container: Container | undefined;
}

/** Which functions a hot reset would reach, and who has them. @throws VfioError */
export function hotResetReport({ fd, bdf, host, container }: HotResetTarget): HotResetReport {
  let info: ReturnType<typeof getHotResetInfo>;
  try {
    info = getHotResetInfo(fd, { device: bdf });
  } catch (error) {
    if (!(error instanceof VfioError) || error.code !== "ENODEV") throw error;
    return {
      possible: false,
      devices: [],
      problems: ["Neither the slot nor the bus of the device can be reset."],
    };
  }
  const groups = new Set(container?.groups.map(({ number }) => number));
  const devices = info.devices.map(({ segment, bus, devfn, group, owned }) => {
    const name = formatBdf({ segment, bus, device: devfn >>> 3, function: devfn & 7 });
    const ours = group === undefined ? (owned ?? false) : groups.has(group);
    return { bdf: name, group, driver: driverOf(host, name), ours };
  });
  const problems = devices.flatMap(({ bdf: name, group, driver, ours }) => {
    if (!isBoundToVfio(host, name))
      return [`${name} is bound to ${driver ?? "no driver"}: bind it to vfio-pci too.`];
    if (ours) return [];
    return [
      group === undefined
        ? `${name} belongs to somebody else: open it with the same iommufd.`
        : `${name} is in group ${group}, which is not in this container: open a device of it there.`,
    ];
  });
  if (problems.length === 0 && info.allOwned === false) problems.push("Not every function is ours.");
  return { possible: problems.length === 0, devices, problems };
}

/** Resets the bus or slot. @throws VfioError EPERM with who has a function that is not ours */
export function doHotReset(target: HotResetTarget): void {
  const { devices, possible, problems } = hotResetReport(target);
  if (!possible)
    throw new VfioError(`${target.bdf}: hot reset is not possible`, {
      code: devices.length === 0 ? "ENODEV" : "EPERM",
      syscall: "ioctl",
      request: "VFIO_DEVICE_PCI_HOT_RESET",
      device: target.bdf,
      hint: problems.join(" "),
    });
  const reached = new Set(devices.map(({ group }) => group));
  const groups = (target.container?.groups ?? []).filter(({ number }) => reached.has(number));
  hotReset(
    target.fd,
    groups.map(({ fd }) => fd),
    { device: target.bdf },
  );
}
