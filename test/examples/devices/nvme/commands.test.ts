// Every command of the NVMe disk, and what is wrong with some, with a driver of the specification's numbers and real memory.
import { describe, expect, test } from "bun:test";
import { nvme } from "../../../../examples/devices/nvme/nvme.ts";
import { page, register } from "../../../support/nvme-driver.ts";
import { base, diskSize, memorySize, onDisk, ways } from "../../../support/nvme-ways.ts";

const pattern = (size: number, seed: number): Uint8Array =>
  Uint8Array.from({ length: size }, (_, i) => (i * 31 + (i >>> 8) * 17 + seed) & 0xff);
const same = (a: Uint8Array, b: Uint8Array): boolean => Buffer.compare(a, b) === 0;
const text = (bytes: Uint8Array): string => new TextDecoder("latin1").decode(bytes).trimEnd();
const [flush, write, read, zeroes] = [0, 1, 2, 8];
const [admin, io] = [0, 1];

describe.each(ways)("by %s", (_, make) => {
  test("registers, then ready with an admin queue; identify tells of one namespace", async () => {
    await using disk = await make();
    const { driver } = disk;
    expect([driver.read(0), driver.read(4), driver.read(register.version)]).toEqual([
      0x1401_03ff, 0x20, 0x10400,
    ]);
    await driver.enable();
    expect(driver.read(register.status)).toBe(1);
    const data = driver.allocate();
    const identify = (kind: number, namespace = 0): Promise<number> =>
      driver.status(admin, { opcode: 6, namespace, first: data, dwords: [kind] });
    const bytes = driver.at(data, page);
    expect(await identify(1)).toBe(0);
    expect([text(bytes.subarray(4, 24)), text(bytes.subarray(24, 64)), bytes[77]]).toEqual([
      "TEST",
      "Bun NVMe Ctrl",
      7,
    ]);
    expect([bytes[512], bytes[513], bytes[516], bytes[520]! & 8, bytes[525]! & 1]).toEqual([
      0x66, 0x44, 1, 8, 1,
    ]);
    expect(await identify(0, 1)).toBe(0);
    const view = new DataView(bytes.buffer, bytes.byteOffset);
    expect([view.getUint32(0, true), view.getUint32(8, true), bytes[130]]).toEqual([
      diskSize / 512,
      diskSize / 512,
      9,
    ]);
    expect(await identify(2, 0)).toBe(0);
    expect([bytes[0], bytes[4]]).toEqual([1, 0]);
    expect(await identify(3, 1)).toBe(0);
    expect([bytes[0], bytes[1]]).toEqual([3, 16]);
    // Other kinds, other namespaces.
    expect([
      await identify(0x10),
      await identify(0, 2),
      await identify(0, 0xffff_ffff),
      await identify(3, 7),
    ]).toEqual([...[2, 0xb, 0xb, 0xb]]);
    expect(driver.interrupts[0]!.drain()).toBeGreaterThan(0);
  });

  test("writes and reads by pages, lists and lists of lists; the file has it; flush; zeroes", async () => {
    await using disk = await make();
    const { driver } = disk;
    await driver.enable();
    await driver.createQueue(io, 16);
    const [data, back, list] = [driver.allocate(129), driver.allocate(129), driver.allocate()];
    for (const [n, blocks, offset] of [
      ...[
        [0, 1, 0],
        [1, 8, 0],
        [2, 8, 512],
        [3, 16, 0],
        [4, 17, 0],
        [5, 1024, 0],
        [6, 1017, 512],
        [7, 3, 4 * 100],
      ],
    ] as const) {
      const bytes = pattern(blocks * 512, n);
      driver.at(data + offset, bytes.length).set(bytes);
      const lba = 64 * n;
      const dwords = [lba, 0, blocks - 1];
      await driver.done(io, { opcode: write, dwords, ...driver.pages(data + offset, bytes.length, list) });
      expect([n, same(onDisk(disk.path, lba * 512, bytes.length), bytes)]).toEqual([n, true]);
      driver.at(back, 129 * page).fill(0);
      await driver.done(io, { opcode: read, dwords, ...driver.pages(back + offset, bytes.length, list) });
      expect([n, same(driver.at(back + offset, bytes.length), bytes)]).toEqual([n, true]);
      expect([
        driver.at(back, offset).some(Boolean),
        driver.at(back + offset + bytes.length, 4).some(Boolean),
      ]).toEqual([...[false, false]]);
    }
    // A list that goes on in another page: its last entry says where.
    const [near, far] = [driver.allocate(), driver.allocate()];
    driver.pages(data, 40 * page, far);
    const entries = new BigUint64Array(driver.at(far, page).slice().buffer);
    const split = new BigUint64Array(4);
    split.set(entries.subarray(0, 3));
    split[3] = BigInt(far);
    driver.at(near + page - 32, 32).set(new Uint8Array(split.buffer));
    driver.at(far, page).set(new Uint8Array(entries.slice(3).buffer));
    const long = pattern(40 * page, 99);
    driver.at(data, long.length).set(long);
    const dwords = [100, 0, 40 * 8 - 1];
    await driver.done(io, { opcode: write, first: data, second: near + page - 32, dwords });
    expect(same(onDisk(disk.path, 100 * 512, long.length), long)).toBe(true);
    // Force unit access, flush of one or all, zeroes over it.
    await driver.done(io, { opcode: write, first: data, dwords: [100, 0, 2 ** 30] });
    await driver.done(io, { opcode: flush });
    await driver.done(io, { opcode: flush, namespace: 0xffff_ffff });
    await driver.done(io, { opcode: zeroes, dwords: [101, 0, 300] });
    expect(onDisk(disk.path, 101 * 512, 301 * 512).some(Boolean)).toBe(false);
    expect(onDisk(disk.path, 402 * 512, 512).some(Boolean)).toBe(true);
    await driver.done(io, { opcode: zeroes, dwords: [0, 0, diskSize / 512 - 1] });
    expect(onDisk(disk.path, 0, diskSize).some(Boolean)).toBe(false);
    expect(driver.interrupts[io]!.drain()).toBeGreaterThan(0);
  });

  test("malformed commands end with their status, and nothing else is touched", async () => {
    await using disk = await make();
    const { driver } = disk;
    await driver.enable();
    await driver.createQueue(io, 16);
    const data = driver.allocate(4);
    const last = diskSize / 512;
    const nowhere = base + memorySize;
    const of = (first: number | bigint, second: number | bigint, blocks: number) => ({
      ...{ opcode: read, first, second, dwords: [0, 0, blocks - 1] },
    });
    const put = (at: number, ...entries: (number | bigint)[]): number => {
      driver.at(at, 8 * entries.length).set(new Uint8Array(BigUint64Array.from(entries.map(BigInt)).buffer));
      return at;
    };
    const list = (...entries: (number | bigint)[]): number => put(driver.allocate(), ...entries);
    const [odd, loop] = [driver.allocate() + page - 8, driver.allocate() + page - 16];
    put(odd, odd + 8 - page + 16);
    put(loop, data, loop);
    const wrong = {
      "an opcode that there is not": [{ opcode: 0x7f }, 1],
      "another namespace": [{ ...of(data, 0, 1), namespace: 2 }, 0xb],
      "all namespaces to read": [{ ...of(data, 0, 1), namespace: 0xffff_ffff }, 0xb],
      "behind the end": [{ opcode: read, first: data, dwords: [last, 0, 0] }, 0x80],
      "over the end": [{ opcode: write, first: data, dwords: [last - 1, 0, 1] }, 0x80],
      "far behind the end": [{ opcode: write, first: data, dwords: [0xffff_ffff, 0xffff_ffff, 0] }, 0x80],
      "zeroes over the end": [{ opcode: zeroes, dwords: [1, 0, last - 1] }, 0x80],
      "more than it takes": [of(data, data, 1025), 2],
      "scatter-gather lists": [{ ...of(data, 0, 1), flags: 0x40 }, 2],
      "a fused command": [{ ...of(data, 0, 1), flags: 1 }, 2],
      "a first page that is odd": [of(data + 2, 0, 1), 0x13],
      "a second page with an offset": [of(data, data + 512, 16), 0x13],
      "a list that is odd": [of(data, data + 4, 17), 0x13],
      "a list of pages with an offset": [of(data, list(data + page, data + 2), 24), 0x13],
      "a list that goes on in the middle of a page": [of(data, odd, 24), 0x13],
      "a list that goes on in itself": [of(data, loop, 40), 0x13],
      "pages beyond what there can be": [of(2n ** 63n, 0, 1), 0x13],
      "a second page beyond what there can be": [of(data, 2n ** 63n, 16), 0x13],
      "a list of pages beyond what there can be": [of(data, list(2n ** 63n, 2n ** 63n), 24), 0x13],
      "no memory": [of(nowhere, 0, 1), 4],
      "a second page of no memory": [of(data, nowhere, 16), 4],
      "a list of no memory": [of(data, nowhere, 24), 4],
      "a list that names no memory": [of(data, list(nowhere, data), 24), 4],
      "memory from nowhere to write": [{ ...of(nowhere, 0, 1), opcode: write }, 4],
    } as const;
    for (const [what, [submission, status]] of Object.entries(wrong)) {
      const completion = await driver.command(io, submission);
      expect([what, completion.status, completion.doNotRetry]).toEqual([what, status, true]);
    }
    expect(onDisk(disk.path, 0, diskSize).some(Boolean)).toBe(false);
    await driver.done(io, { opcode: read, first: data, dwords: [0, 0, 0] });
    // Linux asks for the log of errors, which counts them.
    await driver.done(admin, { opcode: 2, first: data, dwords: [1 + 15 * 2 ** 16] });
    expect(driver.at(data, 1)[0]).toBe(Object.keys(wrong).length);
  });

  test("admin commands: queues, features, logs, and what is refused of them", async () => {
    await using disk = await make();
    const { driver } = disk;
    await driver.enable();
    const [data, ring] = [driver.allocate(), driver.allocate(16)];
    const send = (opcode: number, ...dwords: number[]) =>
      driver.command(admin, { opcode, first: ring, dwords });
    const status = async (...words: Parameters<typeof send>): Promise<number> =>
      (await send(...words)).status;
    const [createSubmissions, createCompletions, deleteSubmissions, deleteCompletions] = [1, 5, 0, 4];
    const of = (id: number, size: number): number => (size - 1) * 2 ** 16 + id;
    // Five vectors, four queues, 2 to 1,024 entries, in one piece, on a page.
    expect(await status(createCompletions, of(0, 16), 1)).toBe(0x101);
    expect(await status(createCompletions, of(5, 16), 1)).toBe(0x101);
    expect(await status(createCompletions, of(1, 1), 1)).toBe(0x102);
    expect(await status(createCompletions, of(1, 1025), 1)).toBe(0x102);
    expect(await status(createCompletions, of(1, 16), 0)).toBe(2);
    expect(await status(createCompletions, of(1, 16), 5 * 2 ** 16 + 3)).toBe(0x108);
    expect(await driver.status(admin, { opcode: 5, first: ring + 8, dwords: [of(1, 16), 1] })).toBe(0x13);
    expect(await status(createSubmissions, of(1, 16), 2 ** 16 + 1)).toBe(0x100);
    expect(await status(createSubmissions, of(1, 16), 1)).toBe(0x100);
    expect(await status(createCompletions, of(1, 16), 1)).toBe(0);
    expect(await status(createCompletions, of(1, 16), 1)).toBe(0x101);
    expect(await status(createSubmissions, of(1, 16), 2 ** 16 + 1)).toBe(0);
    expect(await status(createSubmissions, of(1, 16), 2 ** 16 + 1)).toBe(0x101);
    expect(await status(9, 7, 0x3_0003)).toBe(0xc);
    expect(await status(deleteCompletions, 1)).toBe(0x10c);
    expect(await status(deleteSubmissions, 0)).toBe(0x101);
    expect(await status(deleteSubmissions, 2)).toBe(0x101);
    expect(await status(deleteSubmissions, 1)).toBe(0);
    expect(await status(deleteCompletions, 1)).toBe(0);
    expect(await status(deleteCompletions, 0)).toBe(0x101);
    // Features.
    expect((await send(9, 7, 0x3f_003f)).result).toBe(0x3_0003);
    expect((await send(10, 7)).result).toBe(0x3_0003);
    expect(await status(9, 7, 0xffff)).toBe(2);
    expect(await status(9, 6, 1)).toBe(0);
    expect((await send(10, 6)).result).toBe(1);
    expect((await send(10, 0xb)).result).toBe(0);
    expect(await status(9, 2 ** 31 + 6, 1)).toBe(0x10d);
    expect([await status(9, 0x7f), await status(10, 0x7f), await status(10, 0x306)]).toEqual([2, 2, 2]);
    // Logs.
    const log = (number: number, ...more: number[]): Promise<number> =>
      driver.status(admin, { opcode: 2, first: data, namespace: 0xffff_ffff, dwords: [number, ...more] });
    expect([await log(2 + 127 * 2 ** 16), driver.at(data, 4)[3]]).toEqual([0, 100]);
    expect([await log(3 + 127 * 2 ** 16), driver.at(data, 1)[0]]).toEqual([0, 1]);
    expect([await log(9), await log(2, 0, 4), await log(2, 0, 0, 1)]).toEqual([0x109, 2, 2]);
    driver.at(data, page).fill(0xee);
    expect([await log(2), driver.at(data, 5)[3], driver.at(data, 5)[4]]).toEqual([0, 100, 0xee]);
    // What needs more than one namespace, or formats, there is not.
    expect([await status(0x0d), await status(0x80), await status(0xc0)]).toEqual([1, 1, 1]);
  });
});

test("one namespace for a controller: more are refused in words, and names that cannot be", () => {
  expect(() => nvme({ namespaces: ["one", "two"] })).toThrow(
    new RangeError("one namespace, not 2: make a controller for each file"),
  );
  expect(() => nvme({ namespaces: [] })).toThrow("one namespace, not 0");
  expect(() => nvme({ namespaces: ["one"], serial: "a".repeat(21) })).toThrow('"serial"');
});
