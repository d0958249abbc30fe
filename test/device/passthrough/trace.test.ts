import { describe, expect, test } from "bun:test";
import { eventKinds } from "../../../src/device/seam/events.ts";
import { formatTraceEntry, traceListener, type TraceEntry } from "../../../src/device/seam/trace-text.ts";
import { unansweredReasons } from "../../../src/device/seam/trace.ts";
import { attach, bytesOf, memory, mmioRead, writeVector, type Attached } from "../../support/attached.ts";
import { at, type SyntheticDevice } from "../../support/synthetic-image.ts";

const plain: SyntheticDevice = {
  bars: { 0: { size: 0x4000 } },
  msix: { vectors: 2, table: [0, 0x1000], pba: [0, 0x2000] },
};

interface Traced extends Disposable {
  readonly guest: Attached;
  /** What has been told since the last call, a line an entry. */
  lines(): string[];
  /** The same as data. */
  take(): TraceEntry[];
}

function traced(what: SyntheticDevice = plain): Traced {
  const entries: TraceEntry[] = [];
  const guest = attach(what, { attach: { trace: traceListener((entry) => void entries.push(entry)) } });
  return {
    guest,
    take: () => entries.splice(0),
    lines: () => entries.splice(0).map(formatTraceEntry),
    [Symbol.dispose]: () => guest[Symbol.dispose](),
  };
}

/** Turns decoding on. @returns the address of BAR0 */
function decoding({ guest, take }: Traced): number {
  guest.device.configWrite(0x04, 2, memory);
  const base = guest.device.configRead(0x10, 4);
  take();
  return base;
}

describe("a trace", () => {
  test("of an attach begins with the stop and the reset and ends with INTx on", () => {
    using traces = traced();
    const lines = traces.lines();
    const stop = "  device write CONFIG 0x004 2 = 0x0000";
    expect(lines.slice(0, 3)).toEqual([stop, "  device reset", stop]);
    expect(lines.at(-1)).toStartWith("  device irqs INTX");
  });

  test("has a guest's write before what it sets off, and each step of it", () => {
    using traces = traced();
    traces.take();
    traces.guest.device.configWrite(0x04, 2, memory);
    const lines = traces.lines();
    expect(lines[0]).toBe("config write 0x004 2 = 0x0002");
    expect(lines[1]).toBe("  device write CONFIG 0x004 2 = 0x0002");
    expect(lines.filter((line) => /^ {2}bus mmio 0x[0-9a-f]+-0x[0-9a-f]+ to BAR0$/.test(line))).toHaveLength(
      1,
    );
    expect(lines.filter((line) => line.startsWith("  slot "))).not.toBeEmpty();
  });

  test("has a guest's read after what it took, with the answer", () => {
    using traces = traced();
    traces.take();
    traces.guest.device.configRead(0x00, 4);
    expect(traces.lines()).toEqual(["config read  0x000 4 = 0x56781234"]);
  });

  test("has BAR accesses with all of eight bytes, and what the table keeps of them", () => {
    using traces = traced();
    const base = decoding(traces);
    traces.guest.device.mmioWrite(base + 0x1000, Uint8Array.of(1, 2, 3, 4, 5, 6, 7, 8));
    mmioRead(traces.guest.device, base + 0x1000, 8);
    expect(traces.lines()).toEqual([
      "BAR0 write 0x1000 8 = 0x0807060504030201",
      "BAR0 read  0x1000 8 = 0x0807060504030200",
    ]);
  });

  test("has the route that an unmasked vector gets, and its end", () => {
    using traces = traced();
    const base = decoding(traces);
    traces.guest.device.configWrite(at.msix + 2, 2, 0x8000);
    traces.take();
    writeVector(traces.guest.device, base + 0x1000, 1, 0x41);
    expect(traces.lines()).toContain("  vector 1 routed to 0xfee00000 data 0x41");
    traces.guest.device.mmioWrite(base + 0x1000 + 16 + 12, bytesOf(1, 4));
    expect(traces.lines()).toContain("  vector 1 not routed");
  });
});

describe("an answer where nothing answers is one entry with its reason", () => {
  const unanswered = (traces: Traced): TraceEntry[] =>
    traces.take().filter(({ kind }) => kind === "unanswered");
  const seen = new Set<string>();
  const only = (traces: Traced): string => {
    const entries = unanswered(traces);
    expect(entries).toHaveLength(1);
    const [entry] = entries;
    seen.add(String(entry!["reason"]));
    return formatTraceEntry(entry!);
  };

  test("an access that no PCI host makes", () => {
    using traces = traced();
    traces.take();
    expect(traces.guest.device.configRead(3, 2)).toBe(0xffff);
    expect(only(traces)).toBe("  all ones: CONFIG 0x003 2: no PCI host makes such an access");
  });

  test("beyond config space", () => {
    using traces = traced({ ...plain, configSize: 256 });
    traces.take();
    traces.guest.device.configWrite(0x100, 4, 0);
    expect(only(traces)).toBe("  dropped: CONFIG 0x100 4: config space ends before it");
  });

  test("a device that fails, at config space and at a BAR", () => {
    using traces = traced({ bars: { 0: { size: 0x1000, mappable: false } } });
    const base = decoding(traces);
    // COMMAND answers: the device is there.
    traces.guest.backend.fails = (call) => !(call.kind === "read" && call.offset === 0x04);
    expect(mmioRead(traces.guest.device, base, 4)).toBe(0xffffffff);
    expect(only(traces)).toBe("  all ones: BAR0 0x000 4: the device does not answer");
    traces.guest.device.configRead(0x06, 2);
    expect(only(traces)).toBe("  all ones: CONFIG 0x006 2: the device does not answer");
    traces.guest.backend.fails = () => false;
  });

  test("an address that no BAR decodes, and the part of an access past a BAR's end", () => {
    using traces = traced();
    const base = decoding(traces);
    expect(mmioRead(traces.guest.device, 0x10, 4)).toBeUndefined();
    expect(only(traces)).toBe("  all ones: address 0x010 4: no BAR decodes the address");
    expect(mmioRead(traces.guest.device, base + 0x3ffc, 8)).toBeGreaterThan(2 ** 32);
    expect(only(traces)).toBe("  all ones: BAR0 0x4000 4: the BAR ends before it");
  });

  test("behind the device's own part of a BAR that grew, and the PBA", () => {
    using traces = traced({
      bars: { 0: { size: 0x4000 } },
      msix: { vectors: 2, table: [0, 0x1800], pba: [0, 0x2800] },
    });
    const base = decoding(traces);
    const { guest } = traces.guest.device.describe().msix!;
    traces.guest.device.mmioWrite(base + guest.pba.offset, bytesOf(1, 4));
    expect(only(traces)).toContain("the PBA is read-only");
    traces.guest.device.mmioWrite(base + 0x7ff0, bytesOf(1, 4));
    expect(only(traces)).toContain("the device's own part of the BAR ends before it");
  });

  test("a region that cannot be written", () => {
    using traces = traced({ bars: { 0: { size: 0x1000, writable: false, mappable: false } } });
    const base = decoding(traces);
    traces.guest.device.mmioWrite(base, bytesOf(1, 4));
    expect(only(traces)).toBe("  dropped: BAR0 0x000 4: the region cannot be written");
  });

  test("a device that is detached, which throws at no guest", () => {
    const traces = traced();
    const base = decoding(traces);
    traces.guest[Symbol.dispose]();
    traces.take();
    expect(traces.guest.device.configRead(0, 4)).toBe(0xffffffff);
    expect(only(traces)).toBe("  all ones: CONFIG 0x000 4: the device is detached");
    traces.guest.device.configWrite(4, 2, 7);
    expect(only(traces)).toBe("  dropped: CONFIG 0x004 2: the device is detached");
    expect(mmioRead(traces.guest.device, base, 4)).toBeUndefined();
    expect(only(traces)).toContain("the device is detached");
  });

  test("a device that is gone", () => {
    using traces = traced();
    traces.guest.backend.fallOff();
    traces.take();
    expect(traces.guest.device.checkPresence()).toBe(false);
    expect(only(traces)).toBe("  all ones: CONFIG 0x004 4: the device is gone");
    traces.guest.device.configWrite(4, 2, 7);
    expect(only(traces)).toBe("  dropped: CONFIG 0x004 2: the device is gone");
  });

  test("each reason but that of an unreadable region, which no recording has, was seen above", () => {
    expect(unansweredReasons.filter((reason) => !seen.has(reason))).toEqual(["the region cannot be read"]);
  });
});

test("an event is an entry with its text, though its listener hears no more of them", () => {
  using traces = traced();
  traces.take();
  for (let i = 0; i < 300; i++) traces.guest.device.configRead(3, 2);
  const events = traces.take().filter(({ kind }) => kind === "event");
  expect(events).toHaveLength(300);
  expect(events[0]).toEqual({ kind: "event", event: "bad-access", text: "config read of 2 at 3: all ones" });
  expect(traces.guest.eventsOf("bad-access").length).toBeLessThan(300);
  expect(eventKinds).toContain("bad-access");
});

test("a call that fails is told with what failed and why, and still throws", () => {
  using traces = traced({ bars: { 0: { size: 0x1000, mappable: false } } });
  const base = decoding(traces);
  traces.guest.backend.fails = () => true;
  mmioRead(traces.guest.device, base, 4);
  traces.guest.backend.fails = () => false;
  const [failed] = traces.take().filter(({ kind }) => kind === "failed");
  expect(failed).toMatchObject({ call: "deviceRead", text: "read fails as told" });
});

test("a trace changes nothing: the device is asked the same, and answers the same", () => {
  const drive = (guest: Attached): unknown => {
    guest.device.configWrite(0x04, 2, memory);
    const base = guest.device.configRead(0x10, 4);
    guest.device.configWrite(at.msix + 2, 2, 0x8000);
    writeVector(guest.device, base + 0x1000, 0, 0x42);
    const read = [mmioRead(guest.device, base, 4), guest.device.configRead(0x06, 2)];
    return { read, snapshot: guest.device.snapshot(), calls: guest.backend.calls.map(({ kind }) => kind) };
  };
  using on = traced();
  using off = attach(plain);
  expect(drive(on.guest)).toEqual(drive(off));
  expect(on.take()).not.toBeEmpty();
});
