import { jsonText } from "../image/json-text.ts";
import type { PciDevice } from "../device/host/pci-device.ts";
import { CliError, exitCode, oneLine } from "./failure.ts";
import { deviceChecks } from "./doctor-device.ts";
import { hostChecks, memlockCheck } from "./doctor-host.ts";
import { inOrder, rootCauses, type Check } from "./doctor-check.ts";
import { findDevice, sysroot, readHostState } from "./host.ts";
import { print } from "./output.ts";
import { styleOf, type Style } from "./style.ts";
import { outputWidth } from "./table.ts";
import { wrapped } from "./wrap.ts";

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
  const device = text === undefined ? undefined : findDevice(sysroot(), text);
  const view = readHostState();
  const bars = (device?.resources ?? [])
    .filter(({ index, kind }) => index < 6 && kind === "memory")
    .reduce((total, { size }) => total + size, 0);
  const host = [...hostChecks(view, device), memlockCheck(view.host, memory, bars)];
  const lacking = new Set(host.filter(({ status }) => status === "missing").map(({ name }) => name));
  const checks = inOrder([...host, ...(device ? deviceChecks(view, device, lacking) : [])]);
  const roots = rootCauses(checks);
  if (options.json) {
    const shown = checks.map(({ name, status, message, fix, follows }) => ({
      name,
      status,
      message,
      fix: fix ?? null,
      follows: follows ?? null,
    }));
    const json = {
      formatVersion: 1,
      device: device?.bdf ?? null,
      ready: roots.length === 0,
      verdict: verdictLine(device, roots).replace(/^Verdict: /, ""),
      checks: shown,
    };
    print(`${jsonText(json, undefined, 2)}\n`);
  } else {
    const style = styleOf(options.color);
    const lines = checks.map((check) => checkLine(check, !roots.includes(check), style));
    const mark = roots.length === 0 ? style.good : style.bold;
    const verdict = wrapped(oneLine(verdictLine(device, roots)), outputWidth(process.stdout), 2);
    print([...lines, mark(verdict.join("\n"))].map((line) => `${line}\n`).join(""));
  }
  return roots.length > 0 ? exitCode.found : exitCode.ok;
}

/** All of it in a line. */
function verdictLine(device: PciDevice | undefined, [first, ...others]: readonly Check[]): string {
  if (first) {
    const more = others.length === 0 ? "" : `; ${others.length} more to do`;
    return `Verdict: not ready: ${first.message}${more}`;
  }
  if (device === undefined) return "Verdict: this host can pass devices through; bun-vfio ls tells which";
  return `Verdict: ready${device.noiommu ? " without an IOMMU" : ""}: nothing is missing`;
}

const signs = { ok: "✓", missing: "✗", note: "–" } as const;

/** @param follows of what is missing: it comes with something else that is */
function checkLine({ status, message, fix }: Check, follows: boolean, style: Style): string {
  const lines = (text: string, indent: number): string =>
    wrapped(oneLine(text), outputWidth(process.stdout), indent).join("\n");
  // Its fix is the fix of what it follows from.
  if (status === "missing" && follows) return style.dim(lines(`  ${signs.missing} ${message}`, 4));
  const mark = status === "ok" ? style.good : status === "missing" ? style.bad : style.dim;
  const text = lines(`${signs[status]} ${fix === undefined ? message : `${message}; fix: ${fix}`}`, 2);
  return `${mark(text[0]!)}${text.slice(1)}`;
}
