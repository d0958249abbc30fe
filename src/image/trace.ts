import { imageError, quote } from "./error.ts";

/** One config access of a recorded guest. */
export interface TraceAccess {
  readonly kind: "read" | "write";
  /** Byte offset in config space. */
  readonly offset: number;
  /** What the guest read or wrote. The width is not recorded. */
  readonly value: number;
  /** Counted from 1. */
  readonly line: number;
}

/** Accesses that one trace may have. */
export const maxTraceAccesses = 1_000_000;

const access = /^(read|write)\s+(0x[0-9a-f]{1,8}|\d{1,10})\s+(0x[0-9a-f]{1,8}|\d{1,10})$/i;

/**
 * Reads a trace: one access a line, `read OFFSET VALUE` or `write OFFSET VALUE`, numbers decimal or with `0x`;
 * empty lines and those that begin with `#` are skipped.
 * @throws ImageError that names the first line that is not one
 */
export function parseTrace(text: string): TraceAccess[] {
  const accesses: TraceAccess[] = [];
  const lines = text.split("\n");
  for (const [index, raw] of lines.entries()) {
    const line = index + 1;
    const trimmed = raw.trim();
    if (trimmed === "" || trimmed.startsWith("#")) continue;
    const match = access.exec(trimmed);
    if (!match)
      throw imageError(`expected "read OFFSET VALUE" or "write OFFSET VALUE", got ${quote(trimmed)}`, {
        line,
      });
    const offset = Number(match[2]);
    const value = Number(match[3]);
    if (offset > 0xfff) throw imageError(`offset ${match[2]} lies past config space (0xfff)`, { line });
    if (value > 0xffffffff) throw imageError(`value ${match[3]} does not fit 32 bits`, { line });
    if (accesses.length >= maxTraceAccesses)
      throw imageError(`more than ${maxTraceAccesses} accesses`, { line });
    accesses.push({ kind: match[1]!.toLowerCase() === "read" ? "read" : "write", offset, value, line });
  }
  if (accesses.length === 0) throw imageError("the trace has no access");
  return accesses;
}
