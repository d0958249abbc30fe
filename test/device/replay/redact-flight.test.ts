// A recording of a failure that can be posted: nothing of the machine's numbers is left, and it replays as before.
import { expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import type { DescribedBar } from "../../../src/device/passthrough/describe.ts";
import { FlightRecorder } from "../../../src/device/replay/flight-recorder.ts";
import { replayFlight } from "../../../src/device/replay/flight-replay.ts";
import { readFlight, type FlightRecording } from "../../../src/device/replay/read-flight.ts";
import { redactFlight } from "../../../src/device/replay/redact-flight.ts";
import { formatTraceEntry, traceEntry } from "../../../src/device/seam/trace-text.ts";
import { TraceKind } from "../../../src/device/seam/trace.ts";
import { readImage } from "../../../src/image/read.ts";
import { Redaction } from "../../../src/image/redact.ts";
import { extendedCapabilityId } from "../../../src/regs/maps/ids.ts";
import { layoutOf } from "../../../src/regs/layout.ts";
import { RegionIndex } from "../../../src/regs/vfio/regions.ts";
import { attach, memory, mmioRead, writeVector } from "../../support/attached.ts";
import { Sandbox } from "../../support/sandbox.ts";

const key = new Uint8Array(32).fill(7);
const image = readImage(readFileSync("images/e1000e.json", "utf8"));
const { capabilities } = layoutOf(image.config);
const serial = capabilities.find(({ id }) => id === extendedCapabilityId.serialNumber)!.offset + 4;
const msix = capabilities.find(({ id, extended }) => id === 0x11 && !extended)!.offset;
const secret = 0x5e_c2_e7;
const bytesOf = (value: number): Uint8Array => new Uint8Array(Uint32Array.of(value).buffer);

/** A guest that reads the serial number in all widths, drives a BAR and turns MSI-X on. */
function recorded(text?: string): { readonly bytes: Uint8Array; readonly recording: FlightRecording } {
  using box = new Sandbox();
  using recorder = new FlightRecorder({ entries: 4096 });
  {
    using guest = attach(image, { attach: { trace: recorder } });
    const { device } = guest;
    device.configWrite(0x04, 2, memory | 4);
    for (const [offset, width] of [
      [0, 4],
      [4, 4],
      [0, 1],
      [3, 1],
      [6, 2],
    ] as const)
      device.configRead(serial + offset, width);
    const [{ base }, table] = [RegionIndex.bar0, RegionIndex.bar3].map((bar) =>
      device.describe().bars.find(({ region }) => region === bar)!,
    ) as [DescribedBar, DescribedBar];
    device.mmioWrite(base! + 0x5400, bytesOf(secret));
    mmioRead(device, base! + 0x5400, 4);
    device.configWrite(msix + 2, 2, 0x8000);
    writeVector(device, table.base!, 0, 0x42);
    if (text !== undefined) recorder.record(TraceKind.event, 0, 0, 0, 0, 0, text);
  }
  const path = `${box.path}/flight`;
  recorder.save(path);
  const bytes = new Uint8Array(readFileSync(path));
  return { bytes, recording: readFlight(bytes, "it") };
}

const lines = (recording: FlightRecording): string[] =>
  Array.from({ length: recording.count }, (_, i) => recording.entry(i)).map(({ kind, numbers, text }) =>
    formatTraceEntry(traceEntry(kind, numbers, text)),
  );

test("the serial number is replaced alike in what was attached and wherever it was read", () => {
  const { bytes, recording } = recorded();
  const redacted = readFlight(redactFlight(bytes, "it", new Redaction(key)), "it");
  const config = new Redaction(key).config(image.config);
  const [was, is] = [image.config, config].map((all) => all.slice(serial, serial + 8));
  expect(is).not.toEqual(was);
  expect(redacted.device!.config.slice(serial, serial + 8)).toEqual(is!);
  const view = new DataView(is!.buffer);
  const of = (all: readonly string[]): string[] =>
    all.filter((line) => line.startsWith(`config read  0x${serial.toString(16)} 4`));
  expect(of(lines(recording))).toHaveLength(1);
  expect(of(lines(redacted))[0]).toEndWith(`= 0x${view.getUint32(0, true).toString(16).padStart(8, "0")}`);
  const old = new DataView(was!.buffer);
  for (const at of [0, 4]) {
    const digits = old.getUint32(at, true).toString(16).padStart(8, "0");
    expect(lines(recording).join("\n")).toContain(digits);
    expect(lines(redacted).join("\n")).not.toContain(digits);
  }
});

test("what the device said in its BARs is 0; what the model itself keeps stays", () => {
  const { bytes, recording } = recorded();
  const redacted = lines(readFlight(redactFlight(bytes, "it", new Redaction(key)), "it"));
  const digits = secret.toString(16);
  expect(lines(recording).filter((line) => line.includes(digits))).toHaveLength(4);
  expect(redacted.filter((line) => line.includes(digits))).toEqual([]);
  const table = (all: readonly string[]): string[] =>
    all.filter((line) => line.startsWith("BAR3 write") && line.includes("00000042"));
  expect(table(redacted)).toEqual(table(lines(recording)));
  expect(table(redacted)).toHaveLength(1);
});

test("it replays as the first one did", () => {
  const { bytes, recording } = recorded();
  const before = replayFlight(recording, "it");
  expect(before).toMatchObject({ entries: recording.count, difference: undefined });
  expect(replayFlight(readFlight(redactFlight(bytes, "it", new Redaction(key)), "it"), "it")).toEqual(before);
});

test("texts lose their numbers, and the ring of texts what nobody refers to", () => {
  const mac = "52:54:00:12:34:56";
  const { bytes } = recorded(`the card ${mac} is gone`);
  const redacted = redactFlight(bytes, "it", new Redaction(key));
  const text = new TextDecoder("latin1").decode(redacted);
  expect(new TextDecoder("latin1").decode(bytes)).toContain(mac);
  expect(text).not.toContain(mac);
  expect(text).toContain("the card ");
});

test("a saved recording can be redacted at once", () => {
  using box = new Sandbox();
  using recorder = new FlightRecorder({ entries: 64 });
  recorder.record(TraceKind.event, 0, 0, 0, 0, 0, "serial: ABC123456");
  recorder.save(`${box.path}/flight`, { redact: true });
  expect(readFileSync(`${box.path}/flight`, "latin1")).not.toContain("ABC123456");
});
