/** Text as C wants it: UTF-8 with a NUL at its end, in memory that stays where it is. @throws RangeError for a NUL inside */
export function cString(text: string): Uint8Array {
  if (text.includes("\0")) throw new RangeError(`${JSON.stringify(text)} holds a NUL character`);
  const encoded = new TextEncoder().encode(text);
  const memory = new Uint8Array(new ArrayBuffer(encoded.length + 1));
  memory.set(encoded);
  return memory;
}
