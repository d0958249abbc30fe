import { expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import fc from "fast-check";
import { diffConfig } from "../../src/regs/diff.ts";

const recorded = (bdf: string): Uint8Array =>
  new Uint8Array(readFileSync(join(import.meta.dir, "../data/config", `${bdf}.bin`)));
const nvme = recorded("0000:02:00.0");
const e1000e = recorded("0000:03:00.0");
const igb = recorded("0000:04:00.0");

const changed = (
  config: Uint8Array,
  ...bytes: readonly (readonly [at: number, value: number])[]
): Uint8Array => {
  const copy = config.slice();
  for (const [at, value] of bytes) copy[at] = value;
  return copy;
};

test("a flag of the header, by name, with what software may do to it", () => {
  expect(diffConfig(nvme, changed(nvme, [0x04, nvme[0x04]! ^ 4]))).toEqual([
    {
      kind: "field",
      where: "header",
      offset: 4,
      register: "command",
      field: "busMaster",
      label: "Control: BusMaster",
      from: true,
      to: false,
      access: "rw",
      width: 1,
      hex: false,
    },
  ]);
});

test("a field of a capability and a register without fields", () => {
  const found = diffConfig(nvme, changed(nvme, [0x43, nvme[0x43]! ^ 0x40], [0x3c, 10]));
  expect(found).toMatchObject([
    { where: "header", register: "interruptLine", from: 11, to: 10, access: "rw", width: 8 },
    { where: "MSI-X @0x40", register: "control", field: "functionMask", from: false, to: true },
  ]);
  expect(found[0]).not.toHaveProperty("field");
});

test("bytes that no register describes, next to each other as one", () => {
  expect(diffConfig(nvme, changed(nvme, [0xf0, 1], [0xf1, 2], [0xf8, 3]))).toEqual([
    { kind: "bytes", offset: 0xf0, from: "0000", to: "0102" },
    { kind: "bytes", offset: 0xf8, from: "00", to: "03" },
  ]);
});

test("a capability that is unlinked is removed, and added the other way", () => {
  // The list of this device is 0x40, 0x80, 0x60.
  const without = changed(nvme, [0x41, 0x60]);
  const removed = diffConfig(nvme, without);
  expect(removed[0]).toEqual({
    kind: "removed",
    where: "PCIe @0x80",
    id: 0x10,
    extended: false,
    name: "PCIe",
    from: 0x80,
    to: null,
  });
  expect(removed[1]).toMatchObject({ where: "MSI-X @0x40", register: "next", from: 0x80, to: 0x60 });
  expect(removed).toHaveLength(2);
  expect(diffConfig(without, nvme)[0]).toMatchObject({ kind: "added", from: null, to: 0x80 });
});

test("a capability that moved is compared where it is now", () => {
  const moved = changed(nvme, [0x81, 0xf0]);
  moved.set(nvme.subarray(0x60, 0x68), 0xf0);
  moved.fill(0, 0x60, 0x68);
  moved[0xf4]! ^= 3;
  expect(diffConfig(nvme, moved)).toMatchObject([
    { kind: "moved", where: "PM @0xf0", from: 0x60, to: 0xf0 },
    { kind: "field", where: "PCIe @0x80", register: "next", from: 0x60, to: 0xf0 },
    { kind: "field", where: "PM @0xf0", offset: 0xf4, from: "D0", to: "D3" },
  ]);
});

test("the n-th capability of an ID is compared with the n-th", () => {
  const config = new Uint8Array(256);
  config[0x06] = 0x10;
  config[0x34] = 0x40;
  config.set([0x09, 0x50, 8, 1, 2, 3, 4, 5], 0x40);
  config.set([0x09, 0x00, 8, 9, 9, 9, 9, 9], 0x50);
  const other = changed(config, [0x52, 7]);
  const found = diffConfig(config, other);
  expect(found.length).toBeGreaterThan(0);
  for (const difference of found)
    expect(difference).toMatchObject({ where: expect.stringContaining("@0x50") });
});

test("a register that only one of both has is told as a whole", () => {
  // e1000e: MSI at 0xd0, 64 bits; without bit 7 of its control there is no upper address, and data lies lower.
  const narrow = changed(e1000e, [0xd2, e1000e[0xd2]! & 0x7f], [0xd8, 0x34], [0xd9, 0x12]);
  expect(diffConfig(e1000e, narrow)).toMatchObject([
    { register: "control", field: "address64Bit", from: true, to: false },
    { offset: 0xd8, register: "data", from: 0, to: 0x1234 },
    { offset: 0xd8, register: "upperAddress", from: 0, to: null, width: 32, hex: true },
  ]);
});

test("config spaces of different sizes are compared as far as both go", () => {
  expect(diffConfig(nvme.slice(0, 256), nvme)).toEqual([{ kind: "size", from: 256, to: 4096 }]);
  expect(diffConfig(nvme, changed(nvme.slice(0, 64), [0x3c, 1]))).toMatchObject([
    { kind: "size", from: 4096, to: 64 },
    { kind: "field", register: "interruptLine" },
  ]);
});

test("two devices differ in what each of them has", () => {
  const found = diffConfig(e1000e, igb);
  const kinds = (kind: string): string[] =>
    found.flatMap((each) => (each.kind === kind && "where" in each ? [each.where] : []));
  expect(kinds("removed")).toEqual(["DSN @0x140"]);
  expect(kinds("added").length).toBeGreaterThan(0);
  expect(kinds("moved").some((where) => where.startsWith("MSI-X @"))).toBe(true);
});

test("bytes of a reserved register are told of as bytes", () => {
  // In the PCI Express capability of an endpoint, where a port has its slot registers.
  expect(diffConfig(igb, changed(igb, [0xd6, 1]))).toEqual([
    { kind: "bytes", offset: 0xd6, from: "00", to: "01" },
  ]);
});

test("nothing differs exactly when every byte is the same", () => {
  const edit = fc.tuple(fc.nat(4095), fc.nat(255));
  const bases = { nvme, e1000e, igb, port: recorded("0000:00:02.0"), edu: recorded("0000:01:00.0") };
  fc.assert(
    fc.property(
      fc.constantFrom<(keyof typeof bases)[]>("nvme", "e1000e", "igb", "port", "edu"),
      fc.array(edit, { maxLength: 12 }),
      fc.array(edit, { maxLength: 12 }),
      (name, first, second) => {
        const base = bases[name];
        // Half of the edits go where capabilities lie.
        const at = (place: number): number => (place & 1 ? place : place & 0x1ff) % base.length;
        const a = changed(base, ...first.map(([place, value]) => [at(place), value] as const));
        const b = changed(base, ...second.map(([place, value]) => [at(place), value] as const));
        expect(diffConfig(a, a.slice())).toEqual([]);
        expect(diffConfig(a, b).length === 0).toBe(Buffer.compare(a, b) === 0);
      },
    ),
    { numRuns: 2000 },
  );
});

test("a change of a byte of a recorded device is told of, wherever it lies", () => {
  for (const config of [nvme, e1000e, igb])
    for (let at = 0; at < config.length; at += at < 0x200 ? 1 : 9) {
      const found = diffConfig(config, changed(config, [at, config[at]! ^ (1 << (at % 8))]));
      expect([at, found.length]).not.toEqual([at, 0]);
    }
});

test("any bytes at all are compared without a throw", () => {
  const size = fc.constantFrom(0, 16, 64, 256);
  fc.assert(
    fc.property(size, size, fc.uint8Array({ minLength: 256, maxLength: 256 }), (m, n, bytes) => {
      const found = diffConfig(bytes.slice(0, m), bytes.slice(256 - n));
      expect(Array.isArray(found)).toBe(true);
    }),
  );
});
