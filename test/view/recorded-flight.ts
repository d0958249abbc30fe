// A recording to look at: a guest places BARs, one of which the platform has no memory slot for, routes a vector, and moves BAR0.
import { FlightRecorder } from "../../src/device/replay/flight-recorder.ts";
import { attach, memory, mmioRead, writeVector } from "../support/attached.ts";
import { at } from "../support/synthetic-image.ts";

/** The guest addresses of BAR0 before and after its move, and of BAR2. */
export const addresses = { before: 0xd000_0000, after: 0xd800_0000, bar2: 0xe000_0000 } as const;
/** What the platform says of BAR2, unless a test has it say something else. */
export const markup = "no slot is free <b>bold</b>";

export interface FlightShape {
  /** Reads of BAR0 between the first place and the second. */
  readonly reads?: number;
  /** Entries that the recorder keeps. */
  readonly entries?: number;
  /** What the platform says of BAR2. */
  readonly refusal?: string;
}

/** Writes the recording. */
export function recordFlight(path: string, shape: FlightShape = {}): void {
  const { reads = 3, entries = 10_000, refusal = markup } = shape;
  using recorder = new FlightRecorder({ entries });
  using guest = attach(
    {
      bars: { 0: { size: 0x4000 }, 2: { size: 0x100000, kind: "memory64" } },
      ...{ pm: true, pcie: true },
      msix: { vectors: 8, table: [0, 0x1000], pba: [0, 0x2000] },
    },
    { attach: { trace: recorder, msixRelocation: "never" } },
  );
  const { device, platform } = guest;
  for (const bar of [0x10, 0x18, 0x1c]) {
    device.configWrite(bar, 4, 0xffff_ffff);
    device.configRead(bar, 4);
  }
  device.configWrite(0x10, 4, addresses.before);
  device.configWrite(0x18, 4, addresses.bar2);
  device.configWrite(0x1c, 4, 0);
  platform.failOn((action) => action.kind === "slot-add" && action.size === 0x100000, new Error(refusal));
  device.configWrite(0x04, 2, memory);
  device.configWrite(at.msix + 2, 2, 0x8000);
  writeVector(device, addresses.before + 0x1000, 1, 0x42);
  for (let i = 0; i < reads; i++) mmioRead(device, addresses.before + 0x2800 + 4 * (i % 64), 4);
  device.configWrite(0x04, 2, 0);
  device.configWrite(0x10, 4, addresses.after);
  device.configWrite(0x04, 2, memory);
  mmioRead(device, 0x10, 4);
  recorder.save(path);
}
