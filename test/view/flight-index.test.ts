// States of a recording: at every point what the device was then, from wherever it is asked.
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { entriesAt, entrySize, type FlightEntries } from "../../src/device/replay/flight-format.ts";
import { FlightRecorder } from "../../src/device/replay/flight-recorder.ts";
import { readFlight, type FlightRecording } from "../../src/device/replay/read-flight.ts";
import { TraceKind } from "../../src/device/seam/trace.ts";
import { BarReasons } from "../../src/view/bar-reasons.ts";
import { flightData } from "../../src/view/flight-data.ts";
import { FlightIndex, lanes } from "../../src/view/flight-index.ts";
import {
  allAccesses,
  entryText,
  searchFlight,
  slowest,
  wantsAll,
  type FlightSearch,
} from "../../src/view/flight-search.ts";
import { FlightState, Seen, type FlightStart } from "../../src/view/flight-state.ts";
import { attach, memory, writeVector } from "../support/attached.ts";
import { seededRandom } from "../support/random.ts";
import { at } from "../support/synthetic-image.ts";
import { addresses, recordFlight, markup } from "./recorded-flight.ts";

let folder: string;
let recording: FlightRecording;
let start: FlightStart;

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "view-"));
  const path = join(folder, "card.flight");
  recordFlight(path, { reads: 3000 });
  const bytes = readFileSync(path);
  recording = readFlight(bytes, path);
  start = startOf(bytes, recording);
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** What the page has of the device. */
function startOf(bytes: Uint8Array, from: FlightRecording): FlightStart {
  const { guest } = flightData(bytes, from, "card").device!;
  const table = (hex: string): Uint8Array => Uint8Array.fromHex(hex);
  return {
    config: table(guest!.shadow),
    emulated: table(guest!.emulated),
    write: table(guest!.write),
    clear: table(guest!.clear),
    msix: guest!.msix?.guest,
  };
}

/** A state without its maps' identities. */
const plain = (state: FlightState): unknown => ({ ...state, start: undefined });

describe("the state at a point", () => {
  test("is that of all entries up to it, wherever it is asked", () => {
    const index = new FlightIndex(recording, start);
    expect(index.count).toBeGreaterThan(4096);
    const whole = new FlightState(start);
    const points = new Set([0, 1, 40, 2046, 2047, 2048, 2049, 4095, 4096, index.count - 2, index.count - 1]);
    expect(plain(index.stateAt(-1))).toEqual(plain(whole));
    for (let point = 0; point < index.count; point++) {
      whole.apply(index.entry(point));
      if (points.has(point)) expect(plain(index.stateAt(point))).toEqual(plain(whole));
    }
  });

  test("is reached by a few thousand entries of however many there are", () => {
    let read = 0;
    const counted: FlightEntries = {
      ...recording,
      entry: (at) => (read++, recording.entry(at)),
    };
    const index = new FlightIndex(counted, start);
    for (const point of [0, 2047, index.count - 1]) {
      read = 0;
      index.stateAt(point);
      expect(read).toBeLessThanOrEqual(2048);
    }
  });

  test("has the BAR before and after its move, what is mapped, and the vector", () => {
    const index = new FlightIndex(recording, start);
    const basesAt = (point: number): number[] =>
      [...index.stateAt(point).ranges.values()].map(({ base }) => base);
    const first = [...index.lane.keys()].find((one) => index.entry(one).kind === TraceKind.barRead)!;
    expect(basesAt(first)).toEqual([addresses.before, addresses.bar2]);
    expect(basesAt(index.count - 1)).toEqual([addresses.after, addresses.bar2]);
    const last = index.stateAt(index.count - 1);
    expect([...last.slots.values()].map(({ gpa, size }) => [gpa, size])).toEqual([
      [addresses.after, 0x1000],
      [addresses.after + 0x3000, 0x1000],
    ]);
    expect(last.routes).toEqual(new Map([[1, { address: 0xfee00000, data: 0x42 }]]));
    expect([last.masked[0], last.masked[1], last.routed[1]]).toEqual([1, 0, 1]);
  });

  test("is what the model says, after whatever a guest does", () => {
    const random = seededRandom(18);
    const pick = (count: number): number => random.below(count);
    const path = join(folder, "random.flight");
    using recorder = new FlightRecorder({ entries: 20_000 });
    using guest = attach(
      {
        bars: { 0: { size: 0x4000 }, 2: { size: 0x1000 } },
        msix: { vectors: 8, table: [0, 0x1000], pba: [0, 0x2000] },
      },
      { attach: { trace: recorder, msixRelocation: "never" } },
    );
    const { device, platform } = guest;
    for (let round = 0; round < 400; round++) {
      const base = device.describe().bars[0]!.base;
      const acts = [
        () => device.configWrite(0x10 + 8 * pick(2), 4, 0xd000_0000 + 0x10_0000 * pick(8)),
        () => device.configWrite(0x04, 2, memory * pick(2)),
        () => device.configWrite(at.msix + 2, 2, 0x8000 * pick(2)),
        () => device.configWrite(4 * pick(64), 4, pick(2 ** 32)),
        () => base !== undefined && writeVector(device, base + 0x1000, pick(8), pick(256), pick(2) === 1),
      ];
      random.pick(acts)();
    }
    const before = recorder.count;
    const config = Uint8Array.from({ length: 64 }, (_, offset) => device.configRead(offset, 1));
    recorder.save(path);
    const bytes = readFileSync(path);
    const read = readFlight(bytes, path);
    expect(read.lost).toBe(0);
    const index = new FlightIndex(read, startOf(bytes, read));
    const state = index.stateAt(index.count - 1);
    const { bars, interrupts } = device.describe();
    expect(bars.map(({ base }) => base)).toEqual(
      bars.map(({ region }) => [...state.ranges.values()].find((range) => range.region === region)?.base),
    );
    expect([...state.slots.values()].map(({ gpa }) => gpa).sort()).toEqual(
      platform
        .state()
        .slots.map(({ gpa }) => gpa)
        .sort(),
    );
    if (interrupts.mode === "MSI-X")
      expect([...state.routes.keys()].sort()).toEqual([...interrupts.routed].sort());
    expect(state.config.slice(0, 64)).toEqual(config);
    // Before the guest read it all, what it wrote had come out the same.
    const unread = index.stateAt(before - 1);
    for (const bar of [0x10, 0x18]) {
      expect(unread.seen[bar + 3]).toBe(Seen.written);
      expect(unread.config.slice(bar, bar + 4)).toEqual(config.slice(bar, bar + 4));
    }
  });
});

describe("what a file says that lies", () => {
  test("times that go back, or are none, keep their order", () => {
    const times = [0, 5, Number.NaN, 3, Number.POSITIVE_INFINITY, 7];
    const index = new FlightIndex(
      {
        ...{ startTime: 0, count: times.length, lost: 0 },
        entry: (i) => ({
          index: i,
          seconds: times[i]!,
          kind: TraceKind.configRead,
          numbers: [0, 4, 0, 0, 0],
          text: undefined,
        }),
      },
      start,
    );
    expect([...index.seconds]).toEqual([0, 5, 5, 5, 5, 7]);
    expect([-1, 0, 4, 5, 6, 8].map((seconds) => index.atTime(seconds))).toEqual([-1, 0, 0, 4, 4, 5]);
  });

  test("slots, ranges, routes and peers without end stay bounded", () => {
    const state = new FlightState(start);
    const kinds = [TraceKind.slotAdd, TraceKind.busInsert, TraceKind.route, TraceKind.dmaMap];
    for (const kind of kinds)
      for (let i = 0; i < 5000; i++)
        state.apply({ index: 0, seconds: 0, kind, numbers: [i, i, i, i, i], text: undefined });
    expect([state.slots.size, state.ranges.size, state.routes.size, state.peers.size]).toEqual([
      512, 64, 2048, 512,
    ]);
  });

  test("accesses outside of config space, and of no width that there is, change nothing", () => {
    const state = new FlightState(start);
    for (const numbers of [
      [-1, 4, 1],
      [4096, 4, 1],
      [4095, 2, 1],
      [0.5, 1, 1],
      [0, 3, 1],
      [Number.NaN, 4, 1],
      [0, 2 ** 40, 1],
    ])
      for (const kind of [TraceKind.configRead, TraceKind.configWrite])
        state.apply({ index: 0, seconds: 0, kind, numbers: [...numbers, 0, 0], text: undefined });
    expect(plain(state)).toEqual(plain(new FlightState(start)));
  });

  test("kinds that nobody knows are problems, and have a text", () => {
    const entry = { index: 0, seconds: 0, kind: 60_000, numbers: [1, 2, 3, 4, 5], text: undefined };
    const index = new FlightIndex({ startTime: 0, count: 1, lost: 0, entry: () => entry }, start);
    expect([lanes[index.lane[0]!], index.problems]).toEqual(["problems", [0]]);
    expect(entryText(entry)).toBe("an entry that cannot be read: kind 60000, 1 2 3 4 5");
  });

  test("nothing at all is a recording too", () => {
    const none = { startTime: 0, count: 0, lost: 0, entry: () => expect.unreachable() };
    const index = new FlightIndex(none, start);
    expect([index.count, index.accesses, index.problems]).toEqual([0, 0, []]);
    expect(plain(index.stateAt(-1))).toEqual(plain(new FlightState(start)));
  });
});

describe("why a BAR is not mapped", () => {
  test("is told with what the platform said, from when it happened on", () => {
    const index = new FlightIndex(recording, start);
    const reasons = new BarReasons(index);
    const text = `BAR2 0x0+0x100000 gets no memory slot and stays trapped: ${markup}`;
    const all = reasons.of("BAR2", index.count - 1);
    expect(all.map((reason) => reason.text)).toEqual([text]);
    const [first, second] = index.problems.filter((at) => index.entry(at).kind === TraceKind.event);
    expect(all[0]!.at).toBe(second!);
    expect(reasons.of("BAR2", first!)).toEqual([{ at: first!, text }]);
    expect([reasons.of("BAR2", first! - 1), reasons.of("BAR0", index.count - 1)]).toEqual([[], []]);
  });
});

describe("what is looked for", () => {
  const look = (index: FlightIndex, search: FlightSearch): number[] =>
    [...searchFlight(index, search)].filter((access) => access !== undefined);
  const causes = (index: FlightIndex, search: FlightSearch): string[] =>
    look(index, search).map((access) => entryText(index.entry(index.access(access).cause ?? 0)));

  test("problems, and the words of a refusal", () => {
    const index = new FlightIndex(recording, start);
    const texts = causes(index, { text: markup.toLowerCase() });
    expect(texts).toEqual(["config write 0x004 2 = 0x0002", "config write 0x004 2 = 0x0002"]);
    expect(causes(index, { why: true })).toEqual([
      ...texts,
      "all ones: address 0x010 4: no BAR decodes the address",
    ]);
  });

  test("one BAR, config space, one vector", () => {
    const index = new FlightIndex(recording, start);
    expect(look(index, {})).toEqual([...allAccesses(index)]);
    expect([{}, { text: "", config: false }].every(wantsAll)).toBe(true);
    const some = [{ text: "a" }, { config: true }, { bar: 0 }, { vector: 0 }, { slow: 0 }, { why: true }];
    expect(some.some(wantsAll)).toBe(false);
    expect(causes(index, { config: true }).every((text) => text.startsWith("config "))).toBe(true);
    // The attach asks the host for vectors, too.
    expect(look(index, { vector: 1 }).map((access) => index.hasCause(access))).toEqual([false, true]);
    expect(causes(index, { vector: 1 })[1]).toBe("BAR0 write 0x101c 4 = 0x00000000");
    expect(causes(index, { bar: 2, config: true })).toHaveLength(3);
  });

  test("the slowest stand first, and are no attach", () => {
    const index = new FlightIndex(recording, start);
    const found = slowest(index, look(index, {}), 10);
    const took = found.map((access) => index.took(access));
    expect(took).toEqual(took.toSorted((a, b) => b - a));
    const all = look(index, {}).filter((access) => index.hasCause(access));
    expect(took[0]).toBe(Math.max(...all.map((access) => index.took(access))));
    expect(found.every((access) => index.access(access).cause !== undefined)).toBe(true);
    expect(look(index, { slow: took[9]! }).length).toBeGreaterThanOrEqual(10);
  });
});

test("a page's copy of a recording has what was recorded, and no empty ring", () => {
  const path = join(folder, "card.flight");
  const bytes = readFileSync(path);
  const copy = Bun.gunzipSync(Uint8Array.fromBase64(flightData(bytes, recording, "card").flight.bytes));
  expect(copy.length).toBe(entriesAt + recording.count * entrySize);
  const read = readFlight(copy, "copy");
  expect([read.count, read.lost]).toEqual([recording.count, 0]);
  for (const point of [0, 40, recording.count - 1]) expect(read.entry(point)).toEqual(recording.entry(point));
});

test("a recording whose first entries are overwritten is shown from where it begins", () => {
  const path = join(folder, "short.flight");
  recordFlight(path, { reads: 50, entries: 64 });
  const bytes = readFileSync(path);
  const read = readFlight(bytes, path);
  expect(read.lost).toBeGreaterThan(0);
  const index = new FlightIndex(read, startOf(bytes, read));
  expect(index.count).toBe(64);
  expect([...index.stateAt(63).ranges.values()].map(({ base }) => base)).toContain(addresses.after);
});
