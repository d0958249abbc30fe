import { describe, expect, spyOn, test } from "bun:test";
import { readFileSync } from "node:fs";
import {
  FileDescriptor,
  MappedRegisters,
  Mapping,
  MemoryFile,
  VfioError,
  hugeAlignment,
  maxViewSize,
  pageSize,
} from "../../src/ffi/index.ts";
import { mapFlag } from "../../src/ffi/constants.ts";
import { systemCalls } from "../../src/ffi/system-calls.ts";
import { traceSyscalls } from "../../src/ffi/trace.ts";

const gib = 2 ** 30;
const page = pageSize();
const areas = (): string[] => readFileSync("/proc/self/maps", "latin1").split("\n");
/** Whether the kernel has a mapping of this process at an address. */
const isMapped = (address: number): boolean =>
  areas().some((line) => {
    const [start, end] = line.split(/[- ]/).map((text) => parseInt(text, 16));
    return start! <= address && address < end!;
  });

describe("a mapping", () => {
  test("of a file is the file", () => {
    using file = new MemoryFile({ size: 4 * page, name: "file" });
    using memory = new Mapping({ fd: file.fd, offset: page, size: 2 * page, name: "part" });
    memory.view(4, 4).set([1, 2, 3, 4]);
    const data = new Uint8Array(4);
    file.readAt(page + 4, data);
    expect([...data]).toEqual([1, 2, 3, 4]);
    expect(memory.size).toBe(2 * page);
  });

  test("outlives the descriptor", () => {
    const file = new MemoryFile({ size: page, name: "file" });
    using memory = file.map();
    file[Symbol.dispose]();
    memory.write(0, Uint8Array.of(5));
    expect(memory.view(0, 1)[0]).toBe(5);
  });

  test.each([page, 2 * page, 2 ** 21, 2 ** 25, gib])(
    "aligned to %i is where huge pages could be, and no more is kept",
    (alignment) => {
      const before = areas().length;
      using memory = new Mapping({ size: page, alignment, name: "memory" });
      expect(memory.address % alignment).toBe(0);
      memory.write(0, Uint8Array.of(1));
      expect(areas().length).toBeLessThanOrEqual(before + 1);
    },
  );

  test("of a part of a file is aligned like its place in the file", () => {
    using file = new MemoryFile({ size: gib, name: "BAR0" });
    using part = new Mapping({ fd: file.fd, offset: 3 * page, size: page, alignment: 2 ** 21, name: "part" });
    expect(part.address % 2 ** 21).toBe(3 * page);
  });

  test("that the kernel does not unmap shows nothing any more, and its addresses come back with the next", () => {
    using file = new MemoryFile({ size: page, name: "device memory" });
    const memory = file.map();
    const { address } = memory;
    const shown = (): boolean => areas().some((line) => line.includes("device memory"));
    expect(shown()).toBe(true);
    const refused = spyOn(systemCalls(), "munmap").mockImplementation((() => -12) as never);
    memory[Symbol.dispose]();
    refused.mockRestore();
    expect([isMapped(address), shown()]).toEqual([true, false]);
    using _ = file.map();
    new Mapping({ size: page, name: "another" })[Symbol.dispose]();
    expect(isMapped(address)).toBe(false);
  });

  test("tries again where another thread takes the place meanwhile", () => {
    let stolen = 0;
    const codes: (string | undefined)[] = [];
    const calls = traceSyscalls(({ name, args, code }) => {
      if (name === "mmap") codes.push(code);
      // The place was found and given back: now somebody else maps there, once.
      if (name !== "munmap" || stolen !== 0) return;
      const place = Math.ceil(Number(args[0]) / gib) * gib;
      const { PRIVATE, ANONYMOUS, FIXED_NOREPLACE } = mapFlag;
      stolen = Number(systemCalls().mmap(place, page, 0, PRIVATE | ANONYMOUS | FIXED_NOREPLACE, -1, 0));
      expect(stolen).toBe(place);
    });
    using memory = new Mapping({ size: page, alignment: gib, name: "memory" });
    calls[Symbol.dispose]();
    expect(codes).toEqual([undefined, "EEXIST", undefined, undefined]);
    expect([memory.address % gib, memory.address === stolen]).toEqual([0, false]);
    systemCalls().munmap(stolen, page);
  });

  test("larger than one buffer is seen through views of up to 2 GiB, wherever they begin", () => {
    using file = new MemoryFile({ size: 9 * gib, name: "BAR0" });
    using memory = file.map();
    for (const start of [0, gib - 3, 2 ** 32 - 2, 2 ** 32, 7 * gib - 5]) {
      const view = memory.view(start, maxViewSize);
      expect(view.length).toBe(maxViewSize);
      view[0] = 1;
      view[maxViewSize - 1] = 2;
      const data = new Uint8Array(1);
      file.readAt(start + maxViewSize - 1, data);
      expect([data[0], view[0]]).toEqual([2, 1]);
      view[0] = view[maxViewSize - 1] = 0;
    }
    expect(() => memory.view(0, maxViewSize + 1)).toThrow(RangeError);
    expect(memory.view(9 * gib, 0).length).toBe(0);
  });

  test("refuses what lies outside, and options that make no sense", () => {
    using memory = new Mapping({ size: 2 * page, name: "memory" });
    for (const [offset, size] of [
      [2 * page, 1],
      [-1, 1],
      [0, 2 * page + 1],
      [0.5, 1],
      [NaN, 1],
      [0, NaN],
    ] as const)
      expect(() => memory.view(offset, size)).toThrow(RangeError);
    for (const options of [
      { size: 0 },
      { size: NaN },
      { size: page, offset: 1 },
      { size: page, alignment: 3 * page },
      { size: page, alignment: 1 },
      { size: page, alignment: 2 * gib },
    ])
      expect(() => new Mapping({ name: "memory", ...options })).toThrow(RangeError);
  });

  test("that the kernel refuses says which, and keeps nothing", () => {
    using file = FileDescriptor.open("/dev/null");
    const before = areas().length;
    for (const alignment of [page, gib])
      expect(
        () => new Mapping({ fd: file.fd, size: page, alignment, name: "BAR0", device: "0000:01:00.0" }),
      ).toThrow(`${page} bytes of BAR0: mmap fails with ENODEV`);
    expect(() => new Mapping({ size: 2 ** 50, alignment: gib, name: "memory" })).toThrow(
      "mmap fails with ENOMEM",
    );
    expect(areas().length).toBeLessThanOrEqual(before);
  });
});

describe("a mapping used after close", () => {
  test("is refused, and views have no bytes: nothing faults", () => {
    const memory = new Mapping({ size: 4 * gib, name: "BAR0", device: "0000:01:00.0" });
    const { address } = memory;
    const views = [memory.view(0, 8), memory.view(gib - 4, 8), memory.view(3 * gib, gib)];
    const words = new Uint32Array(views[0]!.buffer, 0, 2);
    words[0] = 7;
    memory[Symbol.dispose]();
    expect([isMapped(address), memory.closed]).toEqual([false, true]);
    expect(views.map((view) => view.length)).toEqual([0, 0, 0]);
    for (let i = 0; i < 100_000; i++) words[0] = i;
    expect([words[0], words.length]).toEqual([undefined, 0] as never);
    for (const use of [
      () => memory.address,
      () => memory.view(0, 1),
      () => memory.read(0, new Uint8Array(1)),
      () => memory.write(0, new Uint8Array(1)),
      () => memory.advise(4),
    ]) {
      expect(use).toThrow(VfioError);
      expect(use).toThrow("BAR0 is unmapped");
    }
  });

  test("has been unmapped once: what lies there next stays", () => {
    const calls: string[] = [];
    const memory = new Mapping({ size: page, name: "memory" });
    using _ = traceSyscalls(({ name }) => calls.push(name));
    memory[Symbol.dispose]();
    memory[Symbol.dispose]();
    expect(calls).toEqual(["munmap"]);
  });

  test("a thousand come and go without a trace", () => {
    const round = (): void => {
      using file = new MemoryFile({ size: 4 * page, name: "file" });
      using memory = file.map({ alignment: 2 ** 21 });
      memory.view(0, 4).fill(1);
    };
    round();
    const before = areas().filter((line) => line.includes("memfd")).length;
    for (let i = 0; i < 1000; i++) round();
    expect(areas().filter((line) => line.includes("memfd")).length).toBe(before);
  });
});

describe("memory that may not be written, or not be touched,", () => {
  test("is refused to whoever would: no access ends the process", () => {
    using file = new MemoryFile({ size: page, name: "file" });
    file.writeAt(0, Uint8Array.of(7));
    using readOnly = file.map({ access: "r" });
    using reserved = new Mapping({ size: page, access: "none", name: "reserved" });
    const data = new Uint8Array(1);
    readOnly.read(0, data);
    expect([data[0], new MappedRegisters(readOnly).read8(0)]).toEqual([7, 7]);
    for (const use of [
      () => readOnly.write(0, data),
      () => readOnly.view(0, 1),
      () => new MappedRegisters(readOnly).write8(0, 1),
      () => new MappedRegisters(readOnly).write64(0, 1n, "whole"),
    ])
      expect(use).toThrow(new TypeError("file is mapped to be read only"));
    for (const use of [
      () => reserved.write(0, data),
      () => reserved.view(0, 1),
      () => reserved.read(0, data),
      () => new MappedRegisters(reserved),
    ])
      expect(use).toThrow(new TypeError("reserved is mapped without access"));
  });

  test("offsets and sizes of a wrong type are refused, fractions too", () => {
    using memory = new Mapping({ size: 4 * page, name: "memory" });
    for (const value of ["1", null, undefined, true, 1n, [1], {}] as never[]) {
      expect(() => memory.view(value, 1)).toThrow(TypeError);
      expect(() => memory.view(0, value)).toThrow(TypeError);
      expect(() => memory.read(value, new Uint8Array(1))).toThrow(TypeError);
      expect(() => memory.write(value, new Uint8Array(1))).toThrow(TypeError);
    }
    expect(() => memory.view(0, 10.7)).toThrow(RangeError);
  });
});

describe("a view whose buffer was transferred", () => {
  const transfers = {
    transfer: (buffer: ArrayBuffer) => buffer.transfer(),
    structuredClone: (buffer: ArrayBuffer) => structuredClone(buffer, { transfer: [buffer] }),
  };
  for (const [name, transfer] of Object.entries(transfers))
    test(`${name}: reaches zeros of its own after dispose, and nobody's memory`, () => {
      using file = new MemoryFile({ size: page, name: "file" });
      const memory = file.map();
      const elsewhere = new Uint8Array(transfer(memory.view(0, page).buffer));
      elsewhere[0] = 7;
      const data = new Uint8Array(1);
      memory.read(0, data);
      expect([data[0], memory.view(0, 1)[0]]).toEqual([7, 7]);
      memory[Symbol.dispose]();
      elsewhere[1] = 9;
      file.readAt(1, data);
      expect([elsewhere.length, elsewhere[0], elsewhere[1], data[0]]).toEqual([page, 0, 9, 0]);
    });

  test("does not take the registers with it: stores go on", () => {
    using memory = new Mapping({ size: page, name: "memory" });
    const registers = new MappedRegisters(memory);
    registers.write32(0, 1);
    memory.view(0, page).buffer.transfer();
    registers.write32(0, 2);
    expect(registers.read32(0)).toBe(2);
  });
});

describe("a memory file", () => {
  test("cannot lose or gain pages, whoever has its descriptor", () => {
    using file = new MemoryFile({ size: 2 * page, name: "guest memory" });
    using other = FileDescriptor.duplicate(file.fd, "another's");
    const truncated = Bun.spawnSync(["truncate", "-s", "0", `/proc/${process.pid}/fd/${other.fd}`], {
      stderr: "pipe",
    });
    expect(truncated.exitCode).not.toBe(0);
    expect(truncated.stderr.toString()).toContain("Operation not permitted");
    expect(readFileSync(`/proc/self/fd/${file.fd}`).length).toBe(2 * page);
  });

  test("is mapped in parts, and no further than it is long", () => {
    using file = new MemoryFile({ size: 4 * page, name: "guest memory" });
    using rest = file.map({ offset: page });
    expect(rest.size).toBe(3 * page);
    expect(() => file.map({ offset: page, size: 4 * page })).toThrow(RangeError);
    expect(() => new MemoryFile({ size: 0, name: "none" })).toThrow(RangeError);
    using readOnly = file.map({ access: "r" });
    expect(
      areas().some((line) => line.startsWith(readOnly.address.toString(16)) && line.includes("r--s")),
    ).toBe(true);
  });
});

test("the alignment of huge pages is the largest power of two inside, from a page to 1 GiB", () => {
  expect([1, page, 3 * 2 ** 20, gib - 1, 64 * gib].map(hugeAlignment)).toEqual([
    page,
    page,
    2 ** 21,
    gib / 2,
    gib,
  ]);
});
