// VF tokens: a UUID that the user of a physical function sets, and that users of its virtual functions must know.

const pattern = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i;

/** @throws TypeError, RangeError for what is no UUID; the message does not repeat it: it is a secret */
export function checkToken(token: string): string {
  if (typeof token !== "string") throw new TypeError(`a VF token is a string, not ${typeof token}`);
  if (!pattern.test(token))
    throw new RangeError("a VF token is a UUID, as 00112233-4455-6677-8899-aabbccddeeff");
  return token.toLowerCase();
}

/** The 16 bytes of a UUID, in the order in which it is written (uuid_t of the kernel). */
export function tokenBytes(token: string): Uint8Array {
  const digits = checkToken(token).replaceAll("-", "");
  const bytes = new Uint8Array(new ArrayBuffer(16));
  for (let i = 0; i < 16; i++) bytes[i] = parseInt(digits.slice(2 * i, 2 * i + 2), 16);
  return bytes;
}
