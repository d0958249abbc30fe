import { uapiName } from "../regs/ioctl/constants.ts";
import { iommufdRequest } from "../regs/ioctl/iommufd-requests.ts";
import {
  kvmDeviceRequest,
  kvmSystemRequest,
  kvmVcpuRequest,
  kvmVmRequest,
} from "../regs/ioctl/kvm-requests.ts";
import { vfioRequest } from "../regs/ioctl/vfio-requests.ts";
import type { Syscall } from "./syscall.ts";
import { hex, hexDigits } from "../regs/hex-text.ts";

const tables = [
  vfioRequest,
  iommufdRequest,
  kvmSystemRequest,
  kvmVmRequest,
  kvmDeviceRequest,
  kvmVcpuRequest,
];
/** How much of a buffer is shown, in bytes. */
const shown = 32;
const textArgument: Readonly<Record<string, number>> = { openat: 1, memfd_create: 0 };

/** One line in the manner of strace(1): `pread(7, [86 80 00 10], 4, 0x70000000000) = 4 <1.2 us>`. */
export function formatSyscall({ name, args, result, code, microseconds }: Syscall): string {
  const shownArgs = args.map((value, i) => {
    if (name === "ioctl" && i === 1 && typeof value === "number") return requestName(value);
    return formatArgument(value, textArgument[name] === i);
  });
  const shownResult = code === undefined ? formatArgument(result, false) : `-1 ${code}`;
  return `${name}(${shownArgs.join(", ")}) = ${shownResult} <${microseconds.toFixed(1)} us>`;
}

function formatArgument(value: unknown, isText: boolean): string {
  // Numbers of a page and more are addresses, offsets and sizes.
  if (typeof value === "number" || typeof value === "bigint")
    return value >= 4096 ? hex(value) : String(value);
  if (value === null || value === undefined) return "NULL";
  if (!ArrayBuffer.isView(value)) return typeof value;
  const bytes = new Uint8Array(value.buffer, value.byteOffset, value.byteLength);
  if (isText) return JSON.stringify(new TextDecoder().decode(bytes.subarray(0, -1)));
  const digits = Array.from(bytes.subarray(0, shown), (byte) => hexDigits(byte, 2)).join(" ");
  return `[${digits}${bytes.length > shown ? ` ... ${bytes.length} bytes` : ""}]`;
}

/** Some numbers name two requests, by the kind of descriptor: both are given. */
function requestName(request: number): string {
  const names = tables.flatMap((table) =>
    Object.entries(table as Readonly<Record<string, number>>)
      .filter(([, value]) => value === request)
      .map(([key]) => `${uapiName(table)?.prefix ?? ""}${key}`),
  );
  return names.length > 0 ? names.join("|") : hex(request);
}
