// What a line of a pasted dump is once everything is taken away that mails, terminals, logs and pages put around it.
import { parseBdf } from "../regs/bdf.ts";

/** What a line says. */
export type DumpLine =
  | { readonly kind: "heading"; readonly bdf: string; readonly title: string; readonly kernel?: boolean }
  | { readonly kind: "row"; readonly text: string }
  /** Blank, or what lspci itself prints around its dumps. */
  | { readonly kind: "blank" | "expected" | "other" };

const bdf = "(?:[0-9a-f]{4,8}:)?[0-9a-f]{2}:[0-9a-f]{2}\\.[0-9a-f]";
/** Sequences by which a terminal is driven: colours, titles. */
const escapes = /\u001b(?:\[[0-?]*[ -/]*[@-~]|\][^\u0007\u001b]*(?:\u0007|\u001b\\)?|[@-Z\\-_])/g;
/** Marks at the beginning of text that is Unicode, and characters without width. */
const invisible = /[\u200b\u200e\u200f\u2060\ufeff]/g;
/** Signs of quotation, of a diff, of a list, and what follows them. */
const quoted = /^(?:\s*(?:[A-Za-z]{0,3}>|[|:*#;%+-])\s?)+/;

/** Nothing, or nothing in quotation. */
const blank = /^(?:\s|[A-Za-z]{0,3}>|\|)*$/;
const heading = new RegExp(`^(${bdf})(?:\\s+(.*))?$`, "i");
/** A heading behind other text: then only where that ends as a prefix does, and a class follows as lspci names it. */
const prefixEnd = "(?:.{0,200}?(?:[>|\\];$#*]\\s*|:\\s+)|\\d{1,3}:|\\s*\\d+\\t\\s*)";
const prefixedHeading = new RegExp(`^${prefixEnd}(${bdf})\\s+([^:]{1,80}: \\S.*)$`, "i");
/** Linux with pci=earlydump, drivers/pci/probe.c; before Linux 4.19 without the colon. */
const kernelHeading = new RegExp(`(?:^|\\s)(${bdf}):? config space:\\s*$`, "i");

const bytes = "[0-9a-f]{2}(?:\\s+[0-9a-f]{2})";
const row = /^[0-9a-f]{2,8}:\s/i;
/** A row behind other text has bytes enough to be none by chance, and the offset of a row. */
const prefixedRow = new RegExp(`(?:^|[\\s>|\\]:])((?:0{4,5})?[0-9a-f]{1,2}0: ${bytes}{3,}.*)$`, "i");
/** What lspci and its library say between the lines that matter. */
const chatter = /^(?:lspci|pcilib): /;

/** @param raw the text of a line, at most a thousand characters of it */
export function dumpLine(raw: string): DumpLine {
  const text = raw.replace(escapes, "").replace(invisible, "").trimEnd();
  if (blank.test(text)) return { kind: "blank" };
  const inside = text.replace(quoted, "");
  const found = lineOf(text) ?? lineOf(inside) ?? prefixedLine(text);
  if (found) return found;
  // Lines of -v are indented.
  const expected = /^\s/.test(text) || /^\s/.test(inside) || chatter.test(inside);
  return { kind: expected ? "expected" : "other" };
}

function lineOf(text: string): DumpLine | undefined {
  const trimmed = text.trimStart();
  const head = heading.exec(trimmed);
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

const headingOf = ([, bdf, title = ""]: RegExpExecArray): DumpLine => ({ kind: "heading", bdf: bdf!, title });

/** Why a BDF names no device; undefined for one that does. */
export function bdfFault(text: string): string | undefined {
  try {
    parseBdf(text);
    return undefined;
  } catch (error) {
    return (error as Error).message;
  }
}
