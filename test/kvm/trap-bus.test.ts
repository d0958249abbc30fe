import { formatTraceEntry, traceListener } from "../../src/device/seam/trace-text.ts";
import { describe, expect, test } from "bun:test";
import { TrapBus, type TrapTarget } from "../../src/kvm/trap-bus.ts";
import { refusal } from "../support/refusal.ts";

const bytes = (length: number): Uint8Array => new Uint8Array(length);

/** Something that reads as its name, and keeps what is written. */
class Named implements TrapTarget {
  readonly written: number[][] = [];
  readonly #value: number;
  constructor(value: number) {
    this.#value = value;
  }
  mmioRead(address: number, data: Uint8Array): void {
    data.fill(this.#value + (address & 1));
  }
  mmioWrite(address: number, data: Uint8Array): void {
    this.written.push([address, ...data]);
  }
}

test("nobody has an address: reads give all ones, writes go nowhere, and the VMM is told", () => {
  const missing: unknown[] = [];
  const bus = new TrapBus((...access) => missing.push(access));
  const data = bytes(4);
  bus.mmioRead(0x1000, data);
  bus.ioRead(0x60, data.subarray(0, 1));
  bus.mmioWrite(0x1000, data);
  bus.ioWrite(0x60, data);
  expect([...data]).toEqual([0xff, 0xff, 0xff, 0xff]);
  expect(missing).toEqual([
    ["mmio", 0x1000, 4],
    ["io", 0x60, 1],
    ["mmio", 0x1000, 4],
    ["io", 0x60, 4],
  ]);
});

test("each range has its own, memory and ports apart; what reaches over an end is nobody's", () => {
  const bus = new TrapBus();
  const [low, high] = [new Named(1), new Named(3)];
  const given = bus.insert("mmio", 0x1000, 0x10, "low", low);
  bus.insert("mmio", 0x1010, 0x10, "high", high);
  const read = (address: number, length = 1): number => {
    const data = bytes(length);
    bus.mmioRead(address, data);
    return data[0]!;
  };
  expect([read(0x0fff), read(0x1000), read(0x1001), read(0x100f), read(0x1010)]).toEqual([0xff, 1, 2, 2, 3]);
  expect([read(0x100f, 2), read(0x1020)]).toEqual([0xff, 0xff]);
  bus.mmioWrite(0x1018, Uint8Array.of(5, 6));
  expect([low.written, high.written]).toEqual([[], [[0x1018, 5, 6]]]);
  const port = bytes(1);
  bus.ioRead(0x1000, port);
  expect(port[0]).toBe(0xff);
  // It has no ports, and says nothing to them.
  using _ = bus.insert("io", 0x1000, 1, "low", low);
  bus.ioRead(0x1000, port);
  bus.ioWrite(0x1000, port);
  expect(port[0]).toBe(0xff);
  given[Symbol.dispose]();
  given[Symbol.dispose]();
  expect([read(0x1000), bus.nameAt("mmio", 0x1000), bus.nameAt("mmio", 0x1010)]).toEqual([
    0xff,
    undefined,
    "high",
  ]);
});

describe("a device's part", () => {
  const range = { kind: "mmio", base: 0xfe00_0000, size: 0x1000, region: 0 } as const;

  test("goes to the device once there is one, and is given back exactly", () => {
    const bus = new TrapBus();
    const part = bus.forDevice("edu");
    part.insert(range);
    const data = bytes(1);
    bus.mmioRead(0xfe00_0000, data);
    expect(data[0]).toBe(0xff);
    part.device = new Named(9);
    bus.mmioRead(0xfe00_0000, data);
    expect(data[0]).toBe(9);
    for (const other of [
      { ...range, size: 0x800 },
      { ...range, region: 1 },
      { ...range, base: 0 },
    ])
      expect(refusal(() => part.remove(other)).code).toBe("ENOENT");
    expect(refusal(() => bus.forDevice("nvme").remove(range)).message).toBe(
      "nvme does not own mmio 0xfe000000-0xfe000fff",
    );
    part.remove(range);
    expect(bus.nameAt("mmio", 0xfe00_0000)).toBeUndefined();
  });

  test("tells a trace why nobody answers: nobody has the address, or whoever had it is closed", () => {
    const entries: string[] = [];
    const trace = traceListener((entry) => void entries.push(formatTraceEntry(entry)));
    const bus = new TrapBus(undefined, undefined, trace);
    const part = bus.forDevice("edu");
    part.insert(range);
    bus.ioRead(0x80, new Uint8Array(1));
    part.device = { closed: true };
    bus.mmioWrite(range.base, new Uint8Array(4));
    expect(entries).toEqual([
      "  all ones: address 0x080 1: no BAR decodes the address",
      `  dropped: address 0x${range.base.toString(16)} 4: the device is detached`,
    ]);
    part.device = { mmioRead: (_, data) => void data.fill(7) };
    bus.mmioRead(range.base, new Uint8Array(4));
    expect(entries).toHaveLength(2);
  });

  test("answers nothing once the device is closed, wherever a range of it is left", () => {
    const missing: unknown[] = [];
    const bus = new TrapBus((...access) => missing.push(access));
    const part = bus.forDevice("edu");
    part.insert(range);
    const device = {
      closed: false,
      mmioRead: (_: number, data: Uint8Array) => {
        if (device.closed) throw new Error("closed");
        data.fill(7);
      },
      mmioWrite: () => {
        throw new Error("closed");
      },
    };
    part.device = device;
    const data = bytes(2);
    bus.mmioRead(0xfe00_0000, data);
    expect([...data]).toEqual([7, 7]);
    device.closed = true;
    bus.mmioRead(0xfe00_0000, data);
    bus.mmioWrite(0xfe00_0000, data);
    expect([...data]).toEqual([0xff, 0xff]);
    expect(missing).toEqual([
      ["mmio", 0xfe00_0000, 2],
      ["mmio", 0xfe00_0000, 2],
    ]);
  });

  test("overlaps nothing: both are named", () => {
    const bus = new TrapBus();
    bus.insert("mmio", 0xfe00_0800, 0x10, "HPET", {});
    const part = bus.forDevice("edu");
    expect(refusal(() => part.insert(range)).message).toBe(
      "mmio 0xfe000000-0xfe000fff of edu overlaps 0xfe000800-0xfe00080f of HPET",
    );
    part.insert({ ...range, kind: "io", base: 0xe000 });
    expect(() => part.insert({ ...range, base: -1 })).toThrow(RangeError);
  });
});

test("a bus before another answers what it has, and leaves the rest to that one", () => {
  const missing: unknown[] = [];
  const all = new TrapBus((...access) => missing.push(access));
  const few = new TrapBus(undefined, all);
  const [behind, before] = [new Named(1), new Named(3)];
  all.insert("mmio", 0x1000, 0x1000, "behind", behind);
  few.insert("mmio", 0x1000, 0x10, "before", before);
  const read = (address: number): number => {
    const data = bytes(1);
    few.mmioRead(address, data);
    return data[0]!;
  };
  expect([read(0x1000), read(0x1010), read(0x3000)]).toEqual([3, 1, 0xff]);
  few.mmioWrite(0x1000, Uint8Array.of(1));
  few.mmioWrite(0x1020, Uint8Array.of(2));
  expect([before.written, behind.written]).toEqual([[[0x1000, 1]], [[0x1020, 2]]]);
  const port = bytes(2);
  few.ioRead(0x60, port);
  few.ioWrite(0x60, port);
  expect([...port]).toEqual([0xff, 0xff]);
  expect(missing).toEqual([
    ["mmio", 0x3000, 1],
    ["io", 0x60, 2],
    ["io", 0x60, 2],
  ]);
});

describe("the rest of a page that a device's memory slot shows", () => {
  const rest = { base: 0x1100, size: 0xf00 };

  test("is nobody's, and gives way before something comes to be there", () => {
    const bus = new TrapBus();
    const device = bus.forDevice("small");
    const asked: string[] = [];
    device.insert({ kind: "mmio", base: 0x1000, size: 0x100, region: 0 });
    using _ = device.keepFree!(rest, () => {
      asked.push(bus.nameAt("mmio", 0x1800) ?? "nobody");
      return true;
    })!;
    expect(bus.nameAt("mmio", 0x1800)).toBeUndefined();
    bus.insert("io", 0x1800, 8, "ports", new Named(1));
    bus.insert("mmio", 0x2000, 8, "the next page", new Named(1));
    expect(asked).toEqual([]);
    bus.insert("mmio", 0x1800, 8, "a clock", new Named(1));
    expect(asked).toEqual(["nobody"]);
    expect(device.keepFree!(rest, () => true)).toBeUndefined();
    // It is asked once.
    bus.forDevice("other").insert({ kind: "mmio", base: 0x1900, size: 0x100, region: 2 });
    expect(asked).toHaveLength(1);
  });

  test("keeps out what comes while it cannot give way, and nothing after its end", () => {
    const bus = new TrapBus();
    const kept = bus.forDevice("small").keepFree!(rest, () => false)!;
    const other = bus.forDevice("other");
    const error = refusal(() => other.insert({ kind: "mmio", base: 0x1ff0, size: 0x100, region: 2 }));
    expect(error).toMatchObject({
      code: "EEXIST",
      message: "mmio 0x1ff0-0x20ef of other is in a page that a memory slot shows: 0x1100-0x1fff",
    });
    expect(bus.forDevice("third").keepFree!({ base: 0x1800, size: 8 }, () => true)).toBeUndefined();
    kept[Symbol.dispose]();
    other.insert({ kind: "mmio", base: 0x1ff0, size: 0x100, region: 2 });
  });
});
