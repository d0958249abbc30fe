// Queues of the NVMe disk: full ones, wrong doorbells, shadow doorbells, a medium that is slow, resets in the middle, snapshots.
import { describe, expect, test } from "bun:test";
import { LocalEnvironment, type DmaMedium } from "bun-vfio";
import { AsyncFile, Eventfd } from "bun-vfio/ffi";
import { nvme } from "../../../../examples/devices/nvme/nvme.ts";
import { NvmeDriver, page, register } from "../../../support/nvme-driver.ts";
import { base, diskSize, local, MappedMemory, onDisk, ways } from "../../../support/nvme-ways.ts";

const [flush, write, read] = [0, 1, 2];
const [admin, io, other] = [0, 1, 2];
const readBlock = (first: number, lba = 0) => ({ opcode: read, first, dwords: [lba, 0, 0] });

/** A file some of whose transfers, those of blocks below `slowBlocks`, end only when they are let go. */
class SlowFile implements DmaMedium {
  readonly #file: AsyncFile;
  readonly #held: (() => void)[] = [];
  readonly size: number;
  readonly isDirect: boolean;
  readonly ended: number;
  begun = 0;
  readonly slowBlocks = 100;
  isSlow = true;

  constructor(path: string) {
    this.#file = AsyncFile.open(path, { depth: 129 });
    ({ size: this.size, isDirect: this.isDirect, ended: this.ended } = this.#file);
  }
  get pending(): number {
    return this.#file.pending + this.#held.length;
  }
  transfer: DmaMedium["transfer"] = (way, offset, pieces, onEnd, durable) => {
    this.begun++;
    const begin = (): void => this.#file.transfer(way, offset, pieces, onEnd, durable);
    if (this.isSlow && offset < this.slowBlocks * 512) this.#held.push(begin);
    else begin();
  };
  sync: DmaMedium["sync"] = (onEnd) => this.#file.sync(onEnd);
  collect = (): void => this.#file.collect();
  release(count = Infinity): void {
    for (const begin of this.#held.splice(0, count)) begin();
  }
  wait(): void {
    for (; this.pending > 0; this.#file.wait()) this.release();
  }
  [Symbol.dispose](): void {
    this.wait();
    this.#file[Symbol.dispose]();
  }
}

/** A disk whose first blocks are slow. */
async function slow() {
  let medium!: SlowFile;
  const disk = local(true, (path) => (medium = new SlowFile(path)));
  await disk.driver.enable();
  await disk.driver.createQueue(io, 64);
  await disk.driver.createQueue(other, 64);
  return { ...disk, medium };
}

describe.each(ways)("by %s", (_, make) => {
  test("as many commands as a ring holds, round and round, each ends once", async () => {
    await using disk = await make();
    const { driver } = disk;
    await driver.enable();
    await driver.createQueue(io, 8);
    const data = driver.allocate();
    for (let round = 0; round < 5; round++) {
      const ids = Array.from({ length: 7 }, (_, n) => driver.put(io, readBlock(data, n)));
      driver.ring(io);
      for (const id of ids) expect((await driver.ended(io, id)).status).toBe(0);
    }
  });

  test("a completion queue that is full takes no more until the driver has looked: nothing is lost", async () => {
    await using disk = await make();
    const { driver } = disk;
    await driver.enable();
    await driver.createQueue(io, 16);
    // Submissions of a second queue come to the first one's completions, of which there is room for 15.
    const data = driver.allocate();
    const ids = Array.from({ length: 15 }, () => driver.put(io, readBlock(data)));
    driver.ring(io);
    const ring = driver.allocate();
    await driver.done(admin, { opcode: 1, first: ring, dwords: [15 * 2 ** 16 + 2, 2 ** 16 + 1] });
    driver.rings[2] = { ...driver.rings[io]!, submissions: ring, tail: 0 };
    const more = Array.from({ length: 15 }, () => driver.put(2, readBlock(data)));
    driver.ring(2);
    await driver.until(
      "15 have ended",
      () => driver.look(io, Infinity, false).length > 0 || driver.rings[io]!.ended.size === 15,
    );
    await driver.until(
      "all 15",
      () => (driver.look(io, Infinity, false), driver.rings[io]!.ended.size === 15),
    );
    await Bun.sleep(20);
    expect(driver.look(io, Infinity, false)).toEqual([]);
    // Seven at a time.
    const ended: number[] = [...driver.rings[io]!.ended.keys()];
    driver.write(0x1004 + 8 * io, driver.rings[io]!.head);
    while (ended.length < 30) {
      await Bun.sleep(1);
      ended.push(...driver.look(io, 7).map(({ id }) => id));
    }
    expect(ended.toSorted((a, b) => a - b)).toEqual([...ids, ...more].toSorted((a, b) => a - b));
  });

  test("wrong doorbells are told by an event each, once the log of the last was read; queues go on", async () => {
    await using disk = await make();
    const { driver } = disk;
    await driver.enable();
    await driver.createQueue(io, 8);
    const data = driver.allocate();
    const event = () => driver.submit(admin, { opcode: 12 });
    const [first, second] = [event(), event()];
    driver.ring(io, 8);
    // Kind 0 (errors), 1 (a value that cannot be), and its log.
    expect((await driver.ended(admin, first)).result).toBe(0x1_0100);
    driver.ring(3, 1);
    driver.write(0x1004 + 8 * io, 3);
    await driver.done(admin, { opcode: 10, dwords: [7] });
    expect(driver.look(admin)).toEqual([]);
    const readLog = () => driver.done(admin, { opcode: 2, first: data, dwords: [1 + 15 * 2 ** 16] });
    await readLog();
    expect((await driver.ended(admin, second)).result).toBe(0x1_0000);
    await driver.done(io, readBlock(data));
    // Four wait at once; abort takes one back.
    const waiting = Array.from({ length: 4 }, event);
    expect(await driver.status(admin, { opcode: 12 })).toBe(0x105);
    const abort = (queue: number, id: number) =>
      driver.done(admin, { opcode: 8, dwords: [queue + id * 2 ** 16] });
    expect(await abort(admin, waiting[2]!)).toBe(0);
    expect((await driver.ended(admin, waiting[2]!)).status).toBe(7);
    expect([await abort(admin, 0xfff0), await abort(3, 0)]).toEqual([1, 1]);
    await readLog();
    expect((await driver.ended(admin, waiting[0]!)).result).toBe(0x1_0100);
  });

  test("shadow doorbells: what is in memory counts, and a doorbell is asked for when nothing is left", async () => {
    await using disk = await make();
    const { driver } = disk;
    await driver.enable();
    await driver.createQueue(io, 8);
    const [data, shadows, events] = [driver.allocate(), driver.allocate(), driver.allocate()];
    await driver.done(io, readBlock(data));
    const share = (first: number, second: number) => driver.status(admin, { opcode: 0x7c, first, second });
    expect([
      await share(shadows + 8, events),
      await share(0, events),
      await share(shadows, base + 2 ** 30),
    ]).toEqual([...[0x13, 0x13, 4]]);
    expect(await share(shadows, events)).toBe(0);
    await driver.createQueue(other, 8);
    const words = (iova: number) => new Uint32Array(driver.at(iova, page).slice().buffer);
    expect([...words(shadows).slice(2, 4), words(events)[2]]).toEqual([1, 1, 1]);
    const word = (value: number) => new Uint8Array(Uint32Array.of(value).buffer);
    const ids = [1, 2, 3].map((n) => driver.put(io, readBlock(data, n)));
    driver.at(shadows + 8, 4).set(word(4));
    // The register says less than memory does.
    driver.ring(io, 2);
    for (const id of ids) expect((await driver.ended(io, id)).status).toBe(0);
    expect(words(events)[2]).toBe(4);
    // Nothing that cannot be is believed, there as elsewhere.
    driver.at(shadows + 8, 4).set(word(0xffff_ffff));
    driver.ring(io, 4);
    driver.at(shadows + 8, 4).set(word(4));
    // A full completion queue: where the driver has got to is in memory, too.
    for (let n = 0; n < 3; n++) {
      const more = Array.from({ length: 7 }, () => driver.put(other, readBlock(data)));
      driver.at(shadows + 16, 4).set(word(driver.rings[other]!.tail));
      driver.ring(other);
      await driver.until(
        "seven",
        () => (driver.look(other, 7, false), driver.rings[other]!.ended.size === 7),
      );
      driver.at(shadows + 20, 4).set(word(driver.rings[other]!.head));
      for (const id of more) driver.rings[other]!.ended.delete(id);
    }
  });

  test("a controller reset, a shutdown, and a reset of the function in the middle of commands; it starts again", async () => {
    await using disk = await make();
    const { driver, device } = disk;
    for (const reset of [
      () => driver.write(register.configuration, 0),
      () => (device.reset(), device.write(7, 4, Uint8Array.of(6, 0))),
      () => driver.write(register.configuration, 0x0046_4001),
    ]) {
      await driver.enable();
      await driver.createQueue(io, 32);
      const data = driver.allocate();
      driver.at(data, page).fill(0x5a);
      for (let n = 0; n < 31; n++)
        driver.put(io, { opcode: n % 2 ? write : read, first: data, dwords: [n, 0, 7] });
      driver.ring(io);
      reset();
      if ((driver.read(register.configuration) & 1) === 0)
        await driver.until("not ready", () => (driver.read(register.status) & 1) === 0);
      else await driver.until("shut down", () => ((driver.read(register.status) >>> 2) & 3) === 2);
      // Nothing is written to this memory any more.
      driver.at(data, page).fill(1);
      await Bun.sleep(20);
      if ((driver.read(register.configuration) & 1) === 0)
        expect(driver.at(data, page).every((byte) => byte === 1)).toBe(true);
    }
    await driver.enable();
    await driver.createQueue(io, 8);
    await driver.done(io, { opcode: flush });
  });

  test("a controller that cannot start, or whose queues are in no memory, says that it fails; a reset mends it", async () => {
    await using disk = await make();
    const { driver } = disk;
    const fatal = () => driver.until("it fails", () => (driver.read(register.status) & 2) !== 0);
    for (const configuration of [0x0046_0011, 0x0046_0081, 0x0046_0801]) {
      await driver.enable(32, configuration);
      expect(driver.read(register.status) & 3).toBe(2);
    }
    await driver.enable();
    const far = base + 2 ** 30;
    await driver.done(admin, { opcode: 5, first: far, dwords: [7 * 2 ** 16 + 1, 3] });
    await driver.done(admin, { opcode: 1, first: far, dwords: [7 * 2 ** 16 + 1, 2 ** 16 + 1] });
    driver.write(0x1000 + 8 * io, 1);
    await fatal();
    await driver.enable();
    await driver.done(admin, { opcode: 10, dwords: [7] });
    // Bus mastering off: it reaches nothing.
    driver.device.write(7, 4, Uint8Array.of(2, 0));
    driver.submit(admin, { opcode: 10, dwords: [7] });
    await fatal();
    driver.device.write(7, 4, Uint8Array.of(6, 0));
    await driver.enable();
    await driver.done(admin, { opcode: 10, dwords: [7] });
  });
});

test("a slow medium keeps no other queue waiting, and has 32 of a queue's commands at most", async () => {
  const disk = await slow();
  await using _ = disk;
  const { driver, medium } = disk;
  const data = driver.allocate();
  const ids = Array.from({ length: 40 }, (_, n) => driver.put(io, readBlock(data, n)));
  driver.ring(io);
  await driver.until("it has 32", () => medium.begun === 32);
  // One after the other, while none of the first queue's ends.
  for (let n = 0; n < 50; n++) await driver.done(other, readBlock(data, 200 + n));
  await driver.done(admin, { opcode: 10, dwords: [7] });
  expect([driver.look(io), medium.begun]).toEqual([[], 82]);
  // One that waits for the medium can be aborted, one that it has cannot.
  const abort = (id: number) => driver.done(admin, { opcode: 8, dwords: [io + id * 2 ** 16] });
  expect([await abort(ids[39]!), await abort(ids[0]!)]).toEqual([0, 1]);
  expect((await driver.ended(io, ids[39]!)).status).toBe(7);
  medium.release(1);
  expect((await driver.ended(io, ids[0]!)).status).toBe(0);
  expect(medium.begun).toBe(83);
  // Deleting the queue ends what waits; the deletion ends when the medium is done.
  const deletion = driver.submit(admin, { opcode: 0, dwords: [io] });
  await driver.done(other, readBlock(data, 300));
  expect(driver.look(admin)).toEqual([]);
  medium.isSlow = false;
  medium.release();
  expect((await driver.ended(admin, deletion)).status).toBe(0);
  await driver.until("all have ended", () => (driver.look(io), driver.rings[io]!.ended.size === 38));
  const statuses = ids.slice(1, 39).map((id) => driver.rings[io]!.ended.get(id)!.status);
  expect(statuses).toEqual([...Array.from({ length: 32 }, () => 0), ...Array.from({ length: 6 }, () => 8)]);
});

test("a reset while the medium is slow: not ready only once it touches no memory; what it reads then is nobody's", async () => {
  const disk = await slow();
  await using _ = disk;
  const { driver, medium } = disk;
  const data = driver.allocate();
  for (let n = 0; n < 40; n++) driver.put(io, readBlock(data, n));
  driver.ring(io);
  await driver.until("it has 32", () => medium.begun === 32);
  driver.write(register.configuration, 0);
  expect(driver.read(register.status) & 1).toBe(1);
  // Enabled too early: it starts once it can.
  driver.write(register.configuration, 0x0046_0001);
  await Bun.sleep(5);
  expect(driver.read(register.status) & 1).toBe(1);
  medium.isSlow = false;
  medium.release();
  await driver.enable();
  await driver.done(admin, { opcode: 10, dwords: [7] });
  // Those that waited were never begun.
  expect(medium.begun).toBe(32);
});

test("memory that is taken away in the middle of a transfer is waited for", () => {
  using memory = new MappedMemory(2 ** 20, base);
  using environment = new LocalEnvironment(memory);
  using ended = new Eventfd();
  let waited = 0;
  let onEnd: ((result: number) => void) | undefined;
  const medium: DmaMedium = {
    ...{ size: diskSize, isDirect: false, ended: ended.fd, collect: () => {}, sync: () => {} },
    get pending() {
      return onEnd ? 1 : 0;
    },
    transfer: (_way, _at, _pieces, end) => void (onEnd = end),
    wait() {
      waited++;
      onEnd?.(512);
      onEnd = undefined;
    },
    [Symbol.dispose]: () => {},
  };
  using device = nvme({ namespaces: [medium] })(environment);
  using driver = new NvmeDriver(device, memory.mapped, base);
  const size = 8;
  const [submissions, completions, ring, ends, data] = [1, 1, 1, 1, 1].map(() => driver.allocate());
  driver.write(register.attributes, (size - 1) * 0x10001);
  for (const [at, value] of [
    [0x28, submissions!],
    [0x30, completions!],
  ] as const) {
    driver.write(at, value % 2 ** 32);
    driver.write(at + 4, Math.floor(value / 2 ** 32));
  }
  driver.write(register.configuration, 0x0046_0001);
  driver.rings[admin] = {
    submissions: submissions!,
    completions: completions!,
    size,
    tail: 0,
    head: 0,
    phase: 1,
    ended: new Map(),
  };
  driver.rings[io] = {
    submissions: ring!,
    completions: ends!,
    size,
    tail: 0,
    head: 0,
    phase: 1,
    ended: new Map(),
  };
  driver.submit(admin, { opcode: 5, first: ends!, dwords: [7 * 2 ** 16 + 1, 3] });
  driver.submit(admin, { opcode: 1, first: ring!, dwords: [7 * 2 ** 16 + 1, 2 ** 16 + 1] });
  driver.submit(io, readBlock(data!));
  expect([driver.look(admin).length, waited, medium.pending]).toEqual([2, 0, 1]);
  memory.unmap({ base: ring!, size: page });
  expect(waited).toBe(0);
  memory.unmap({ base: data! + 256, size: 16 });
  expect([waited, medium.pending]).toEqual([1, 0]);
  expect(driver.look(io).map(({ status }) => status)).toEqual([0]);
});

test("a snapshot in the middle goes on in another controller, with commands that were under way; no other state is taken", async () => {
  const disk = await slow();
  await using _ = disk;
  const { driver, medium, device } = disk;
  const [data, shadows, events] = [driver.allocate(4), driver.allocate(), driver.allocate()];
  await driver.done(admin, { opcode: 9, dwords: [6, 1] });
  await driver.done(admin, { opcode: 0x7c, first: shadows, second: events });
  const waiting = driver.submit(admin, { opcode: 12 });
  driver.at(data, 512).fill(0x77);
  const [writing, reading] = [
    driver.put(io, { opcode: write, first: data, dwords: [3, 0, 0] }),
    driver.put(io, readBlock(data + page, 60)),
  ];
  driver.at(shadows + 8, 4).set([2, 0, 0, 0]);
  driver.ring(io);
  await driver.until("both are under way", () => medium.begun === 2);
  const state: unknown = JSON.parse(JSON.stringify(device.ownState.save()));
  const memory = driver.bytes.slice();

  const second = local(true);
  await using __ = second;
  const { driver: next } = second;
  next.bytes.set(memory);
  for (const [n, { submissions, completions, size, tail, head, phase }] of driver.rings.entries())
    next.rings[n] = { submissions, completions, size, tail, head, phase, ended: new Map() };
  second.device.ownState.restore(state);
  for (const id of [writing, reading]) expect((await next.ended(io, id)).status).toBe(0);
  expect(onDisk(second.path, 3 * 512, 512).every((byte) => byte === 0x77)).toBe(true);
  expect(await next.done(admin, { opcode: 10, dwords: [6] })).toBe(1);
  next.ring(3, 1);
  expect((await next.ended(admin, waiting)).result).toBe(0x1_0000);

  const { bars, own } = state as { bars: unknown; own: Record<string, unknown[]> };
  const wrong: unknown[] = [
    ...[null, {}, { ...own, completions: "x" }, { ...own, completions: [] }, { ...own, submissions: [] }],
    { ...own, features: [[99, 0]] },
    { ...own, buffers: [1, 2] },
    { ...own, commands: [[1, "00"]] },
    { ...own, submissions: (own.submissions as object[]).map((one) => ({ ...one, head: 5000 })) },
  ];
  for (const one of wrong) {
    await using fresh = local(false);
    expect(() => fresh.device.ownState.restore({ bars, own: one })).toThrow(RangeError);
  }
});
