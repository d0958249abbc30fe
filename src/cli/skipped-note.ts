// What a command says of a text out of which it took devices, and left the rest.
import { quote } from "../image/error.ts";
import type { Counted, SkippedText } from "../image/lspci-text.ts";
import type { Input } from "./input.ts";
import { tell } from "./output.ts";

const some = (count: number, one: string, many = `${one}s`): string => `${count} ${count === 1 ? one : many}`;
const first = ({ line, text }: Counted): string => `line ${line}: ${quote(text)}`;

/** One line; undefined where nothing was left out. */
export function skippedText(skipped: SkippedText): string | undefined {
  const { lines, rows, cut, withoutRows, devices, repeated, early } = skipped;
  const parts = [
    lines.count > 0 &&
      `skipped ${some(lines.count, "line")} that lspci does not print, first ${first(lines)}`,
    rows.count > 0 && `skipped ${some(rows.count, "row")} that belong to no device, first ${first(rows)}`,
    withoutRows.count > 0 &&
      `skipped ${some(withoutRows.count, "device")} without a dump, first ${withoutRows.text}`,
    devices.count > 0 &&
      `skipped ${some(devices.count, "device")}, first line ${devices.line}: ${devices.text}`,
    cut.count > 0 && `read ${some(cut.count, "row")} up to what is no byte, first ${first(cut)}`,
    repeated.count > 0 &&
      `${some(repeated.count, "device is", "devices are")} there again, first ${repeated.text}`,
    early.count > 0 &&
      `${some(early.count, "device is", "devices are")} from a kernel log, as the firmware had left them`,
  ].filter((part) => part !== false);
  return parts.length === 0 ? undefined : parts.join("; ");
}

/** Says on standard error what was skipped, once its devices are through. */
export function noteSkipped({ path, skipped }: Input): void {
  const text = skipped && skippedText(skipped);
  if (text !== undefined) tell(`note: ${path}: ${text}`);
}
