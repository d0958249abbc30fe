// The command line.
import { parseArgs } from "node:util";
import { formatBdf, parseBdf } from "bun-vfio/regs";
import { largestMemory, lastSlot, GiB, KiB, MiB, mostCpus, pageSize, smallestMemory } from "./layout.ts";
import type { Api } from "./devices/host-devices.ts";
import { socketOf } from "./devices/socket-devices.ts";
import type { PcOptions } from "./pc.ts";

export const usage = `usage: bun examples/vmm/main.ts --kernel FILE [OPTION...]
  --kernel FILE       a Linux kernel for x86-64, as /boot/vmlinuz-*
  --initrd FILE       its initramfs
  --cmdline TEXT      its command line; "console=ttyS0" unless given
  --memory SIZE       64M to 63G; 512M unless given
  --cpus N            1 to 32; 1 unless given
  --device BDF        a device that is bound to vfio-pci, for the next slot; may be repeated
  --device vfio-user:PATH   a device that a vfio-user server has at a socket
  --api WAY           how devices are opened: group, iommufd, or auto (default)
  --snapshot FILE     where Ctrl-A s saves the machine: FILE, and its memory in FILE.ram (or FILE.ram2, as FILE says)
  --restore FILE      goes on with a saved machine; only --api and --snapshot are looked at besides
  --trace FILE        writes what the models of the devices do to FILE and FILE.1, 64 MiB each at most
  --flight-recorder FILE   keeps the newest of it for bun-vfio trace and replay: of slot 1 in FILE, of slot 2 in FILE.2
  --flight-live PATH  a socket that shows what slot 1's recorder gets: bun-vfio trace --live PATH
  --no-reboot         ends with status 3 when the guest resets itself
exit status: 0 the guest turned itself off, or Ctrl-A; 1 something is wrong; 2 the command line is; 3 see --no-reboot
`;

export interface VmmOptions extends PcOptions {
  readonly snapshot: string | undefined;
  readonly restore: string | undefined;
  readonly trace: string | undefined;
  readonly flightRecorder: string | undefined;
  readonly flightLive: string | undefined;
  readonly reboot: boolean;
}

/** A command line that says nothing sensible. */
export class UsageError extends Error {}

const units: Readonly<Record<string, number>> = { K: KiB, M: MiB, G: GiB };

const refuse = (option: string, wants: string, text: string): UsageError =>
  new UsageError(`${option} wants ${wants}, not "${text}"`);

/** @throws UsageError */
export function parseSize(text: string): number {
  const [, digits, unit] = /^(\d{1,15})([KMG])i?B?$/i.exec(text) ?? [];
  const size = Number(digits) * (units[unit?.toUpperCase() ?? ""] ?? NaN);
  if (size >= smallestMemory && size <= largestMemory && size % pageSize === 0) return size;
  const range = `from ${smallestMemory / MiB}M to ${largestMemory / GiB}G`;
  throw refuse("--memory", `a size such as 512M, ${range}`, text);
}

function parseCpus(text: string): number {
  const cpus = Number(text);
  if (Number.isInteger(cpus) && cpus >= 1 && cpus <= mostCpus) return cpus;
  throw refuse("--cpus", `a number from 1 to ${mostCpus}`, text);
}

function parseApi(text: string): Api {
  if (text === "auto" || text === "group" || text === "iommufd") return text;
  throw refuse("--api", "group, iommufd or auto", text);
}

function parseDevice(text: string): string {
  if (socketOf(text) !== undefined) return text;
  try {
    return formatBdf(parseBdf(text));
  } catch {
    throw refuse("--device", "the address of a PCI device such as 0000:01:00.0, or vfio-user:PATH", text);
  }
}

const known = {
  kernel: { type: "string" },
  initrd: { type: "string" },
  cmdline: { type: "string", default: "console=ttyS0" },
  memory: { type: "string", default: "512M" },
  cpus: { type: "string", default: "1" },
  device: { type: "string", multiple: true, default: [] as string[] },
  api: { type: "string", default: "auto" },
  snapshot: { type: "string" },
  restore: { type: "string" },
  trace: { type: "string" },
  "flight-recorder": { type: "string" },
  "flight-live": { type: "string" },
  "no-reboot": { type: "boolean", default: false },
  help: { type: "boolean", short: "h", default: false },
} as const;

/** @returns undefined where only help is wanted @throws UsageError */
export function parseOptions(words: readonly string[]): VmmOptions | undefined {
  let values: ReturnType<typeof read>;
  const read = () => parseArgs({ args: [...words], options: known }).values;
  try {
    values = read();
  } catch (error) {
    throw new UsageError((error as Error).message);
  }
  if (values.help) return undefined;
  if (values.kernel === undefined && values.restore === undefined)
    throw new UsageError("--kernel is missing");
  const devices = values.device.map(parseDevice);
  if (devices.length > lastSlot) throw new UsageError(`there are ${lastSlot} slots for devices`);
  const twice = devices.find((bdf, i) => devices.indexOf(bdf) !== i);
  if (twice !== undefined) throw new UsageError(`--device ${twice} is there twice`);
  if (values.trace !== undefined && values["flight-recorder"] !== undefined)
    throw new UsageError("--trace and --flight-recorder exclude each other");
  if (values["flight-live"] !== undefined && values["flight-recorder"] === undefined)
    throw new UsageError("--flight-live needs --flight-recorder");
  return {
    kernel: values.kernel ?? "",
    initrd: values.initrd,
    commandLine: values.cmdline,
    memory: parseSize(values.memory),
    cpus: parseCpus(values.cpus),
    devices,
    api: parseApi(values.api),
    snapshot: values.snapshot,
    restore: values.restore,
    trace: values.trace,
    flightRecorder: values["flight-recorder"],
    flightLive: values["flight-live"],
    reboot: !values["no-reboot"],
  };
}
