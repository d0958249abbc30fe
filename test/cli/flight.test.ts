import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { entriesAt, entrySize } from "../../src/device/replay/flight-format.ts";
import { FlightRecorder } from "../../src/device/replay/flight-recorder.ts";
import { TraceKind } from "../../src/device/seam/trace.ts";
import { attach, memory, mmioRead, writeVector } from "../support/attached.ts";
import { at } from "../support/synthetic-image.ts";
import { bunVfio } from "./run.ts";

// Each test starts the command.
setDefaultTimeout(60_000);

let folder: string;
let flight: string;

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "flight-"));
  flight = join(folder, "card.flight");
  using recorder = new FlightRecorder({ entries: 1000 });
  using guest = attach(
    { bars: { 0: { size: 0x4000 } }, msix: { vectors: 2, table: [0, 0x1000], pba: [0, 0x2000] } },
    { attach: { trace: recorder } },
  );
  const { device } = guest;
  device.configWrite(0x04, 2, memory);
  const base = device.configRead(0x10, 4);
  device.configWrite(at.msix + 2, 2, 0x8000);
  writeVector(device, base + 0x1000, 1, 0x42);
  mmioRead(device, base, 4);
  mmioRead(device, 0x10, 4);
  recorder.save(flight);
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** What the command prints, an entry a line; it must succeed. */
function traced(...filters: string[]): Record<string, unknown>[] {
  const { code, out, err } = bunVfio(["trace", flight, "--json", ...filters]);
  expect({ code, err }).toEqual({ code: 0, err: "" });
  return out
    .trimEnd()
    .split("\n")
    .map((line) => JSON.parse(line) as Record<string, unknown>);
}

describe("trace", () => {
  test("prints each entry once, in order, with its place and time, under what it is about", () => {
    const { code, out } = bunVfio(["trace", flight]);
    expect(code).toBe(0);
    const [head, ...lines] = out.trimEnd().split("\n");
    const count = Number(/^\S+: (\d+) entries since \d{4}-/.exec(head!)?.[1]);
    expect(lines.map((line) => Number(line.slice(0, 7)))).toEqual(Array.from({ length: count }, (_, i) => i));
    expect(
      lines.filter((line) => /^ *\d+ +\d+\.\d us {2}config write 0x004 2 = 0x0002$/.test(line)),
    ).toHaveLength(1);
    expect(traced().map(({ entry }) => entry)).toEqual(Array.from({ length: count }, (_, i) => i));
  });

  test("--config has accesses to config space, each with what it set off", () => {
    const kinds = traced("--config").map(({ kind }) => kind);
    expect(kinds).toContain("configRead");
    // Memory decoding puts the BAR on the bus.
    expect(kinds).toContain("busInsert");
    expect(kinds).not.toContain("barRead");
    expect(kinds).not.toContain("route");
  });

  test("--bar has that BAR's accesses and what became of it; another BAR nothing", () => {
    const entries = traced("--bar", "0");
    expect(entries.map(({ kind }) => kind)).toContain("barRead");
    expect(entries.map(({ kind }) => kind)).not.toContain("configRead");
    const { code, out, err } = bunVfio(["trace", flight, "--json", "--bar", "3"]);
    expect({ code, out }).toEqual({ code: 0, out: "" });
    expect(err).toContain("nothing in it is as asked for");
  });

  test("--bar has the write that turned it on where it cannot be, which makes an event alone", () => {
    const moved = join(folder, "moved.flight");
    using recorder = new FlightRecorder({ entries: 1000 });
    using guest = attach({ bars: { 0: { size: 0x4000 } } }, { attach: { trace: recorder } });
    guest.device.configWrite(0x10, 4, 0x4000);
    guest.device.configWrite(0x04, 2, memory);
    recorder.save(moved);
    const { out } = bunVfio(["trace", moved, "--bar", "0"]);
    expect(out).toContain("BAR0 cannot be at 0x4000");
    expect(bunVfio(["trace", moved, "--json", "--bar", "1"]).out).toBe("");
  });

  test("--vector has the write that routed it", () => {
    const entries = traced("--vector", "1");
    expect(entries.find(({ kind }) => kind === "route")).toMatchObject({ vector: 1, data: 0x42 });
    expect(entries.find(({ kind }) => kind === "barWrite")).toBeDefined();
  });

  test("--why has what nothing answered; filters together take what each takes", () => {
    expect(traced("--why")).toMatchObject([{ kind: "unanswered", reason: "no BAR decodes the address" }]);
    const { out } = bunVfio(["trace", flight, "--json", "--why", "--config"]);
    expect(out).toBe("");
  });

  test("--slow takes what took as long, by the recorder's clock", () => {
    expect(traced("--slow", "0ns")).toEqual(traced());
    expect(bunVfio(["trace", flight, "--json", "--slow", "3600s"]).out).toBe("");
    expect(bunVfio(["trace", flight, "--slow", "50"]).err).toContain("50us, 2ms or 1s");
  });

  test("a file that is none, and an entry that no version writes, are told in a line", () => {
    const none = bunVfio(["trace", "images/edu.json"]);
    expect(none.code).toBe(2);
    expect(none.err).toContain("images/edu.json: it is no flight recorder's file");

    const bytes = readFileSync(flight);
    bytes.writeUInt16LE(999, entriesAt + entrySize - 8);
    const odd = join(folder, "odd.flight");
    writeFileSync(odd, bytes);
    const { code, err } = bunVfio(["trace", odd]);
    expect(code).toBe(2);
    expect(err).toContain(`${odd}: its entry 0 cannot be read`);
  });
});

describe("replay of a recording", () => {
  test("is as recorded", () => {
    const { code, out, err } = bunVfio(["replay", flight]);
    expect({ code, err }).toEqual({ code: 0, err: "" });
    expect(out).toMatch(/^\S+ from \S+card\.flight: \d+ accesses, \d+ entries as recorded\n$/);
    expect(JSON.parse(bunVfio(["replay", flight, "--json"]).out)).toMatchObject({
      formatVersion: 1,
      difference: null,
    });
  });

  test("names the first entry that is not the same, what was recorded and what comes today; exit code 1", () => {
    const bytes = readFileSync(flight);
    // The guest's read of BAR 0's address is said to have given another.
    const count = bytes.readDoubleLE(40);
    const read = Array.from({ length: count }, (_, i) => entriesAt + i * entrySize).find(
      (place) =>
        bytes.readUInt16LE(place + entrySize - 8) === TraceKind.configRead &&
        bytes.readDoubleLE(place + 8) === 0x10,
    );
    bytes.writeDoubleLE(0x1234, read! + 24);
    const changed = join(folder, "changed.flight");
    writeFileSync(changed, bytes);
    const { code, out } = bunVfio(["replay", changed]);
    expect(code).toBe(1);
    expect(out).toContain(
      `entry ${(read! - entriesAt) / entrySize} differs\n  recorded: config read  0x010 4 = 0x00001234\n`,
    );
    expect(out).toMatch(/\n {2}today: {4}config read {2}0x010 4 = 0x\w{8}\n$/);
  });

  test("of an image needs a trace", () => {
    const { code, err } = bunVfio(["replay", "images/edu.json"]);
    expect(code).toBe(2);
    expect(err).toContain("bun-vfio replay IMAGE TRACE");
  });
});

test("what is no recording, or a recording where none is read, is told with what to do", () => {
  const said = (...args: string[]) => {
    const { code, out, err } = bunVfio(args);
    expect({ code, out }).toEqual({ code: 2, out: "" });
    return err;
  };
  for (const args of [["show"], ["diff", "images/edu.json"], ["import", "-o", "-"], ["export"]])
    expect(said(...args, flight)).toContain("it is a flight recorder's file: bun-vfio trace prints it");
  expect(said("replay", flight, "test/traces/edu.txt")).toContain("it is a flight recorder's file");
  for (const path of [join(folder, "none.sock"), flight])
    expect(said("trace", "--live", path)).toMatch(
      /: connect fails with E\w+; no recorder is served at that path/,
    );
  for (const filter of ["--why", "--json", "--config", "--bar=0", "--vector=1", "--slow=1us"])
    expect(said("trace", flight, "-o", "-", filter)).toBe(
      `bun-vfio: -o writes the whole recording: without ${filter.replace(/=.*/, "")}, which is of what is printed\n`,
    );
});

test("-o writes the recording, for its owner alone; with --redact, one that can be posted and replays the same", () => {
  const out = join(folder, "out.flight");
  const written = bunVfio(["trace", flight, "--redact", "-o", out]);
  expect(written).toEqual({ code: 0, out: "", err: "" });
  expect(statSync(out).mode & 0o777).toBe(0o600);
  expect(bunVfio(["replay", "-"], { input: readFileSync(out) })).toEqual(
    bunVfio(["replay", "-"], { input: readFileSync(flight) }),
  );
  const again = bunVfio(["trace", flight, "-o", out]);
  expect([again.code, again.err]).toEqual([2, expect.stringContaining("add --force to replace it")]);
  expect(bunVfio(["trace", flight, "-o", out, "--force"]).code).toBe(0);
  expect(readFileSync(out).equals(readFileSync(flight))).toBe(true);
  const shown = bunVfio(["trace", "-", "--json"], { input: readFileSync(flight) });
  expect(shown).toEqual(bunVfio(["trace", flight, "--json"]));
});
