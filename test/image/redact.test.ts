// What names one machine is taken out of a recording, alike wherever it stands; everything else stays.
import { expect, test } from "bun:test";
import fc from "fast-check";
import { imageFromConfig, readImage, Redaction, writeImage } from "../../src/image/index.ts";
import { decodeConfig } from "../../src/regs/decode.ts";

/** VPD at 0x40, a serial number at 0x100, and the GUID of the hierarchy at 0x110. */
function config(serial: Uint8Array, vpd: number, guid: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(4096);
  const view = new DataView(bytes.buffer);
  bytes.set([0x34, 0x12, 0x78, 0x56, 0, 0, 0x10, 0]);
  bytes[0x34] = 0x40;
  bytes.set([0x03, 0, 0x04, 0x80], 0x40);
  view.setUint32(0x44, vpd, true);
  view.setUint32(0x100, 0x11010003, true);
  bytes.set(serial.slice().reverse(), 0x104);
  view.setUint32(0x110, 0x00010028, true);
  bytes.set(guid, 0x118);
  return bytes;
}

const mac = Uint8Array.fromHex("001b21aabbcc");
const serial = Uint8Array.fromHex("001b21fffeaabbcc");
const guid = new Uint8Array(24).fill(7);

test("serial numbers, VPD and GUIDs are replaced, and no other byte is", () => {
  fc.assert(
    fc.property(
      fc.uint8Array({ minLength: 8, maxLength: 8 }),
      fc.integer({ min: 1, max: 0xfffffffe }),
      fc.uint8Array({ minLength: 24, maxLength: 24 }),
      (drawn, vpd, id) => {
        const before = config(drawn, vpd, id);
        const after = new Redaction().config(before);
        const secret = (at: number): boolean =>
          (at >= 0x44 && at < 0x48) || (at >= 0x104 && at < 0x10c) || (at >= 0x118 && at < 0x130);
        for (let at = 0; at < 4096; at++) if (!secret(at)) expect(after[at]).toBe(before[at]!);
        for (const [start, end] of [
          [0x104, 0x10c],
          [0x118, 0x130],
        ] as const) {
          const old = before.slice(start, end);
          const plain = old.every((byte) => byte === 0) || old.every((byte) => byte === 0xff);
          expect(Buffer.compare(after.slice(start, end), old) === 0).toBe(plain);
        }
        expect(decodeConfig(after).capabilities.map(({ name }) => name)).toEqual([
          "VPD",
          "DSN",
          "HierarchyID",
        ]);
      },
    ),
  );
});

test("what belongs together still does: one key gives one replacement, another key another", () => {
  const before = config(serial, 0x31323334, guid);
  const one = new Redaction();
  expect(one.config(before)).toEqual(one.config(before));
  expect(one.config(before)).not.toEqual(new Redaction().config(before));
  const key = new Uint8Array(32).fill(1);
  expect(new Redaction(key).config(before)).toEqual(new Redaction(key).config(before));
  const replaced = Buffer.from(one.config(before).slice(0x104, 0x10c)).reverse().toString("hex");
  const text = one.text("serial 00-1b-21-ff-fe-aa-bb-cc of the port 00:1b:21:aa:bb:cc");
  const [, dashed, colons] = /serial (\S+) of the port (\S+)/.exec(text)!;
  expect(dashed!.replaceAll("-", "")).toBe(replaced);
  // The serial number is made of the MAC address, and so is its replacement.
  expect(`${replaced.slice(0, 6)}${replaced.slice(10)}`).toBe(colons!.replaceAll(":", ""));
  expect(replaced.slice(6, 10)).toBe("fffe");
  expect(text).not.toContain(mac.toHex().slice(-4));
});

test("an image: its contents are left out, its notes are redacted, its device is the same", () => {
  const image = imageFromConfig("01:00.0", config(serial, 1, guid), {
    kernel: "Linux 6.12",
    notes: ["eth0 at 00:1b:21:aa:bb:cc", "Serial Number: S4EVNX0M123456, 01:00.0 of 0000:00:1c.0"],
  });
  const contents = [{ offset: 0, bytes: mac }];
  const whole = {
    ...image,
    regions: [
      { index: 0, size: 4096, readable: true, writable: true, mappable: true, msixMappable: false, contents },
      ...image.regions,
    ],
  };
  const redacted = new Redaction().image(whole);
  const text = writeImage(redacted);
  expect(readImage(text)).toEqual(redacted);
  expect(text).not.toMatch(/aa:bb:cc|S4EVNX0M123456|00 1b 21 aa/);
  expect(redacted.regions[0]!.contents).toBeUndefined();
  expect(redacted.host.notes).toContain("redacted: the contents of BAR0 are left out");
  expect(redacted.host.notes![1]).toContain(", 01:00.0 of 0000:00:1c.0");
  expect(redacted.host.kernel).toBe("Linux 6.12");
});

test("a MAC address with points, and a serial number by its short name", () => {
  const redaction = new Redaction(new Uint8Array(32));
  const [dots, colons] = ["001b.21aa.bbcc", "00:1b:21:aa:bb:cc"].map((text) => redaction.text(text));
  expect(dots!.replaceAll(".", "")).toBe(colons!.replaceAll(":", ""));
  expect(dots).toMatch(/^(?!001b)[0-9a-f]{4}\.[0-9a-f]{4}\.[0-9a-f]{4}$/);
  for (const text of ["S/N: ABC123", "SN=ABC123", "[SN] Serial number: ABC123"])
    expect(redaction.text(text)).not.toContain("ABC");
  for (const text of ["version 1234.5678.9abc.def0", "snoop: on"]) expect(redaction.text(text)).toBe(text);
});
