// Text of two bytes a character, as some systems write what a command prints into a file: turned into UTF-8 as it comes.
import type { ByteSource } from "./lines.ts";

/** Characters that are turned at once. */
const atOnce = 8192;

/** The same text in UTF-8. @param source text that begins with the mark of its byte order */
export function utf16Source(source: ByteSource, encoding: "utf-16le" | "utf-16be"): ByteSource {
  const decoder = new TextDecoder(encoding);
  const encoder = new TextEncoder();
  const buffer = new Uint8Array(2 * atOnce);
  let left: Uint8Array = new Uint8Array(0);
  let ended = false;
  return (into) => {
    while (left.length === 0 && !ended) {
      const count = source(buffer);
      ended = count === 0;
      left = encoder.encode(decoder.decode(buffer.subarray(0, count), { stream: !ended }));
    }
    const piece = left.subarray(0, into.length);
    into.set(piece);
    left = left.subarray(piece.length);
    return piece.length;
  };
}
