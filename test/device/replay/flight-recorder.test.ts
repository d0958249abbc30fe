import { describe, expect, test } from "bun:test";
import { chmodSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { RecordedDevice } from "../../../src/device/backends/recorded/recorded-device.ts";
import { MemoryPlatform } from "../../../src/device/platforms/memory/memory-platform.ts";
import { entriesAt, flightSize, header, textSize } from "../../../src/device/replay/flight-format.ts";
import { readFlight } from "../../../src/device/replay/read-flight.ts";
import { FlightRecorder } from "../../../src/device/replay/flight-recorder.ts";
import { replayFlight } from "../../../src/device/replay/flight-replay.ts";
import { replay } from "../../../src/device/replay/replay.ts";
import { traceFields, TraceKind } from "../../../src/device/seam/trace.ts";
import { formatTraceEntry, traceEntry } from "../../../src/device/seam/trace-text.ts";
import { VfioPciDevice } from "../../../src/device/passthrough/vfio-pci-device.ts";
import { parseTrace } from "../../../src/image/trace.ts";
import { readImage } from "../../../src/image/read.ts";
import { attach, memory, mmioRead, writeVector } from "../../support/attached.ts";
import { refusal } from "../../support/refusal.ts";
import { Sandbox } from "../../support/sandbox.ts";
import { at, syntheticImage, type SyntheticDevice } from "../../support/synthetic-image.ts";

const root = join(import.meta.dir, "../../..");
const plain: SyntheticDevice = {
  bars: { 0: { size: 0x4000 } },
  msix: { vectors: 2, table: [0, 0x1000], pba: [0, 0x2000] },
};

function folder(): Disposable & { readonly path: string } {
  const path = mkdtempSync(join(tmpdir(), "flight-"));
  return { path, [Symbol.dispose]: () => rmSync(path, { recursive: true, force: true }) };
}

/** What a recorder has now, as `save` writes it. */
function recordingOf(recorder: FlightRecorder) {
  using there = folder();
  const path = join(there.path, "flight");
  recorder.save(path);
  expect(statSync(path).mode & 0o777).toBe(0o600);
  return readFlight(new Uint8Array(readFileSync(path)), path);
}

/** Drives a device a little. */
function drive(device: VfioPciDevice): void {
  device.configWrite(0x04, 2, memory);
  const base = device.configRead(0x10, 4);
  device.configWrite(at.msix + 2, 2, 0x8000);
  writeVector(device, base + 0x1000, 0, 0x42);
  mmioRead(device, base, 4);
  device.configRead(3, 2);
  mmioRead(device, 0x10, 4);
}

describe("a recording", () => {
  test("has the device, and each entry with its time, in order", () => {
    using recorder = new FlightRecorder({ entries: 1000 });
    using guest = attach(plain, { attach: { trace: recorder, multiFunction: true } });
    drive(guest.device);
    const { device, count, lost, entry, startTime } = recordingOf(recorder);
    expect(device).toMatchObject({
      name: guest.device.name,
      pageSize: 4096,
      options: { multiFunction: true },
    });
    expect(device!.config.length).toBe(4096);
    expect({ count, lost }).toEqual({ count: recorder.count, lost: 0 });
    expect(Math.abs(startTime - Date.now())).toBeLessThan(60_000);
    const times = Array.from({ length: count }, (_, i) => entry(i).seconds);
    expect(times).toEqual(times.toSorted((a, b) => a - b));
    expect(times[0]).toBeGreaterThanOrEqual(0);
    const texts = Array.from({ length: count }, (_, i) => entry(i)).map(({ kind, numbers, text }) =>
      formatTraceEntry(traceEntry(kind, numbers, text)),
    );
    expect(texts).toContain("config write 0x004 2 = 0x0002");
    expect(texts).toContain("  event bad-access: config read of 2 at 3: all ones");
  });

  test("of a device that is pulled out, which the VMM asks for, replays the same", () => {
    using platform = new MemoryPlatform();
    using recorder = new FlightRecorder({ entries: 1000 });
    const backend = new RecordedDevice(syntheticImage(plain));
    {
      using device = VfioPciDevice.attach(backend, platform, { trace: recorder });
      drive(device);
      device.checkPresence();
      backend.unplug();
      device.checkPresence();
      device.configRead(0, 4);
    }
    expect(replayFlight(recordingOf(recorder), "it")).toMatchObject({ difference: undefined });
  });

  test("of a backend whose regions say more than the seam asks, as a kernel device's do, can be read and replayed", () => {
    using platform = new MemoryPlatform();
    using recorder = new FlightRecorder({ entries: 1000 });
    const backend = new RecordedDevice(syntheticImage(plain));
    const more = { offset: 2 ** 40, capabilities: [{ bytes: new Uint8Array(8) }], nvlinkTarget: 5n };
    Object.defineProperty(backend, "regions", {
      value: backend.regions.map((region) => ({ ...region, ...more })),
    });
    Object.defineProperty(backend, "irqs", { value: backend.irqs.map((irq) => ({ ...irq, flags: 7n })) });
    {
      using device = VfioPciDevice.attach(backend, platform, { trace: recorder });
      drive(device);
    }
    const recording = recordingOf(recorder);
    expect(recording.device!.regions[0]).toEqual({
      ...{ index: 0, size: 0x4000, readable: true, writable: true, mappable: true, msixMappable: true },
    });
    expect(replayFlight(recording, "it").difference).toBeUndefined();
  });

  test("keeps the newest entries, and says how many are lost", () => {
    using recorder = new FlightRecorder({ entries: 8 });
    for (let i = 0; i < 20; i++) recorder.record(TraceKind.configRead, i, 4, 0, 0, 0);
    const { count, lost, entry } = recordingOf(recorder);
    expect({ count, lost }).toEqual({ count: 20, lost: 12 });
    expect(Array.from({ length: 8 }, (_, i) => entry(12 + i).numbers[0])).toEqual([
      12, 13, 14, 15, 16, 17, 18, 19,
    ]);
    expect(() => entry(11)).toThrow(RangeError);
    expect(() => entry(20)).toThrow(RangeError);
  });

  test("keeps the newest texts, cuts long ones, and knows which are overwritten", () => {
    using recorder = new FlightRecorder({ entries: 1000 });
    const long = "x".repeat(2000);
    for (let i = 0; i < 200; i++) recorder.record(TraceKind.event, 0, 0, 0, 0, 0, `${i} ${long}`);
    const { entry } = recordingOf(recorder);
    expect(entry(0).text).toBe("(overwritten)");
    expect(entry(199).text).toBe(`199 ${long}`.slice(0, 512));
    const kept = textSize / 512;
    for (let i = 200 - kept; i < 200; i++) expect(entry(i).text).toStartWith(`${i} x`);
    expect(entry(199 - kept).text).toBe("(overwritten)");
  });

  test("of a million entries takes less than 64 MB", () => {
    expect(flightSize(1_000_000)).toBeLessThan(64e6);
    const module = JSON.stringify(join(root, "src/device/replay/flight-recorder.ts"));
    const code = `
      import { FlightRecorder } from ${module};
      import { readFileSync } from "node:fs";
      const resident = () => (Bun.gc(true), 1024 * /VmRSS:\\s+(\\d+)/.exec(readFileSync("/proc/self/status", "utf8"))[1]);
      const fill = (recorder, count) => { for (let i = 0; i < count; i++) recorder.record(0, i, 4, i, 0, 0); };
      { using first = new FlightRecorder({ entries: 1000 }); fill(first, 100_000); }
      const before = resident();
      using recorder = new FlightRecorder({ entries: 1_000_000 });
      fill(recorder, 1_500_000);
      console.log(resident() - before);`;
    const run = Bun.spawnSync([process.execPath, "-e", code]);
    const bytes = Number(run.stdout.toString());
    expect([run.stderr.toString(), bytes > 50e6, bytes < 64e6]).toEqual(["", true, true]);
  });

  test("in a mapped file is whole after SIGKILL", async () => {
    using there = folder();
    const path = join(there.path, "flight");
    const module = join(root, "src/device/replay/flight-recorder.ts");
    const code = `
      import { FlightRecorder } from ${JSON.stringify(module)};
      const recorder = new FlightRecorder({ entries: 100, file: ${JSON.stringify(path)} });
      for (let i = 0; i < 50; i++) recorder.record(${TraceKind.configRead}, i, 4, 0, 0, 0);
      console.log("recorded");
      setInterval(() => {}, 1000);`;
    const child = Bun.spawn([process.execPath, "-e", code], { stdout: "pipe" });
    await child.stdout.getReader().read();
    child.kill("SIGKILL");
    await child.exited;
    const { count, entry } = readFlight(new Uint8Array(readFileSync(path)), path);
    expect(count).toBe(50);
    expect(entry(49).numbers[0]).toBe(49);
    expect(statSync(path).mode & 0o777).toBe(0o600);
  });

  test("is saved on a signal, and when an error ends the process", () => {
    using there = folder();
    const module = join(root, "src/device/replay/flight-recorder.ts");
    const code = `
      import { FlightRecorder } from ${JSON.stringify(module)};
      const recorder = new FlightRecorder({ entries: 100 });
      recorder.record(${TraceKind.configRead}, 7, 4, 0, 0, 0);
      recorder.saveOnSignal(${JSON.stringify(join(there.path, "signal"))}, "SIGUSR2");
      recorder.saveOnError(${JSON.stringify(join(there.path, "error"))});
      process.kill(process.pid, "SIGUSR2");
      setTimeout(() => { throw new Error("ends"); }, 100);`;
    const child = Bun.spawnSync([process.execPath, "-e", code]);
    expect(child.exitCode).toBe(1);
    for (const name of ["signal", "error"])
      expect(readFlight(new Uint8Array(readFileSync(join(there.path, name))), name).entry(0).numbers[0]).toBe(
        7,
      );
  });

  test("nothing is recorded after it is closed, and options that make no sense are refused", () => {
    const recorder = new FlightRecorder({ entries: 4 });
    recorder[Symbol.dispose]();
    recorder[Symbol.dispose]();
    recorder.record(0, 0, 0, 0, 0, 0);
    expect(recorder.count).toBe(0);
    for (const entries of [0, 1.5, 2 ** 24 + 1])
      expect(() => new FlightRecorder({ entries })).toThrow(RangeError);
  });
});

test("names at most five numbers a kind", () => {
  for (const fields of Object.values(traceFields)) expect(fields.length).toBeLessThanOrEqual(5);
  expect(Object.keys(traceFields)).toEqual(Object.keys(TraceKind));
});

test("has a number for each kind, counted from 0 in their order: a file has the numbers alone", () => {
  expect(Object.values(TraceKind)).toEqual(Object.keys(TraceKind).map((_, index) => index) as never);
});

describe("a replay", () => {
  const names = readdirSync(join(root, "images")).map((file) => file.replace(".json", ""));

  test.each(names)("of %s, driven by its recorded guest, is equal entry by entry", (name) => {
    const image = readImage(readFileSync(join(root, "images", `${name}.json`), "utf8"));
    const accesses = parseTrace(readFileSync(join(root, "test/traces", `${name}.txt`), "utf8"));
    using recorder = new FlightRecorder();
    using platform = new MemoryPlatform();
    replay(new RecordedDevice(image), platform, image.config, accesses, { trace: recorder });
    const report = replayFlight(recordingOf(recorder), name);
    expect(report).toEqual({ accesses: accesses.length + 1, entries: recorder.count, difference: undefined });
  });

  test("of BARs, vectors, resets, snapshots, accesses to nowhere and after the detach is equal too", () => {
    using recorder = new FlightRecorder();
    {
      using guest = attach(plain, { attach: { trace: recorder } });
      drive(guest.device);
      guest.device.snapshot();
      guest.device.reset();
      drive(guest.device);
      guest.device[Symbol.dispose]();
      drive(guest.device);
    }
    const { difference, entries } = replayFlight(recordingOf(recorder), "test");
    expect(difference).toBeUndefined();
    expect(entries).toBe(recorder.count);
  });

  test("refuses what was refused: a BAR that the platform did not take is told again, at its place", () => {
    using recorder = new FlightRecorder();
    {
      using guest = attach(plain, { attach: { trace: recorder } });
      guest.platform.failNext("bus-insert");
      drive(guest.device);
    }
    const recording = recordingOf(recorder);
    const { difference } = replayFlight(recording, "test");
    expect(difference).toBeUndefined();
    const texts = Array.from({ length: recording.count }, (_, i) => recording.entry(i).text ?? "");
    expect(texts.filter((text) => text.startsWith("BAR0 cannot be at"))).toHaveLength(1);
  });

  test("of a small BAR whose page is shared now and then is equal too", () => {
    using recorder = new FlightRecorder();
    {
      const bars = { 0: { size: 0x100 }, 1: { size: 0x100, mappable: false } };
      using guest = attach({ bars }, { attach: { trace: recorder } });
      guest.device.configWrite(0x10, 4, 0xd0000000);
      guest.device.configWrite(0x04, 2, memory);
      guest.device.configWrite(0x14, 4, 0xd0000800);
      guest.device.configWrite(0x14, 4, 0xd0001000);
      const other = { kind: "mmio", base: 0xd0000400, size: 0x100, region: 0 } as const;
      guest.platform.bus.insert(other);
      guest.device.configWrite(0x04, 2, memory);
      guest.platform.bus.remove(other);
      guest.device.configWrite(0x04, 2, memory);
    }
    const recording = recordingOf(recorder);
    const kinds = Array.from({ length: recording.count }, (_, i) => recording.entry(i).kind);
    const count = (kind: number): number => kinds.filter((one) => one === kind).length;
    expect([count(TraceKind.giveWay), count(TraceKind.slotAdd)]).toEqual([2, 3]);
    const { kind, numbers } = recording.entry(kinds.indexOf(TraceKind.giveWay));
    expect(formatTraceEntry(traceEntry(kind, numbers))).toBe("something else comes to 0xd0000100-0xd0000fff");
    expect(replayFlight(recording, "test").difference).toBeUndefined();
  });

  test("of a mirror of config space is equal too", () => {
    using recorder = new FlightRecorder();
    {
      const configMirrors = [{ bar: 0, offset: 0x2000 }];
      const bars = { 0: { size: 0x4000 } };
      using guest = attach({ bars, pm: true, pcie: true }, { attach: { trace: recorder, configMirrors } });
      guest.device.configWrite(0x04, 2, memory);
      const mirror = guest.device.configRead(0x10, 4) + 0x2000;
      for (const offset of [0x00, 0x04, 0x10, at.pm + 4, 0x100]) mmioRead(guest.device, mirror + offset, 8);
      guest.device.mmioWrite(mirror + 0x10, Uint8Array.of(0, 0, 0, 0xd0));
      guest.device.mmioWrite(0xd0002000 + at.pm + 4, Uint8Array.of(3, 0));
      guest.device.configWrite(at.pm + 4, 2, 0);
    }
    expect(replayFlight(recordingOf(recorder), "test").difference).toBeUndefined();
  });

  test("tells the first difference: an answer that is changed afterwards", () => {
    using recorder = new FlightRecorder();
    {
      using guest = attach(plain, { attach: { trace: recorder } });
      drive(guest.device);
    }
    const recording = recordingOf(recorder);
    let changed = -1;
    const entry = (index: number) => {
      const was = recording.entry(index);
      if (was.kind !== TraceKind.configRead || (changed >= 0 && changed !== index)) return was;
      changed = index;
      return { ...was, numbers: was.numbers.with(2, 0x12345678) };
    };
    const { difference } = replayFlight({ ...recording, entry }, "test");
    expect(changed).toBeGreaterThan(0);
    expect(difference).toMatchObject({
      index: changed,
      recorded: { value: 0x12345678 },
      seen: { kind: "configRead" },
    });
  });

  test.each([
    ["barWrite", 2, [0, -1, 3.5, 9, 2 ** 40, NaN]],
    ["barWrite", 1, [-1, 0.5, 0x4000, 2 ** 60, NaN]],
    ["barWrite", 0, [-1, 5, 6, 99, NaN]],
    ["configWrite", 2, [-1, 0.5, 2 ** 32, NaN]],
    ["unanswered", 4, [-1, 0, 1.5, 9, 2 ** 40, NaN]],
  ] as const)("of a %s whose number %i is nobody's ends there, and asks for nothing", (kind, at, values) => {
    using recorder = new FlightRecorder();
    {
      using guest = attach(plain, { attach: { trace: recorder } });
      drive(guest.device);
    }
    const recording = recordingOf(recorder);
    const all = Array.from({ length: recording.count }, (_, i) => recording.entry(i));
    const place = all.findLastIndex((one) => one.kind === TraceKind[kind]);
    expect(place).toBeGreaterThan(0);
    for (const value of values) {
      const entry = (index: number) =>
        index === place ? { ...all[index]!, numbers: all[index]!.numbers.with(at, value) } : all[index]!;
      expect([value, replayFlight({ ...recording, entry }, "test").difference?.index]).toEqual([
        value,
        place,
      ]);
    }
  });

  test.each([
    [{ excludeFromMapping: 1 }, /its attach cannot be run again/],
    [{ msixVectors: -1 }, /"msixVectors" must be/],
  ] as const)("whose attach cannot be run again says so: %j", (options, message) => {
    using recorder = new FlightRecorder();
    using guest = attach(plain, { attach: { trace: recorder } });
    const recording = recordingOf(recorder);
    const device = { ...recording.device!, options };
    expect(refusal(() => replayFlight({ ...recording, device }, guest.device.name))).toMatchObject({
      code: "EBADFLIGHT",
      message: expect.stringMatching(message) as string,
    });
  });

  test("of an entry of a kind that nobody knows ends there, with words", () => {
    using recorder = new FlightRecorder();
    using guest = attach(plain, { attach: { trace: recorder } });
    drive(guest.device);
    const recording = recordingOf(recorder);
    for (const place of [3, recording.count - 1]) {
      const entry = (index: number) => ({
        ...recording.entry(index),
        ...(index === place && { kind: 500 }),
      });
      expect(refusal(() => replayFlight({ ...recording, entry }, "test"))).toMatchObject({
        code: "EBADFLIGHT",
        message: `test: its entry ${place} cannot be read: "kind" must be a trace entry's, not 500`,
      });
    }
  });

  test("needs the beginning, and a device", () => {
    using recorder = new FlightRecorder({ entries: 10 });
    expect(() => replayFlight(recordingOf(recorder), "test")).toThrow("no device was attached in it");
    using guest = attach(plain, { attach: { trace: recorder } });
    drive(guest.device);
    expect(() => replayFlight(recordingOf(recorder), "test")).toThrow(
      /its first \d+ entries are overwritten/,
    );
  });
});

test("a recorder's file is its owner's alone, also where it was there, and nothing else than a file", () => {
  using there = new Sandbox();
  const path = there.write("flight", "old");
  chmodSync(path, 0o644);
  using _ = new FlightRecorder({ entries: 16, file: path });
  expect(statSync(path).mode & 0o777).toBe(0o600);
  expect(() => new FlightRecorder({ entries: 16, file: "/dev/null" })).toThrow(
    "/dev/null is no regular file",
  );
});

describe("a file that is none", () => {
  function good(): Uint8Array {
    using there = folder();
    using recorder = new FlightRecorder({ entries: 16 });
    using guest = attach(plain, { attach: { trace: recorder } });
    guest.device.configRead(0, 4);
    recorder.save(join(there.path, "flight"));
    return new Uint8Array(readFileSync(join(there.path, "flight")));
  }
  const cases: [
    name: string,
    change: (bytes: Uint8Array, view: DataView) => Uint8Array | void,
    why: string,
  ][] = [
    ["something else", (bytes) => void (bytes[0] = 0), "no flight recorder's file"],
    ["cut in its header", (bytes) => bytes.slice(0, 100), "it is cut off after 100 bytes"],
    ["cut in its entries", (bytes) => bytes.slice(0, entriesAt + 10), "it says that it has 16 entries"],
    ["of a newer version", (_, view) => view.setUint32(header.version, 9, true), "it is of version 9"],
    [
      "with entries without end",
      (_, view) => view.setFloat64(header.capacity, 1e300, true),
      "it says that it has",
    ],
    [
      "with a count that is none",
      (_, view) => view.setFloat64(header.count, Number.NaN, true),
      "NaN entries",
    ],
    [
      "with a device that is too long",
      (_, view) => view.setUint32(header.deviceSize, 1e9, true),
      "takes 1000000000",
    ],
    [
      "with a device that is no JSON",
      (_, view) => view.setUint32(header.deviceSize, 7, true),
      "cannot be read",
    ],
  ];
  test.each(cases)("%s", (_, change, why) => {
    const bytes = good();
    const changed = change(bytes, new DataView(bytes.buffer)) ?? bytes;
    expect(() => readFlight(changed, "file")).toThrow(expect.objectContaining({ code: "EBADFLIGHT" }));
    expect(() => readFlight(changed, "file")).toThrow(why);
  });
});
