import { describe, expect, test } from "bun:test";
import { parseBzImage } from "../../src/kvm/x86/bzimage.ts";

/** A kernel of one sector of setup and 32 bytes. */
function made(change: (view: DataView) => void = () => {}): Uint8Array {
  const bytes = new Uint8Array(1024 + 32);
  const view = new DataView(bytes.buffer);
  view.setUint8(0x1f1, 1);
  view.setUint32(0x1f4, 2, true);
  view.setUint16(0x1fe, 0xaa55, true);
  view.setUint8(0x201, 0x62);
  view.setUint32(0x202, 0x5372_6448, true);
  view.setUint16(0x206, 0x20f, true);
  view.setUint8(0x211, 1);
  view.setUint32(0x22c, 0x7fff_ffff, true);
  view.setUint16(0x236, 1, true);
  view.setUint32(0x238, 2047, true);
  view.setBigUint64(0x258, 0x100_0000n, true);
  view.setUint32(0x260, 0x20_0000, true);
  bytes.set([1, 2, 3, 4], 1024);
  change(view);
  return bytes;
}

test("a kernel says where it wants to be and what it needs", () => {
  const image = parseBzImage(made(), "vmlinuz");
  expect([...image.kernel.subarray(0, 5), image.kernel.length]).toEqual([1, 2, 3, 4, 0, 32]);
  expect(image.setupHeader.length).toBe(0x202 + 0x62 - 0x1f1);
  expect(image).toMatchObject({
    ...{ address: 0x100_0000, size: 0x20_0000, initrdMax: 0x7fff_ffff, commandLineMax: 2047 },
  });
});

test("what a signer has appended is a part of the file, and no more than that", () => {
  const signed = new Uint8Array(4096);
  signed.set(made());
  expect(parseBzImage(signed, "vmlinuz").kernel.length).toBe(4096 - 1024);
});

describe("refused", () => {
  const cases: [why: string, bytes: Uint8Array][] = [
    ["this is no bzImage: it is too short", made().subarray(0, 600)],
    ["this is no bzImage: it has no setup header", made((view) => view.setUint16(0x1fe, 0))],
    ["this is no bzImage: it has no setup header", made((view) => view.setUint32(0x202, 0x7f45_4c46))],
    ["boot protocol 2.11 is older than 2.12", made((view) => view.setUint16(0x206, 0x20b, true))],
    ["this is a zImage, which is loaded low", made((view) => view.setUint8(0x211, 0))],
    ["the kernel has no 64-bit entry", made((view) => view.setUint16(0x236, 0))],
    ["the file ends before the kernel", made((view) => view.setUint8(0x1f1, 2))],
    ["the file ends early: it has 31 of the kernel's 32 bytes", made().subarray(0, -1)],
    ["the file ends early: it has 1 of the kernel's 32 bytes", made().subarray(0, 1025)],
    ["the file ends early: it has 32 of the kernel's 68719476720", made((view) => view.setUint32(0x1f4, ~0))],
    ["this is no bzImage: its setup header ends at 0x263", made((view) => view.setUint8(0x201, 0x61))],
  ];
  for (const [why, bytes] of cases)
    test(why, () => expect(() => parseBzImage(bytes, "vmlinuz")).toThrow(`vmlinuz: ${why}`));
});
