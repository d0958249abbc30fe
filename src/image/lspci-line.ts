// What a line of a pasted dump is once everything is taken away that mails, terminals, logs and pages put around it.
import { hexDigits } from "../regs/hex-text.ts";
import { bareLine } from "./bare-line.ts";

/** What a line says. */
export type DumpLine =
  | { readonly kind: "heading"; readonly bdf: string; readonly title: string; readonly kernel?: boolean }
  | { readonly kind: "row"; readonly text: string }
  /** Blank, or what lspci itself prints around its dumps. */
  | { readonly kind: "blank" | "expected" | "other" };

const bdf = "(?:[0-9a-f]{4,8}:)?[0-9a-f]{2}:[0-9a-f]{2}\\.[0-9a-f]";
/** Signs of quotation, of a diff, of a list, and what follows them. */
const quoted = /^(?:\s*(?:[A-Za-z]{0,3}>|[|:*#;%+"'-])\s?)+/;

/** What closes a cell of a table, or what is set apart. */
const wrapping = /[\s|*`"',]+$/;
/** Nothing, or nothing in quotation. */
const blank = /^(?:\s|[A-Za-z]{0,3}>|\|)*$/;
/** With a colon behind the BDF only where nothing or a class follows: the kernel begins its own lines so. */
const heading = new RegExp(`^(${bdf})(?:\\s+(.*)|:?|:\\s+([^:]{1,80}: \\S.*))$`, "i");
/** Of lspci -vmm and -vm. */
const slot = new RegExp(`^(?:Slot|Device):\\s+(${bdf})$`, "i");

const time = "\\d{1,2}:\\d\\d:\\d\\d";
/** What stands before a line: it ends as prefixes do, or is a name with a sign behind it, a number, a time, a level. */
const prefixes = [
  ".{0,200}?[>|\\];$#*`\"']\\s*",
  ".{0,200}?:\\s+",
  "\\d{1,3}:",
  "\\s*\\d+[.:)>\\]|]?\\s+",
  "\\S{1,200}?[:-]",
  `.{0,200}?${time}(?:.{0,200}?\\s)?`,
  ".{0,80}?\\b(?:TRACE|DEBUG|INFO|NOTICE|WARN|WARNING|ERROR)\\s+",
];
/** A heading behind other text: then only where a class follows as lspci names it, and no colon before it as in the kernel's lines. */
const prefixedHeading = new RegExp(`^(?:${prefixes.join("|")})(${bdf})\\s+([^:]{1,80}: \\S.*)$`, "i");
/** The beginning of one that was broken before its class ends. */
const brokenHeading = new RegExp(`^(?:${prefixes.join("|")})(?:${bdf})(?:\\s[^:]{0,80}:?)?$`, "i");
/** Linux with pci=earlydump, drivers/pci/probe.c; before Linux 4.19 without the colon. */
const kernelHeading = new RegExp(`(?:^|\\s)(${bdf}):? config space:\\s*$`, "i");

const bytes = "[0-9a-f]{2}(?:\\s+[0-9a-f]{2})";
const row = /^(?:0x)?[0-9a-f]{2,8}:\s/i;
/** A row behind other text has bytes enough to be none by chance, and the offset of a row. */
const prefixedRow = new RegExp(
  `(?:^|[\\s>|\\]:;$#*\`"'-])((?:0x)?(?:0{4,5})?[0-9a-f]{1,2}0: ${bytes}{3,}.*)$`,
  "i",
);
/** What lspci and its library say between the lines that matter. */
const chatter =
  /^(?:lspci|pcilib): |^(?:Class|Vendor|Device|S(?:Vendor|Device)|Rev|ProgIf|PhySlot|NUMANode|IOMMUGroup|DTNode|Driver|Module):\t/;

/** @param raw the text of a line, at most a thousand characters of it */
export function dumpLine(raw: string): DumpLine {
  const text = bareLine(raw);
  // What a page's markup alone makes a line of is none that parts two dumps.
  if (blank.test(text)) return { kind: /<[a-z/]/i.test(raw) ? "other" : "blank" };
  const inside = unquoted(raw);
  const found = lineOf(text) ?? lineOf(inside) ?? prefixedLine(text);
  if (found) return found;
  // Lines of -v are indented.
  const expected = /^\s/.test(text) || /^\s/.test(inside) || chatter.test(inside);
  return { kind: expected ? "expected" : "other" };
}

/** A line without the signs of quotation before it. */
export const unquoted = (raw: string): string => bareLine(raw).replace(quoted, "");

/** Whether a line may be the first part of a heading, behind other text. */
export const beginsHeading = (raw: string): boolean =>
  // Most lines are told by this alone.
  /:[0-9a-f]{2}\.[0-9a-f]/i.test(raw) && brokenHeading.test(bareLine(raw));

function lineOf(text: string): DumpLine | undefined {
  const trimmed = text.trimStart();
  const head = heading.exec(trimmed) ?? slot.exec(trimmed);
  if (head) return headingOf(head);
  return row.test(trimmed) ? { kind: "row", text: trimmed } : undefined;
}

function prefixedLine(text: string): DumpLine | undefined {
  const head = prefixedHeading.exec(text);
  if (head) return headingOf(head);
  const kernel = kernelHeading.exec(text);
  if (kernel) return { kind: "heading", bdf: kernel[1]!, title: "", kernel: true };
  const dumped = prefixedRow.exec(text);
  return dumped ? { kind: "row", text: dumped[1]! } : undefined;
}

const headingOf = ([, bdf, title, behindColon = ""]: RegExpExecArray): DumpLine => ({
  kind: "heading",
  bdf: bdf!,
  title: (title ?? behindColon).replace(wrapping, ""),
});

/**
 * The name of a slot in full, as `lspci -D` prints it. Like lspci, whose functions are decimal digits and whose devices have two
 * of any, it takes more than there are.
 */
export function slotName(text: string): string {
  const [, domain = "0", rest] = /^(?:([^:]*):)?([^:]*:[^:]*)$/.exec(text.toLowerCase())!;
  return `${hexDigits(parseInt(domain, 16), 4)}:${rest}`;
}

/** Why a slot name names no device, for lspci either; undefined for one that does. */
export const slotFault = (text: string): string | undefined =>
  /[a-f]$/i.test(text) ? `"${text}" is no BDF: function ${text.at(-1)!.toLowerCase()} is above 7` : undefined;
