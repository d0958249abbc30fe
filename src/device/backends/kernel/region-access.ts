// Reads and writes of regions: one pread(2) or pwrite(2) each, which answers with an error where a mapping would end
// the process.
import { errnoName } from "../../../ffi/errno.ts";
import { VfioError } from "../../../ffi/errors.ts";
import { systemCalls } from "../../../ffi/system-calls.ts";
import type { DeviceRegionInfo } from "../../../ffi/vfio-region.ts";
import { regionName } from "../../../regs/vfio/regions.ts";
import { capabilityId, layoutOf, powerManagementCapability, standardEnd } from "../../../regs/index.ts";
import { hex } from "../../address/range.ts";
import { offsetOf } from "../../pci/config-offset.ts";
import { command, memorySpace } from "../../pci/header-registers.ts";
import { RegionIndex } from "../../../regs/vfio/regions.ts";

/** An open device, as its regions are reached. */
export interface OpenRegions {
  readonly fd: number;
  /** Its BDF, for messages. */
  readonly name: string;
  readonly regions: readonly DeviceRegionInfo[];
}

/** Fills `data` from a region. @throws VfioError */
export const readRegion = (of: OpenRegions, region: number, offset: number, data: Uint8Array): void =>
  transfer("pread", of, region, offset, data);

/** Writes all of `data` to a region. @throws VfioError */
export const writeRegion = (of: OpenRegions, region: number, offset: number, data: Uint8Array): void =>
  transfer("pwrite", of, region, offset, data);

type Call = "pread" | "pwrite";

function transfer(call: Call, of: OpenRegions, region: number, offset: number, data: Uint8Array): void {
  const info = check(call, of, region, offset, data.length);
  const done = systemCalls()[call](of.fd, data, data.length, info.offset + offset);
  if (done !== data.length) throw failed(call, of, region, offset, data.length, done < 0 ? -done : undefined);
}

/** An offset beyond the region would reach the next one in the device file. */
function check(
  syscall: Call,
  { name, regions }: OpenRegions,
  region: number,
  offset: number,
  size: number,
): DeviceRegionInfo {
  const info = regions[region];
  let why: string | undefined;
  if (!info || !Number.isSafeInteger(offset) || offset < 0 || offset + size > info.size)
    why = `the region has ${info?.size ?? 0} bytes`;
  else if (!(syscall === "pread" ? info.readable : info.writable))
    why = `the region is not ${syscall === "pread" ? "readable" : "writable"}`;
  if (info && why === undefined) return info;
  const code = region === RegionIndex.config ? "EFAULT" : "EINVAL";
  throw new VfioError(`${text(syscall, name, region, offset, size)} fails with ${code}: ${why}`, {
    code,
    syscall,
    device: name,
  });
}

const text = (syscall: string, name: string, region: number, offset: number, size: number): string =>
  `${name}: ${syscall} of ${size} at ${regionName(region)} ${hex(offset)}`;

function failed(
  syscall: Call,
  of: OpenRegions,
  region: number,
  offset: number,
  size: number,
  errno: number | undefined,
): VfioError {
  // The kernel moves what it can: a part alone means that the device refused the rest.
  const code = errno === undefined ? "EIO" : errnoName(errno);
  const why = errno === undefined ? ": only a part was moved" : "";
  return new VfioError(`${text(syscall, of.name, region, offset, size)} fails with ${code}${why}`, {
    code,
    errno,
    syscall,
    device: of.name,
    hint: code === "EIO" || code === "ENODEV" ? silentHint(of, region) : undefined,
  });
}

const powerState = powerManagementCapability.field("control.powerState");

/** Why a device does not answer at a BAR. */
function silentHint({ fd, regions }: OpenRegions, region: number): string | undefined {
  if (region === RegionIndex.config) return "The device does not answer: it may be gone, or in D3cold.";
  const info = regions[RegionIndex.config];
  const config = new Uint8Array(new ArrayBuffer(standardEnd));
  if (!info || systemCalls().pread(fd, config, standardEnd, info.offset) !== standardEnd) return undefined;
  const view = new DataView(config.buffer);
  if (!memorySpace.read(view))
    return `Memory decoding is off: set bit ${memorySpace.lo} of COMMAND, at ${hex(command.at)} of config space, first.`;
  const power = layoutOf(config).capabilities.find(
    ({ id, extended, map }) =>
      id === capabilityId.powerManagement && !extended && map.size >= powerManagementCapability.size,
  );
  const state = power && powerState.read(view, power.offset);
  if (power && state !== "D0")
    return `The device sleeps, in ${state}: write 0 to bits ${powerState.hi}:${powerState.lo} of PMCSR, at ${hex(offsetOf(powerState.register, power))} of config space, first.`;
  return "The device does not answer: it may be in a reset, or gone.";
}
