// What devices hold, for people, or as JSON; each is printed as it is read.
import { decodeConfig, type DecodeFormat } from "../regs/decode.ts";
import { noGaps, type Gaps } from "../regs/gaps.ts";
import { layoutOf } from "../regs/layout.ts";
import type { Verbosity } from "../regs/text.ts";
import type { Malformation } from "../regs/walk.ts";
import { exitCode } from "./failure.ts";
import { openInput, type InputDevice } from "./input.ts";
import { JsonList } from "./json-list.ts";
import { print } from "./output.ts";
import { printable } from "../regs/printable.ts";
import { deviceJson, skippedJson } from "./show-json.ts";
import { deviceText } from "./show-text.ts";
import { noteSkipped } from "./skipped-note.ts";
import { styleOf } from "./style.ts";
import { outputWidth } from "./table.ts";
import { wrapped } from "./wrap.ts";

export interface ShowOptions {
  readonly verbose: number;
  readonly json?: boolean | undefined;
  /** Of the JSON: 2 without it. */
  readonly formatVersion?: DecodeFormat | undefined;
  readonly device?: string | undefined;
  readonly color: boolean;
}

/**
 * Prints every device of each file.
 * @param files paths; `-` is standard input
 * @returns 1 if a capability list is malformed, or a device does not answer; a list of which the dump has no more is neither
 */
export function showCommand(files: readonly string[], options: ShowOptions): number {
  const faults = options.json ? showJson(files, options) : showText(files, options);
  return faults ? exitCode.found : exitCode.ok;
}

/** What is wrong with a device, and no matter of where its recording ends. */
const isFault = (found: Malformation, device: InputDevice): boolean => !isLeftOut(found, device);

/** A list that goes on behind what was recorded: all that `lspci -x` prints and an unprivileged user reads are 64 bytes. */
const isLeftOut = ({ kind }: Malformation, { unknown, config }: InputDevice): boolean =>
  kind === "truncated" && (config.length === 64 || gapsOf(unknown).length > 0);
const gapsOf = (unknown: InputDevice["unknown"]): Gaps => unknown?.config ?? noGaps;

function showText(files: readonly string[], { verbose, device: wanted, color }: ShowOptions): boolean {
  const style = styleOf(color);
  const width = outputWidth(process.stdout);
  let faults = false;
  for (const [at, file] of files.entries()) {
    const input = openInput(file, wanted);
    let before = files.length > 1 ? `${at > 0 ? "\n" : ""}${style.bold(`${printable(input.path)}:`)}\n` : "";
    for (const device of input.devices) {
      const { malformations } = layoutOf(device.known, gapsOf(device.unknown));
      faults ||= malformations.some((found) => isFault(found, device));
      const leftOut = malformations.filter((found) => isLeftOut(found, device));
      const text = deviceText(device, leftOut, input.kind, Math.min(verbose, 2) as Verbosity, style);
      print(`${before}${fitted(text, width)}`);
      before = verbose === 0 ? "" : "\n";
    }
    noteSkipped(input);
  }
  return faults;
}

const tab = 8;
/** Columns by which a line is indented further where it goes on. */
const further = 4;

/** Lines that are no wider than the terminal, each indented as it was. */
function fitted(text: string, width: number | undefined): string {
  if (width === undefined) return text;
  return text.replace(/^(\t*)(.+)$/gm, (_, indent: string, line: string) =>
    wrapped(line, Math.max(1, width - tab * indent.length), further)
      .map((part) => indent + part)
      .join("\n"),
  );
}

function showJson(files: readonly string[], { device: wanted, formatVersion = 2 }: ShowOptions): boolean {
  const all = files.length > 1 ? new JsonList({ formatVersion }, "files") : undefined;
  let faults = false;
  for (const file of files) {
    const input = openInput(file, wanted);
    const head = { ...(all ? { path: input.path } : { formatVersion }), source: input.kind };
    const list = new JsonList(head, "devices", all ? 2 : 0);
    let begun = false;
    for (const device of input.devices) {
      if (!begun) all?.next();
      begun = true;
      const decoded = decodeConfig(device.known, formatVersion, gapsOf(device.unknown));
      // Format 1 does not know all of them.
      const { malformations } = formatVersion === 1 ? layoutOf(device.known) : decoded;
      faults ||= malformations.some((found) => isFault(found, device));
      list.add(deviceJson(input.kind, device, decoded, formatVersion));
    }
    list.end(input.skipped && formatVersion > 1 ? { skipped: skippedJson(input.skipped) } : undefined);
    noteSkipped(input);
  }
  all?.end();
  return faults;
}
