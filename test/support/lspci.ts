// Debian's `lspci -F DUMP -vvv` as an independent decoder of config space: run over images, parsed to data.
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { testNeeding } from "./needing.ts";

/** One register's line: continuation lines are joined to the line that has the label. */
export interface LspciLine {
  /** What stands before the first colon, as `DevCtl`; empty where a line has none. */
  readonly label: string;
  /** All that follows the label, continuation lines joined by one blank. */
  readonly text: string;
  /** The same, one element a printed line. */
  readonly parts: readonly string[];
}
export interface LspciCapability {
  /** Byte offset in config space. */
  readonly offset: number;
  readonly extended: boolean;
  /** Of an extended capability; 0 for a standard one. */
  readonly version: number;
  /** What follows the bracket on the capability's own line, as `MSI-X: Enable+ Count=1 Masked-`. */
  readonly title: string;
  readonly lines: readonly LspciLine[];
}
export interface LspciDevice {
  /** With the domain, as `0000:01:00.0`. */
  readonly bdf: string;
  /** The first line after the BDF, as `0108: 1b36:0010 (rev 02) (prog-if 02)`. */
  readonly title: string;
  /** The lines of the header, before and between capabilities. */
  readonly header: readonly LspciLine[];
  readonly capabilities: readonly LspciCapability[];
}

/** One thing that a line says. */
export type LspciToken =
  /** `Name+` or `Name-`. */
  | { readonly kind: "flag"; readonly name: string; readonly value: boolean }
  /** `Key=Value`. */
  | { readonly kind: "equals"; readonly name: string; readonly value: string }
  /** Anything else between commas and semicolons, as `MaxPayload 128 bytes`. */
  | { readonly kind: "phrase"; readonly text: string };

const path = Bun.which("lspci", { PATH: `${process.env["PATH"] ?? ""}:/usr/sbin:/sbin` });

/** Why `lspci` cannot run here, in one line; undefined where it can. */
export const lspciMissing: string | undefined = path
  ? undefined
  : "lspci is not installed (Debian's package pciutils): the oracle tests cannot run";

/** The words that run an lspci. */
export type LspciCommand = readonly string[];

const script = join(import.meta.dir, "../../scripts/newer-lspci.sh");
const cached = Bun.spawnSync(["sh", script, "--cached"]);
/** pciutils 3.13, where scripts/newer-lspci.sh has fetched it. */
export const newerLspci: LspciCommand | undefined =
  cached.exitCode === 0 ? cached.stdout.toString().trim().split("\n") : undefined;

/** A test that needs the newer lspci too. @param timeout in milliseconds */
export const newerOracleTest = (name: string, body: () => void | Promise<void>, timeout = 30_000): void =>
  testNeeding(
    newerLspci ? undefined : "lspci 3.13 is not there: run scripts/newer-lspci.sh once",
    name,
    body,
    timeout,
  );

/** A test that needs lspci. @param timeout in milliseconds */
export const oracleTest = (name: string, body: () => void | Promise<void>, timeout = 30_000): void =>
  testNeeding(lspciMissing, name, body, timeout);

/** `lspci -xxxx` text of one device. `config` has 64, 256 or 4096 bytes. */
export function dumpText(bdf: string, config: Uint8Array): string {
  let text = `${bdf} device\n`;
  for (let at = 0; at < config.length; at += 16) {
    const row = Array.from(config.subarray(at, at + 16), (byte) => byte.toString(16).padStart(2, "0"));
    text += `${at.toString(16).padStart(2, "0")}: ${row.join(" ")}\n`;
  }
  return `${text}\n`;
}

/** A BDF for each of up to 2^24 devices: always device 0, function 0, since lspci prints less for others of some kinds. */
export const syntheticBdf = (index: number): string =>
  `${(index >>> 8).toString(16).padStart(4, "0")}:${(index & 0xff).toString(16).padStart(2, "0")}:00.0`;

/**
 * Runs `lspci -F` once over many config space images and parses what it prints, in the order of `configs`.
 * IDs stay numbers (`-n`), so nothing depends on the host's `pci.ids`.
 * @param command which lspci; the system's own without it
 * @param configs images alone (their BDFs are `syntheticBdf` of their index), or images by BDF
 * @throws Error if lspci is missing, fails, or leaves a device out
 */
export function runLspci(
  configs: readonly Uint8Array[] | ReadonlyMap<string, Uint8Array>,
  command: LspciCommand | undefined = path ? [path] : undefined,
): readonly LspciDevice[] {
  if (!command) throw new Error(lspciMissing);
  const images =
    configs instanceof Map
      ? [...(configs as ReadonlyMap<string, Uint8Array>)]
      : (configs as readonly Uint8Array[]).map((config, index) => [syntheticBdf(index), config] as const);
  const folder = mkdtempSync(join(tmpdir(), "bun-vfio-lspci-"));
  try {
    const file = join(folder, "dump.txt");
    writeFileSync(file, images.map(([bdf, config]) => dumpText(bdf, config)).join(""));
    const run = Bun.spawnSync([...command, "-F", file, "-D", "-n", "-vvv"], { env: { LC_ALL: "C" } });
    if (run.exitCode !== 0) throw new Error(`lspci failed: ${run.stderr.toString()}`);
    const devices = new Map(parseLspci(run.stdout.toString()).map((device) => [device.bdf, device]));
    return images.map(([bdf]) => {
      const device = devices.get(bdf.length < 12 ? `0000:${bdf}` : bdf);
      if (!device) throw new Error(`lspci did not print ${bdf}`);
      return device;
    });
  } finally {
    rmSync(folder, { recursive: true });
  }
}

const capabilityLine = /^\tCapabilities: \[([0-9a-f]+)(?: v(\d+))?\] ?(.*)$/;

/** Parses what `lspci -D -vvv` prints. A capability list's own faults (`<chain looped>`) are a title like any other. */
export function parseLspci(text: string): LspciDevice[] {
  const devices: LspciDevice[] = [];
  for (const block of text.split(/\n\n+/)) {
    const rows = block.split("\n").filter((row) => row !== "");
    const heading = /^([0-9a-f]+:[0-9a-f]{2}:[0-9a-f]{2}\.[0-7]) (.*)$/.exec(rows[0] ?? "");
    if (!heading) continue;
    const header: { label: string; text: string; parts: string[] }[] = [];
    const capabilities: LspciCapability[] = [];
    let lines = header;
    let depth = 1;
    for (const row of rows.slice(1)) {
      const capability = capabilityLine.exec(row);
      if (capability) {
        lines = [];
        depth = 2;
        const [, offset, version, title] = capability;
        capabilities.push({
          offset: parseInt(offset!, 16),
          extended: version !== undefined,
          version: Number(version ?? 0),
          title: title!,
          lines,
        });
        continue;
      }
      const indent = /^\t*/.exec(row)![0].length;
      if (indent < depth) {
        lines = header;
        depth = 1;
      }
      const last = lines.at(-1);
      const content = row.trim();
      if (indent > depth && last) {
        last.parts.push(content);
        last.text = `${last.text} ${content}`.trim();
        continue;
      }
      const labelled = /^([^:=]*[^:=+\s-]):(?:\s+(.*))?$/.exec(content);
      const rest = labelled ? (labelled[2] ?? "") : content;
      lines.push({ label: labelled?.[1] ?? "", text: rest, parts: [rest] });
    }
    devices.push({ bdf: heading[1]!, title: heading[2]!, header, capabilities });
  }
  return devices;
}

const flagOrEquals =
  /(?<=^|[\s,;(])(?:([^\s,;()=]+)=([^\s,;()]+)|([^\s,;()=]*[^\s,;()=+-])([+-]))(?=$|[\s,;)])/g;

/**
 * Splits text into flags, `Key=Value` pairs and the phrases between them, in their order. A printed line ends a phrase.
 * @param text a title, or the parts of a line
 */
export function tokens(text: string | readonly string[]): LspciToken[] {
  if (typeof text !== "string") return text.flatMap((part) => tokens(part));
  const found: LspciToken[] = [];
  const phrases = (between: string): void => {
    for (const phrase of between.split(/[,;]/)) {
      const trimmed = phrase.trim().replace(/\s+/g, " ");
      if (trimmed !== "") found.push({ kind: "phrase", text: trimmed });
    }
  };
  let end = 0;
  for (const match of text.matchAll(flagOrEquals)) {
    phrases(text.slice(end, match.index));
    end = match.index + match[0].length;
    const [, key, value, flag, sign] = match;
    found.push(
      key === undefined
        ? { kind: "flag", name: flag!, value: sign === "+" }
        : { kind: "equals", name: key, value: value! },
    );
  }
  phrases(text.slice(end));
  return found;
}
