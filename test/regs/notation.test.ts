// The words of datasheets: what each makes of a write beside it, in memory and in a live register.
import { describe, expect, test } from "bun:test";
import {
  array,
  big,
  bitArray,
  composed,
  joined,
  joinedBig,
  precious,
  r16,
  r32,
  r64,
  r8,
  rc,
  rcw1c,
  registerMap,
  reset,
  ro,
  rs,
  rsvdp,
  rsvdz,
  rw,
  rw0c,
  rw1c,
  rw1s,
  rw1t,
  rwsc,
  scaled,
  wo,
  type RegisterIo,
} from "../../src/regs/index.ts";

/** Registers in memory that record each access. */
function recorder(bytes: Uint8Array): { readonly io: RegisterIo; readonly log: string[] } {
  const log: string[] = [];
  const indexes = (offset: number, width: number): number[] =>
    Array.from({ length: width }, (_, i) => offset + i);
  return {
    log,
    io: {
      read(offset, width) {
        log.push(`read ${offset}/${width}`);
        return indexes(offset, width).reduceRight((sum, i) => sum * 256 + bytes[i]!, 0);
      },
      write(offset, width, value) {
        log.push(`write ${offset}/${width} 0x${value.toString(16)}`);
        for (const i of indexes(offset, width)) bytes[i] = Math.floor(value / 256 ** (i - offset));
      },
    },
  };
}

const every = registerMap("every", 4, {
  it: r16(0, {
    plain: rw(0),
    clear1: rw1c(1),
    set1: rw1s(2),
    clear0: rw0c(3),
    toggle: rw1t(4),
    start: rwsc(5),
    zero: rsvdz(6),
    kept: rsvdp(7),
    fixed: ro(8),
    low: rw(11, 10),
  }),
});

describe("a change of one field leaves its neighbours alone, whatever they are", () => {
  // Bits 9 and 12 to 15 have no field: they are preserved, as reserved bits of PCI Express are.
  test("in memory", () => {
    const memory = new DataView(new ArrayBuffer(4));
    const view = every.view(memory);
    memory.setUint16(0, 0xffff, true);
    view.itPlain = false;
    expect(memory.getUint16(0, true)).toBe(0b1111_1111_1000_1000);
    memory.setUint16(0, 0, true);
    view.itPlain = true;
    expect(memory.getUint16(0, true)).toBe(0b1001);
    view.itClear0 = false;
    expect(memory.getUint16(0, true)).toBe(0b0001);
  });

  test("in a live register, in one read and one write", () => {
    const { io, log } = recorder(Uint8Array.of(0xff, 0xff, 0, 0));
    every.live(io).it.modify({ low: 2 });
    // RW, RsvdP and read-only bits as they were; W1C, W1S, toggle, start and RsvdZ written 0; W0C written 1.
    expect(log).toEqual(["read 0/2", `write 0/2 0x${(0b1111_1011_1000_1001).toString(16)}`]);
  });

  test("each acts where it is named", () => {
    const { io, log } = recorder(new Uint8Array(4));
    const { it } = every.live(io);
    it.modify({ clear1: true });
    it.modify({ set1: true });
    it.modify({ clear0: false });
    it.modify({ toggle: true, start: true });
    expect(log.filter((line) => line.startsWith("write"))).toEqual([
      "write 0/2 0xa",
      "write 0/2 0xc",
      "write 0/2 0x0",
      "write 0/2 0x38",
    ]);
  });
});

describe("what may not be read back", () => {
  const map = registerMap("port", 16, {
    data: r8(0, "rc"),
    command: r8(1, "wo"),
    cause: r32(4, { done: rcw1c(0), error: rc(1), seen: rs(2), mode: rw(4, 3) }),
    control: r16(8, { enable: rw(0), key: wo(15, 8), speed: reset(2, rw(2, 1)) }),
    window: precious(r32(12, { index: rw(7, 0) })),
  });

  test("cannot be modified: a read would change the device", () => {
    const { io, log } = recorder(new Uint8Array(16));
    const live = map.live(io);
    // @ts-expect-error a register whose read has a side effect has no modify
    const modify = live.cause.modify as (changes: object) => void;
    expect(() => modify({ mode: 1 })).toThrow(
      new TypeError(
        '"port.cause" must be written whole, not modified: reading "port.cause.done" has a side effect',
      ),
    );
    expect(() => live.window.modify({ index: 1 })).toThrow('reading "port.window" has a side effect');
    expect(log).toEqual([]);
  });

  test("has to be named where a change writes it", () => {
    const { io, log } = recorder(new Uint8Array(16));
    const { control } = map.live(io);
    // @ts-expect-error the key is write-only: no read tells what it was
    expect(() => control.modify({ enable: true })).toThrow(
      '"port.control.key" must be named in each change of its register, not left out: it is write-only',
    );
    expect(log).toEqual([]);
    control.modify({ enable: true, key: 0x5a });
    expect(log).toEqual(["read 8/2", "write 8/2 0x5a01"]);
  });

  test("is not among what a read gives", () => {
    const { io } = recorder(Uint8Array.of(0, 0, 0, 0, 0, 0, 0, 0, 0x05, 0x77));
    const live = map.live(io);
    const snapshot = live.control.read();
    expect(snapshot).toEqual({ raw: 0x7705, enable: true, speed: 2 });
    // @ts-expect-error
    expect(snapshot.key).toBeUndefined();
    // @ts-expect-error a write-only register has no read
    expect(live.command.read).toBeUndefined();
    live.command.write(3);
    // @ts-expect-error one that a read clears has no write
    expect(live.data.write).toBeUndefined();
  });

  test("a whole write takes fields: the others get their value after a reset", () => {
    const { io, log } = recorder(new Uint8Array(16));
    const live = map.live(io);
    live.control.write({ key: 0x12, enable: true });
    live.cause.write({ done: true });
    live.cause.write(0x18);
    expect(log).toEqual(["write 8/2 0x1205", "write 4/4 0x1", "write 4/4 0x18"]);
    // @ts-expect-error read-only
    expect(() => live.cause.write({ error: true })).toThrow(
      '"port.cause.error" must be left as it is, not written: it is read-only (rc)',
    );
  });
});

describe("the tables of a map tell each word apart", () => {
  test("bit for bit", () => {
    const { masks } = registerMap("words", 2, {
      it: r16(0, {
        a: rw1s(0), b: rw0c(1), c: rw1t(2), d: rwsc(3), e: wo(4), f: rc(5), g: rs(6), h: rcw1c(7), i: reset(true, rw(8)),
      }), // prettier-ignore
    });
    expect(Object.fromEntries(Object.entries(masks).map(([name, table]) => [name, table.toHex()]))).toEqual({
      reset: "0001",
      write: "1801",
      w1c: "8000",
      w1s: "0100",
      w1t: "0400",
      w0c: "0200",
      selfClearing: "0800",
      rc: "a000",
      rs: "4000",
      writeOnly: "1000",
      emulated: "0000",
      volatile: "f000",
      precious: "e000",
      sticky: "0000",
      reserved: "0000",
      defined: "ff01",
    });
  });

  test("a whole register too, and a table of them", () => {
    const { masks } = registerMap("words", 4, {
      data: r8(0, "rc"),
      all: array(2, 1, reset(0xa5, r8(1, "rw"))),
    });
    expect([masks.rc.toHex(), masks.precious.toHex(), masks.reset.toHex(), masks.write.toHex()]).toEqual([
      "ff000000",
      "ff000000",
      "00a5a500",
      "00ffff00",
    ]);
  });
});

describe("fields of 64 bits", () => {
  const map = registerMap("wide", 16, {
    entry: r64(0, {
      present: rw(0),
      kind: rw(2, 1, ["none", "page", "block"]),
      number: rw(51, 12),
      status: rw1c(62),
      top: rw(63),
    }),
    address: r64(8, { valid: rw(0), base: big(scaled(rw(63, 12), 4096)) }),
  });

  test("in memory: in either half, in both, and as a bigint", () => {
    const memory = new DataView(new ArrayBuffer(16));
    const view = map.view(memory);
    view.entryTop = true;
    view.entryKind = "block";
    view.entryNumber = 0xff_ffff_ffff;
    expect(memory.getBigUint64(0, true)).toBe(0x800f_ffff_ffff_f004n);
    expect([view.entryNumber, view.entryTop, view.entryKind, view.entryPresent]).toEqual([
      0xff_ffff_ffff,
      true,
      "block",
      false,
    ]);
    memory.setUint8(7, 0xc0);
    view.entryNumber = 1;
    expect(memory.getBigUint64(0, true)).toBe(0x8000_0000_0000_1004n);
    view.addressBase = 0xffff_ffff_ffff_f000n;
    view.addressValid = true;
    expect([view.address, view.addressBase]).toEqual([0xffff_ffff_ffff_f001n, 0xffff_ffff_ffff_f000n]);
    expect(() => (view.addressBase = 1n)).toThrow('"wide.address.base" must be a multiple of 4096');
    expect(() => (view.entryNumber = 2 ** 40)).toThrow(RangeError);
    // @ts-expect-error a bigint field takes no number
    expect(() => (view.addressBase = 4096)).toThrow('"wide.address.base" must be a bigint, not 4096');
  });

  test("live: two halves read, two halves written", () => {
    const { io, log } = recorder(Uint8Array.from([1, 0x10, 0, 0, 0, 0, 0, 0x40, 0, 0, 0, 0, 0, 0, 0, 0]));
    const live = map.live(io);
    const { raw, number, status } = live.entry.read();
    expect([raw, number, status]).toEqual([0x4000_0000_0000_1001n, 1, true]);
    live.entry.modify({ number: 2, top: true });
    expect(log.slice(2)).toEqual(["read 0/4", "read 4/4", "write 0/4 0x2001", "write 4/4 0x80000000"]);
    live.address.write({ base: 1n << 63n, valid: true });
    expect(log.slice(6)).toEqual(["write 8/4 0x1", "write 12/4 0x80000000"]);
  });
});

describe("scaled fields", () => {
  const map = registerMap("scales", 16, {
    place: r32(0, { bar: rw(2, 0), offset: scaled(rw(31, 3), 8) }),
    size: r16(4, { entries: scaled(rw(10, 0), 1, { plus: 1 }), page: scaled(rw(15, 11), 4096, { base: 2 }) }),
    credits: r8(6, { count: scaled(rw(4, 0), 1, { zero: 32 }) }),
  });

  test("read and take the value, not the count of units", () => {
    const memory = new DataView(new ArrayBuffer(16));
    const view = map.view(memory);
    view.placeOffset = 0xffff_fff8;
    view.sizeEntries = 2048;
    view.sizePage = 2 ** 31 * 4096;
    view.creditsCount = 32;
    expect([view.place, view.size, view.credits]).toEqual([0xffff_fff8, 0xffff, 0]);
    expect([view.placeOffset, view.sizeEntries, view.sizePage, view.creditsCount]).toEqual([
      0xffff_fff8,
      2048,
      2 ** 43,
      32,
    ]);
    view.creditsCount = 5;
    expect([view.credits, view.creditsCount]).toEqual([5, 5]);
  });

  test("refuse what lies between two steps, with what they take", () => {
    const view = map.view(new DataView(new ArrayBuffer(16)));
    expect(() => (view.placeOffset = 4)).toThrow(
      '"scales.place.offset" must be a multiple of 8 up to 4294967288, not 4',
    );
    expect(() => (view.sizeEntries = 2049)).toThrow(
      '"scales.size.entries" must be 1 to 2048 in steps of 1, not 2049',
    );
    expect(() => (view.sizePage = 4097)).toThrow("4096 times a power of 2 up to");
    expect(() => (view.sizePage = 0)).toThrow(RangeError);
    expect(() => (view.creditsCount = 33)).toThrow(RangeError);
    expect(() => (view.placeOffset = NaN)).toThrow(RangeError);
    const { io, log } = recorder(new Uint8Array(16));
    expect(() => map.live(io).place.modify({ offset: 12 })).toThrow("a multiple of 8");
    expect(log).toEqual([]);
    map.live(io).place.modify({ offset: 16 });
    expect(map.live(io).place.read().offset).toBe(16);
  });
});

describe("joined and composed values", () => {
  const map = registerMap("window", 16, {
    base: r8(0, { kind: ro(3, 0), address: rw(7, 4) }),
    limit: r8(1, { kind: ro(3, 0), address: rw(7, 4) }),
    baseUpper: r16(2, "rw"),
    low: r32(4, "rw"),
    high: r32(8, "rw"),
    slot: r16(12, { limit: ro(7, 0), scale: ro(9, 8) }),
    start: joined(["baseUpper", "base.address"], { by: 0x1000 }),
    end: joined(["limit.address"], { by: 0x1000, plus: 0xfff }),
    wide: joinedBig(["high", "low"]),
    power: composed(["slot.limit", "slot.scale"], (limit, scale) =>
      limit === 0 ? undefined : limit! / 10 ** scale!,
    ),
    fixed: joined(["slot.limit", "low"]),
  });

  test("in memory", () => {
    const memory = new DataView(new ArrayBuffer(16));
    const view = map.view(memory);
    memory.setUint8(0, 0x01);
    view.start = 0x1234_5000;
    view.end = 0x3fff;
    view.wide = 0x1_0000_0002n;
    memory.setUint16(12, 0x0119, true);
    expect([view.start, view.base, view.baseUpper, view.end, view.limit]).toEqual([
      0x1234_5000, 0x51, 0x1234, 0x3fff, 0x30,
    ]);
    expect([view.wide, view.low, view.high, view.power]).toEqual([0x1_0000_0002n, 2, 1, 2.5]);
    memory.setUint16(12, 0, true);
    expect(view.power).toBeUndefined();
    expect(() => (view.start = 0x1234)).toThrow(
      '"window.start" must be a value of 20 bits in units of 4096, not 4660',
    );
    expect(() => (view.start = 2 ** 32)).toThrow(RangeError);
    expect(() => (view.wide = 1n << 64n)).toThrow(RangeError);
    // @ts-expect-error a composed value is read-only
    expect(() => (view.power = 1)).toThrow(TypeError);
    // @ts-expect-error one of its parts is read-only
    expect(() => (view.fixed = 1)).toThrow(TypeError);
  });

  test("live: each register once", () => {
    const { io, log } = recorder(
      Uint8Array.of(0x51, 0, 0x34, 0x12, 2, 0, 0, 0, 1, 0, 0, 0, 0x19, 0x01, 0, 0),
    );
    const live = map.live(io);
    expect([live.start.read(), live.wide.read(), live.power.read()]).toEqual([
      0x1234_5000,
      0x1_0000_0002n,
      2.5,
    ]);
    expect(log).toEqual(["read 2/2", "read 0/1", "read 8/4", "read 4/4", "read 12/2"]);
    live.start.write(0x4321_6000);
    expect(log.slice(5)).toEqual(["write 2/2 0x4321", "read 0/1", "write 0/1 0x61"]);
    expect("write" in live.power).toBe(false);
    expect("write" in live.fixed).toBe(false);
  });
});

describe("tables and bits", () => {
  const map = registerMap("nic", 0x100, {
    address: array(4, 8, { low: r32(0x00, "rw"), high: r32(0x04, { part: rw(15, 0), valid: rw(31) }) }),
    throttle: array(3, 4, r32(0x20, { interval: scaled(rw(15, 0), 256) })),
    vlan: bitArray(0x40, 100, "rw"),
    pending: bitArray(0x60, 16, "rw1c", 8),
    sent: bitArray(0x70, 32, "ro"),
  });

  test("in memory", () => {
    const memory = new DataView(new ArrayBuffer(0x100));
    const view = map.view(memory);
    view.address.at(3).highValid = true;
    view.address.at(3).low = 7;
    view.throttle.at(2).interval = 512;
    view.vlan.set(99, true);
    expect([
      memory.getUint32(0x1c, true),
      memory.getUint32(0x18, true),
      memory.getUint32(0x28, true),
    ]).toEqual([0x8000_0000, 7, 2]);
    expect([view.throttle.at(2).raw, view.vlan.get(99), view.vlan.get(98), memory.getUint8(0x4c)]).toEqual([
      2,
      true,
      false,
      8,
    ]);
    view.vlan.set(99, false);
    expect(memory.getUint32(0x4c, true)).toBe(0);
    expect([view.address.length, view.vlan.length]).toEqual([4, 100]);
  });

  test("live: one access each", () => {
    const { io, log } = recorder(new Uint8Array(0x100));
    const live = map.live(io, 0);
    live.address.at(1).high.modify({ valid: true });
    live.throttle.at(0).write({ interval: 256 });
    live.vlan.set(33, true);
    live.pending.set(9, true);
    expect([live.vlan.get(33), live.sent.get(31)]).toEqual([true, false]);
    expect(log).toEqual([
      "read 12/4", "write 12/4 0x80000000", "write 32/4 0x1", "read 68/4", "write 68/4 0x2", "write 97/1 0x2",
      "read 68/4", "read 112/4",
    ]); // prettier-ignore
    expect("set" in live.sent).toBe(false);
  });

  test("an index that is none says which table has how many", () => {
    const view = map.view(new DataView(new ArrayBuffer(0x100)));
    for (const index of [4, -1, 0.5, NaN])
      expect(() => view.address.at(index)).toThrow(
        `"nic.address" must be given an index from 0 to 3, not ${index}`,
      );
    const { io, log } = recorder(new Uint8Array(0x100));
    expect(() => map.live(io).vlan.set(100, true)).toThrow('"nic.vlan" must be given an index from 0 to 99');
    expect(log).toEqual([]);
    expect(() => (view.address.at(1).highPart = 0x1_0000)).toThrow(
      '"nic.address[1].high.part" must be an integer',
    );
  });

  test("each register of them is in the map by its place", () => {
    expect(Object.keys(map.registers).slice(0, 3)).toEqual([
      "address[0].low",
      "address[0].high",
      "address[1].low",
    ]);
    const registers: Readonly<Record<string, { readonly at: number }>> = map.registers;
    expect([registers["throttle[2]"]?.at, registers["vlan[3]"]?.at]).toEqual([0x28, 0x4c]);
    expect(map.masks.write.subarray(0x20, 0x30).toHex()).toBe("ffff0000ffff0000ffff000000000000");
  });
});

test("fields by register say the same", () => {
  const memory = new DataView(new ArrayBuffer(4));
  const view = every.view(memory);
  view.fields.it.low = 3;
  expect([view.itLow, view.fields.it.raw, view.fields.it.plain]).toEqual([3, 0xc08, false]);
});
