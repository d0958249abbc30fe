import { CliError, exitCode, oneLine } from "./failure.ts";
import { deviceChecks } from "./doctor-device.ts";
import { hostChecks, memlockCheck, type Check } from "./doctor-host.ts";
import { findDevice, hostFiles, viewHost } from "./host.ts";
import { print } from "./output.ts";
import { styleOf, type Style } from "./style.ts";

export interface DoctorOptions {
  readonly json?: boolean | undefined;
  readonly memory: string;
  readonly color: boolean;
}

const units: Readonly<Record<string, number>> = { k: 2 ** 10, m: 2 ** 20, g: 2 ** 30, t: 2 ** 40 };

/** `4G`, `512M`, or bytes. @throws CliError */
function memorySize(text: string): number {
  const parts = /^(\d{1,15})([kmgt]?)(?:i?b)?$/i.exec(text);
  const size = parts ? Number(parts[1]) * (units[parts[2]!.toLowerCase()] ?? 1) : NaN;
  if (!Number.isSafeInteger(size))
    throw new CliError(`--memory: ${JSON.stringify(text.slice(0, 40))} is no size; give one as 512M or 4G`);
  return size;
}

/** Prints what passing through needs, a line each, with what to do about it. @returns 1 if anything is missing */
export function doctorCommand(text: string | undefined, options: DoctorOptions): number {
  const memory = memorySize(options.memory);
  const device = text === undefined ? undefined : findDevice(hostFiles(), text);
  const view = viewHost();
  const bars = (device?.resources ?? [])
    .filter(({ index, kind }) => index < 6 && kind === "memory")
    .reduce((total, { size }) => total + size, 0);
  const checks = [
    ...hostChecks(view, device),
    memlockCheck(view.host, memory, bars),
    ...(device ? deviceChecks(view, device) : []),
  ];
  if (options.json) {
    const shown = checks.map(({ name, status, message, fix }) => ({
      name,
      status,
      message,
      fix: fix ?? null,
    }));
    print(
      `${JSON.stringify({ formatVersion: 1, device: device?.bdf ?? null, checks: shown }, undefined, 2)}\n`,
    );
  } else print(checks.map((check) => `${checkLine(check, styleOf(options.color))}\n`).join(""));
  return checks.some(({ status }) => status === "missing") ? exitCode.found : exitCode.ok;
}

const signs = { ok: "✓", missing: "✗", note: "–" } as const;

function checkLine({ status, message, fix }: Check, style: Style): string {
  const mark = status === "ok" ? style.good : status === "missing" ? style.bad : style.dim;
  return `${mark(signs[status])} ${oneLine(fix === undefined ? message : `${message}; fix: ${fix}`)}`;
}
