// What vfio-pci shows and lets be written of each capability, byte for byte: facts of vfio_pci_config.c of Linux 6.12,
// written down here once more, as masks, so that a slip in a table shows.
import { describe, expect, test } from "bun:test";
import { extendedOwner, permissionMap, uncovered } from "../../../src/device/function/permission-map.ts";

/** `00*4` stands for four times 00. */
const hex = (text: string): string =>
  text
    .replace(/(\w\w)\*(\d+)/g, (_, byte: string, count: string) => byte.repeat(Number(count)))
    .replace(/ /g, "");

/** A space whose one standard capability lies at 0x40, and one extended one if asked for. */
function space(id: number, body: string, extended?: readonly [id: number, body: string]): Uint8Array {
  const config = new Uint8Array(new ArrayBuffer(extended ? 4096 : 256));
  config.set([0x10, 0x00], 0x06);
  config[0x34] = 0x40;
  config[0x40] = id;
  config.set(Uint8Array.fromHex(hex(body)), 0x42);
  if (!extended) return config;
  new DataView(config.buffer).setUint32(0x100, extended[0] | (1 << 16), true);
  config.set(Uint8Array.fromHex(hex(extended[1])), 0x104);
  return config;
}

/** Masks over the bytes that a capability takes. */
function shown(config: Uint8Array, at: number, id: number): { virtual: string; write: string } {
  const map = permissionMap(config);
  const size = map.owner.filter((owner) => owner === id).length;
  // In one piece, from its start.
  expect([...map.owner.subarray(at, at + size)].every((owner) => owner === id)).toBe(true);
  expect([...map.start.subarray(at, at + size)].every((start) => start === at)).toBe(true);
  const part = (mask: Uint8Array): string => mask.subarray(at, at + size).toHex();
  return { virtual: part(map.virtual), write: part(map.write) };
}

type Row = readonly [name: string, id: number, body: string, virtual: string, write: string];

describe("standard capabilities", () => {
  const rows: readonly Row[] = [
    ["PM", 0x01, "", "00 ff 00 f8 00 81 00 00", "00*4 fc 7e ff ff"],
    ["AGP", 0x02, "", "00 ff 00*10", "00*12"],
    ["VPD", 0x03, "", "00 ff*7", "00 00 ff*6"],
    ["MSI", 0x05, "00 00", "00 ff ff 00 ff*6", "00 00 ff 00 ff*6"],
    ["MSI, 64-bit", 0x05, "80 00", "00 ff ff 00 ff*10", "00 00 ff 00 ff*10"],
    ["MSI, maskable", 0x05, "00 01", "00 ff ff 00 ff*6 00*10", "00 00 ff 00 ff*6 00 00 ff*8"],
    ["MSI, 64-bit, maskable", 0x05, "80 01", "00 ff ff 00 ff*10 00*10", "00 00 ff 00 ff*10 00 00 ff*8"],
    ["PCI-X", 0x07, "00 00", "00 ff 00*6", "00 00 ff ff 00*4"],
    ["PCI-X 2.0", 0x07, "00 20", "00 ff 00*22", "00 00 ff ff 00*4 ff*4 00*12"],
    ["HyperTransport, short", 0x08, "00 20", "00 ff 00*22", "00*24"],
    ["HyperTransport, long", 0x08, "00 1f", "00 ff 00*26", "00*28"],
    ["vendor-specific, of 10 bytes", 0x09, "0a", "00 ff 00*8", "ff 00 ff*8"],
    ["PCI Express 1", 0x10, "01 00", "00 ff 00*6 e0 f0 00*10", "00*8 ff fd 00*10"],
    ["PCI Express 1, integrated", 0x10, "91 00", "00 ff 00*6 e0 f0 00 00", "00*8 ff fd 00 00"],
    ["PCI Express 2", 0x10, "02 00", "00 ff 00*6 e0 f0 00*42", "00*8 ff fd 00*30 df ff 00*10"],
    ["PCI Express 2, integrated", 0x10, "92 00", "00 ff 00*6 e0 f0 00*34", "00*8 ff fd 00*30 df ff 00*2"],
    ["MSI-X", 0x11, "07 00", "00 ff 00*10", "00*12"],
    ["SATA", 0x12, "10 00 04 00", "00 ff 00*6", "00*8"],
    ["SATA, in config space", 0x12, "10 00 0f 00", "00 ff 00*14", "00*16"],
    ["AF", 0x13, "06 03", "00 ff 00 00 01 00", "00*4 01 00"],
    // Taken out of the list: no byte is theirs.
    ["vendor-specific, of no bytes", 0x09, "00", "", ""],
    ...[0x04, 0x06, 0x0a, 0x0b, 0x0c, 0x0d, 0x0e, 0x0f, 0x14, 0x15, 0x80].map((id): Row => [
      `ID 0x${id.toString(16)}`,
      id,
      "",
      "",
      "",
    ]),
  ];
  test.each(rows)("%s", (_, id, body, virtual, write) => {
    expect(shown(space(id, body), 0x40, id)).toEqual({ virtual: hex(virtual), write: hex(write) });
  });
});

describe("extended capabilities", () => {
  const none = (size: number): [string, string] => [`ff*4 00*${size - 4}`, `00*${size}`];
  const raw = (size: number): [string, string] => [`ff*4 00*${size - 4}`, `00*4 ff*${size - 4}`];
  const uncorrectable = "31 f0 ff 03";
  const errors = `00*4 ${uncorrectable} ${uncorrectable} ${uncorrectable} c1 f1 00 00 c1 f1 00 00 40 01 00 00 00*16`;
  const rows: readonly Row[] = [
    ["AER", 0x01, "", "ff*4 00*40", errors],
    ["VC, one channel", 0x02, "00", ...none(0x1c)],
    ["VC, four channels", 0x02, "03", ...none(0x40)],
    ["VC, arbitration in 32 phases", 0x02, "00*4 02", ...none(0x30)],
    ["VC, in 64", 0x02, "00*4 04", ...none(0x40)],
    ["VC, two channels, in 128", 0x09, "01 00*3 08", ...none(0x70)],
    ["MFVC", 0x08, "", ...none(0x1c)],
    ["serial number", 0x03, "", ...none(12)],
    ["power budgeting", 0x04, "", "ff*4 00*12", "00*8 ff 00*7"],
    ["vendor-specific, of 20 bytes", 0x0b, "00 00 40 01", ...raw(20)],
    ["designated vendor-specific, of 24 bytes", 0x23, "00 00 80 01", ...raw(24)],
    ["ACS", 0x0d, "1f 40", ...none(8)],
    ["ACS, 33 egress bits", 0x0d, "20 21", ...none(16)],
    ["ACS, 256 egress bits", 0x0d, "20 00", ...none(40)],
    ["ARI", 0x0e, "", ...none(8)],
    ["ATS", 0x0f, "", ...none(8)],
    ["SR-IOV", 0x10, "", ...none(0x40)],
    ["multicast", 0x12, "", ...none(40)],
    ["page requests", 0x13, "", ...none(16)],
    ["resizable BARs, three", 0x15, "00*4 60", ...none(28)],
    ["dynamic power, three states", 0x16, "02", ...none(19)],
    ["processing hints", 0x17, "00 04 03", ...none(12)],
    ["processing hints, 4 entries here", 0x17, "00 02 03", ...none(20)],
    ["latency tolerance", 0x18, "", ...none(8)],
  ];
  test.each(rows)("%s", (_, id, body, virtual, write) => {
    const config = space(0x10, "02 00", [id, body]);
    expect(shown(config, 0x100, extendedOwner + id)).toEqual({ virtual: hex(virtual), write: hex(write) });
    const head = (bytes: Uint8Array): string => bytes.subarray(0x100, 0x104).toHex();
    expect(head(permissionMap(config).values)).toBe(head(config));
  });

  const hidden = [
    5, 6, 7, 0xa, 0xc, 0x11, 0x14, 0x19, 0x1a, 0x1b, 0x1d, 0x1e, 0x1f, 0x21, 0x24, 0x25, 0x2e, 0x30,
  ];
  test.each(hidden)("%i is hidden; alone at 0x100 it leaves an empty head", (id) => {
    const map = permissionMap(space(0x10, "02 00", [id, "ff*4"]));
    // What was its body is anybody's: the tables end before it.
    expect(map.values.subarray(0x100).toHex()).toBe("00000000");
    expect(map.virtual.subarray(0x100).toHex()).toBe("ffffffff");
    expect(map.write.subarray(0x100).toHex()).toBe("00000000");
    expect(map.owner[0x103]).toBe(extendedOwner + id);
  });

  test("a hidden one at 0x100 before others keeps its place alone; one after others is linked past", () => {
    const config = space(0x10, "02 00", [0x19, ""]);
    const view = new DataView(config.buffer);
    const link = (at: number, id: number, next: number): void =>
      view.setUint32(at, (id | (1 << 16) | (next << 20)) >>> 0, true);
    link(0x100, 0x19, 0x140);
    link(0x140, 0x03, 0x180);
    link(0x180, 0x1b, 0x1c0);
    link(0x1c0, 0x18, 0);
    const values = new DataView(permissionMap(config).values.buffer);
    const heads = [0x100, 0x140, 0x1c0].map((at) => values.getUint32(at, true));
    expect(heads).toEqual([0x14000000, 0x1c010003, 0x00010018]);
  });

  test("hidden ones alone leave no list, even where they go in a circle", () => {
    const config = space(0x10, "02 00", [0x19, ""]);
    const view = new DataView(config.buffer);
    view.setUint32(0x100, (0x19 | (1 << 16) | (0x140 << 20)) >>> 0, true);
    view.setUint32(0x140, (0x1b | (1 << 16) | (0x100 << 20)) >>> 0, true);
    expect(new DataView(permissionMap(config).values.buffer).getUint32(0x100, true)).toBe(0);
  });

  test("are looked for behind PCI Express and PCI-X 2.0, which say that there can be some", () => {
    const serial = (id: number, body: string): boolean =>
      permissionMap(space(id, body, [0x03, ""])).owner[0x100] === extendedOwner + 3;
    const found = [serial(0x10, "02 00"), serial(0x07, "00 20"), serial(0x07, "00 00"), serial(0x01, "")];
    expect(found).toEqual([true, true, false, false]);
  });
});

describe("the header and the rest", () => {
  test("the header", () => {
    const { virtual, write } = permissionMap(new Uint8Array(new ArrayBuffer(256)));
    const masks = [virtual, write].map((mask) => mask.subarray(0, 64).toHex());
    expect(masks).toEqual([
      hex("ff*4 00 04 10 00 00*8 ff*24 00*8 ff*4 ff 00*7 ff ff 00 00"),
      hex("00*4 ff ff 00*6 ff ff 00 ff ff*24 00*8 ff*4 00*8 ff 00*3"),
    ]);
  });

  test("what no capability covers is the device's, read and written", () => {
    const { owner, virtual, write } = permissionMap(space(0x05, "00 00"));
    for (const at of [0x4a, 0x4b, 0x4c, 0xff])
      expect([owner[at], virtual[at], write[at]]).toEqual([uncovered, 0, 0xff]);
  });

  test("wake-up bits begin at zero, whatever the device has", () => {
    const { values } = permissionMap(space(0x01, "ff ff ff ff"));
    expect(values.subarray(0x42, 0x46).toHex()).toBe("ff07ff7e");
  });

  test("neighbours of one kind are one: only the first one's pointer is kept apart from the device's", () => {
    const config = space(0x09, "10");
    config[0x41] = 0x50;
    config.set([0x09, 0x60, 0x10], 0x50);
    config.set([0x0d, 0x70], 0x60);
    config.set([0x01, 0x00], 0x70);
    const { start, virtual, values } = permissionMap(config);
    expect([start[0x40], start[0x5f], virtual[0x41], virtual[0x51]]).toEqual([0x40, 0x40, 0xff, 0]);
    expect([values[0x41], values[0x51]]).toEqual([0x50, 0x70]);
  });

  test("a list that is hidden whole is not there", () => {
    const { values } = permissionMap(space(0x0d, ""));
    expect([values[0x06], values[0x34]]).toEqual([0, 0]);
  });

  test.each([
    [64, 64],
    [256, 256],
    [4096, 256],
  ])("any bytes, of a space of %i, end in a map of %i bytes or more", (size, least) => {
    for (const byte of [0x00, 0x40, 0x44, 0xff]) {
      const map = permissionMap(new Uint8Array(new ArrayBuffer(size)).fill(byte));
      const { length } = map.values;
      for (const list of Object.values(map)) expect(list).toHaveLength(length);
      expect([length >= least, length <= size, length % 4]).toEqual([true, true, 0]);
    }
  });
});
