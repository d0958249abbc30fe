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

/** What stands in notes, titles and logs, with the number of the machine in it. */
const marked: readonly (readonly [text: string, secret: RegExp])[] = [
  ["serial ABC123", /ABC123/],
  ['{"SerialNumber": "PHMD1234"}', /PHMD1234/],
  ["e1000e 0000:00:1f.6 enxa0369f123456: renamed from eth0", /a0369f123456/],
  ["Serial No 12345678", /12345678/],
  ["SerialNumber=WD-WCC4N0123456", /WCC4N/],
  ["ID_SERIAL_SHORT=S4EVNX0M123456", /S4EV/],
  ["Serial: ABC DEF", /ABC|DEF/],
  ["Serial: ABC DEF 0123, slot 3", /ABC|DEF|0123/],
  ["Service Tag: 1AB2CD3", /1AB2/],
  ["S/N 0123456789", /0123456/],
  ["node_guid 0002:c903:000e:0b72", /0002:c903|000e:0b72/],
  ["Node GUID: 0x0002c903000e0b72", /000e0b72/],
  ["Port GID fe80:0000:0000:0000:0002:c903:000e:0b72", /000e:0b72/],
  ["inet6 fe80::1234:5678:9abc:def0", /9abc:def0/],
  ["the serial number is ABC123, it says", /ABC123/],
  ["The serial number is ABC123.", /ABC123/],
  ["serial number of the card in slot 3 is S4EVNX0M123456.", /S4EV/],
  ["Serial number was: 12345678", /12345678/],
  ["serial number (S/N) is 99887766", /99887766/],
  ["its serial is `X1Y2Z3`", /X1Y2Z3/],
  ["serial #12345678", /12345678/],
  ["S/N12345678", /12345678/],
  ["| Serial Number | ABC1234 |", /ABC1234/],
  ["Serial Number ......: ABC1234", /ABC1234/],
  ["a0 36 9f 12 34 56", /12 34 56/],
  ["burnt in A0 36 9F 12 34 56, irq 5", /12 34 56/],
  ["MAC: 00 11 22 33 44 55", /22 33/],
  ["mac address a0 36 9f 12 34 56 of eth0", /12 34 56/],
  ["a0 36 9f ff fe 12 34 56", /12 34 56/],
  ["Serial Number: a0 36 9f ff ff 12 34 56", /12 34 56/],
  ["Device Serial Number a0 36 9f ff ff 12 34 56", /12 34 56/],
  ["80:00:02:08:fe:80:00:00:00:00:00:00:00:02:c9:03:00:0e:0b:73", /00:0e:0b:73/],
  ["EUI-64 00:1b:21:ff:fe:aa:bb:cc", /aa:bb:cc/],
  ["eui.0025385b71b00e2a", /5b71b00e2a/],
  ["naa.5000c500a1b2c3d4", /a1b2c3d4/],
  ["wwn-0x5000c500a1b2c3d4", /a1b2c3d4/],
  ["WWPN: 50:01:43:80:12:34:56:78", /12:34:56:78/],
  ["WWN 5001438012345678", /12345678/],
  ["UUID 4c4c4544-0042-3510-8054-b4c04f564433", /4c4c4544|b4c04f564433/],
  [
    "GPU-4c4c4544-0042-3510-8054-b4c04f564433 at index 0, uuid: 4C4C4544004235108054B4C04F564433",
    /004235108054/i,
  ],
  ["MAC 001122334455", /112233/],
  ["mac address: 0011.2233.4455", /2233/],
  ["HWaddr 00-11-22-33-44-55", /22-33/],
  ["link/ether 00:11:22:33:44:55 brd", /22:33/],
  ["/dev/disk/by-id/nvme-Samsung_SSD_970_EVO_S466NX0M123456", /S466NX0M/],
];
test.each(marked.map(([text, secret]) => [text, secret] as const))(
  "%s: the number is replaced",
  (text, secret) => {
    const redaction = new Redaction(new Uint8Array(32).fill(5));
    const redacted = redaction.text(text);
    expect(redacted).not.toMatch(secret);
    expect(redaction.text(text)).toBe(redacted);
    expect(redacted).toHaveLength(text.length);
  },
);

test("one number gets one replacement however it is written", () => {
  const redaction = new Redaction(new Uint8Array(32).fill(6));
  const digitsOf = (text: string): string =>
    redaction
      .text(text)
      .replace(/^MAC |[:.-]/g, "")
      .toLowerCase();
  const forms = ["00:1b:21:aa:bb:cc", "00-1B-21-AA-BB-CC", "001b.21aa.bbcc", "MAC 001b21aabbcc"].map(
    digitsOf,
  );
  expect(new Set(forms).size).toBe(1);
  const serials = [
    "00-1b-21-ff-fe-aa-bb-cc",
    "Serial Number: 00-1b-21-ff-fe-aa-bb-cc",
    "GUID 0x001b21fffeaabbcc",
  ];
  const last = serials.map((text) => redaction.text(text).replaceAll("-", "").slice(-16));
  expect(new Set(last).size).toBe(1);
});

test("an IPv6 address that was made of a MAC address is made of its replacement, in any network", () => {
  const redaction = new Redaction(new Uint8Array(32).fill(7));
  const groups = (address: string): string[] => {
    const [front, back = ""] = address.split("::");
    const [a, b] = [front!, back].map((part) => part.split(":").filter((group) => group !== ""));
    const zeros = Array.from({ length: address.includes("::") ? 8 - a!.length - b!.length : 0 }, () => "0");
    return [...a!, ...zeros, ...b!].map((group) => group.padStart(4, "0"));
  };
  const nets = ["fe80::", "2001:db8::", "2001:db8:1:2:", "fd00:1:2:3:"];
  fc.assert(
    fc.property(fc.uint8Array({ minLength: 6, maxLength: 6 }), fc.constantFrom(...nets), (bytes, net) => {
      const id = Uint8Array.of(bytes[0]! ^ 2, bytes[1]!, bytes[2]!, 0xff, 0xfe, ...bytes.subarray(3)).toHex();
      const tail = id
        .match(/..../g)!
        .map((group) => group.replace(/^0{1,3}/, ""))
        .join(":");
      const address = net + tail;
      const redacted = redaction.text(`inet6 ${address}/64 scope global`);
      const [, shown] = /^inet6 ([0-9a-f:]+)\/64 scope global$/.exec(redacted)!;
      expect(shown).toStartWith(net);
      const replaced = redaction.text(bytes.toHex().match(/../g)!.join(":")).replaceAll(":", "");
      const interfaceId = groups(shown!).slice(4).join("");
      const first = (parseInt(replaced.slice(0, 2), 16) ^ 2).toString(16).padStart(2, "0");
      expect(interfaceId).toBe(`${first}${replaced.slice(2, 6)}fffe${replaced.slice(6)}`);
    }),
  );
});

test("what names no machine stays: rows, addresses, IDs, times, names of classes", () => {
  const redaction = new Redaction();
  for (const text of [
    "0000:01:00.0",
    "00:1c.4 and 0000:01:00.1",
    "01:00.0 Serial Attached SCSI controller [0107]: made up [1000:0097] (rev 02)",
    "00:16.3 Serial controller: Intel Corporation Device 7ae9",
    "Serial bus controller [0c80]: 8086:7aa4",
    "Subsystem: 8086:10d3:8086:a01f",
    "10:00:01 2026-12-01T05:04:34",
    "Memory at 0x00000000fe800000 (64-bit)",
    "Memory at 380b0000000 (64-bit, prefetchable)",
    "read 0x100 0x10010001",
    "Linux 6.12.0-1-amd64",
    "version 1.2.3.4",
    "class 0x020000, driver e1000e, MSI-X 65",
    "10: 86 80 d3 10 07 04",
    "lanes 10 11 12 13 14 15",
    "86 80 d3 10 07 04 00 11",
    "ff02::1:ff12:3456 and ::ffff:192.0.2.1",
    "the serial number is unknown, the serial console is ttyS0",
  ])
    expect(redaction.text(text)).toBe(text);
  expect(redaction.text("Serial: see 0000:01:00.0")).toEndWith(" 0000:01:00.0");
  fc.assert(
    fc.property(fc.uint8Array({ minLength: 64, maxLength: 64 }), fc.nat(0xff), (bytes, bus) => {
      const bdf = `${bus.toString(16).padStart(2, "0")}:00.0`;
      const rows = Array.from({ length: 4 }, (_, row) =>
        [
          `${row}0:`,
          ...Array.from(bytes.subarray(16 * row, 16 * row + 16), (byte) =>
            byte.toString(16).padStart(2, "0"),
          ),
        ].join(" "),
      );
      const text = `${bdf} Serial Attached SCSI controller: made up\n${rows.join("\n")}\n`;
      expect(redaction.text(text)).toBe(text);
    }),
  );
});
