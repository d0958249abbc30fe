import { expect, test } from "bun:test";
import { checkToken, tokenBytes } from "../../../../src/device/backends/kernel/vf-token.ts";

test("VF tokens: bytes in the order of the text; what is none is refused, and not repeated", () => {
  expect([...tokenBytes("00112233-4455-6677-8899-AABBCCDDEEFF")]).toEqual([
    0x00, 0x11, 0x22, 0x33, 0x44, 0x55, 0x66, 0x77, 0x88, 0x99, 0xaa, 0xbb, 0xcc, 0xdd, 0xee, 0xff,
  ]);
  expect(() => checkToken("hunter2")).toThrow(/^a VF token is a UUID, as/);
  expect(() => checkToken(5 as never)).toThrow(TypeError);
});
