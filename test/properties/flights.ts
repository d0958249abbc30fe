// Damaged files of a flight recorder: read, and run again.
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { FlightRecorder } from "../../src/device/replay/flight-recorder.ts";
import { deviceAt, entriesAt, entrySize, textAt } from "../../src/device/replay/flight-format.ts";
import { readFlight } from "../../src/device/replay/read-flight.ts";
import { replayFlight } from "../../src/device/replay/flight-replay.ts";
import { VfioError } from "../../src/ffi/errors.ts";
import { attach, bytesOf, memory, mmioRead, writeVector } from "../support/attached.ts";
import { at } from "../support/synthetic-image.ts";
import { property } from "./property.ts";

const entries = 200;

/** A device that is driven a little, as it is recorded. */
function record(): Uint8Array {
  using recorder = new FlightRecorder({ entries });
  {
    using guest = attach(
      {
        bars: { 0: { size: 0x4000 }, 1: { size: 0x100 }, 2: { size: 0x20, kind: "io" } },
        msix: { vectors: 2, table: [0, 0x1000], pba: [0, 0x2000] },
        pm: true,
        pcie: true,
      },
      { attach: { trace: recorder } },
    );
    const { device } = guest;
    device.configWrite(0x04, 2, memory);
    device.configWrite(at.msix + 2, 2, 0x8000);
    writeVector(device, device.configRead(0x10, 4) + 0x1000, 0, 0x42);
    mmioRead(device, device.configRead(0x10, 4), 4);
    device.mmioWrite(device.configRead(0x14, 4), bytesOf(7, 8));
    device.snapshot();
    device.reset();
    device.configRead(3, 2);
    mmioRead(device, 0x10, 4);
  }
  const folder = mkdtempSync(join(tmpdir(), "flights-"));
  try {
    const path = join(folder, "flight");
    recorder.save(path);
    return new Uint8Array(readFileSync(path));
  } finally {
    rmSync(folder, { recursive: true });
  }
}
let recorded: Uint8Array | undefined;

const number = fc.oneof(
  fc.double(),
  fc.nat(40),
  fc.constantFrom(0, -0, -1, 0.5, NaN, Infinity, -Infinity, 2 ** 31, 2 ** 32, 2 ** 53, 2 ** 60, 1e300),
);
const anyDamage = fc.oneof(
  // A number of an entry; a kind, a text; bytes of the header and of the device's JSON.
  { weight: 6, arbitrary: fc.record({ entry: fc.nat(entries - 1), field: fc.nat(6), number }) },
  {
    weight: 2,
    arbitrary: fc.record({ entry: fc.nat(entries - 1), kind: fc.oneof(fc.nat(40), fc.nat(0xffff)) }),
  },
  { weight: 1, arbitrary: fc.record({ at: fc.nat(127), byte: fc.nat(255) }) },
  { weight: 1, arbitrary: fc.record({ header: fc.nat(5), number }) },
  { weight: 2, arbitrary: fc.record({ json: fc.nat(9000), byte: fc.nat(255) }) },
  { weight: 1, arbitrary: fc.record({ at: fc.integer({ min: textAt, max: entriesAt }), byte: fc.nat(255) }) },
  { weight: 1, arbitrary: fc.record({ cut: fc.nat(entriesAt + entries * entrySize) }) },
);

export const flights = property({
  name: "flights",
  file: "flights.ts",
  says: "damaged flight recordings are refused in words, or are read and run again to where they differ",
  runs: 250,
  input: fc.array(anyDamage, { maxLength: 6 }),
  reaches: ["refused", "read", "different", "the same"],
  check(damage, effects) {
    let bytes = new Uint8Array((recorded ??= record()));
    for (const one of damage) {
      const view = new DataView(bytes.buffer);
      const put = (at: number, byte: number): void => {
        if (at < bytes.length) bytes[at] = byte;
      };
      const putNumber = (at: number, value: number): void => {
        if (at + 8 <= bytes.length) view.setFloat64(at, value, true);
      };
      if ("cut" in one) bytes = bytes.slice(0, one.cut);
      else if ("kind" in one) {
        const at = entriesAt + one.entry * entrySize + entrySize - 8;
        put(at, one.kind & 0xff);
        put(at + 1, one.kind >>> 8);
      } else if ("field" in one) putNumber(entriesAt + one.entry * entrySize + 8 * one.field, one.number);
      else if ("header" in one) putNumber(32 + 8 * one.header, one.number);
      else put("json" in one ? deviceAt + one.json : one.at, one.byte);
    }
    try {
      const recording = readFlight(bytes, "damaged");
      effects.count("read");
      const { difference } = replayFlight(recording, "damaged");
      effects.count(difference ? "different" : "the same");
    } catch (error) {
      if (!(error instanceof VfioError)) throw error;
      effects.count("refused");
    }
  },
});
