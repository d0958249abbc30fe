// The state at a point of a recording, folded from its entries, is that of a device driven so far: a twin that hears the same
// accesses, without a recorder, tells at every few of them.
import { describe, expect, test } from "bun:test";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { RecordedDevice } from "../../src/device/backends/recorded/recorded-device.ts";
import { VfioPciDevice } from "../../src/device/passthrough/vfio-pci-device.ts";
import type { AttachOptions } from "../../src/device/passthrough/options.ts";
import { MemoryPlatform } from "../../src/device/platforms/memory/memory-platform.ts";
import { FlightRecorder } from "../../src/device/replay/flight-recorder.ts";
import { replayFlight } from "../../src/device/replay/flight-replay.ts";
import { readFlight } from "../../src/device/replay/read-flight.ts";
import { accessWidth } from "../../src/device/replay/replay.ts";
import type { DeviceImage } from "../../src/image/index.ts";
import { layoutOf } from "../../src/regs/index.ts";
import { flightData } from "../../src/view/flight-data.ts";
import { FlightIndex } from "../../src/view/flight-index.ts";
import { Seen, type FlightStart, type FlightState } from "../../src/view/flight-state.ts";
import { writeVector } from "../support/attached.ts";
import { seededRandom, type Random } from "../support/random.ts";
import { imageOf, names, traceOf } from "../support/replayed.ts";
import { at, syntheticImage } from "../support/synthetic-image.ts";

type Step = (device: VfioPciDevice, platform: MemoryPlatform) => unknown;

/** What a device is at a point, as its twin tells. */
interface Point {
  /** Entries that were recorded so far. */
  readonly count: number;
  readonly config: Uint8Array;
  readonly places: unknown;
}

/** The whole of config space as a guest reads it. */
function configOf(device: VfioPciDevice): Uint8Array {
  const config = new Uint8Array(device.configSize);
  const view = new DataView(config.buffer);
  for (let offset = 0; offset < config.length; offset += 4)
    view.setUint32(offset, device.configRead(offset, 4), true);
  return config;
}

const sorted = (words: readonly string[]): string[] => words.toSorted();

/** Where a guest reaches the device, and what of it interrupts the guest. */
function placesOf(device: VfioPciDevice, platform: MemoryPlatform): unknown {
  const { trapped, slots, dma } = platform.state();
  const { mode, routed } = device.describe().interrupts;
  return {
    ranges: sorted(trapped.map(({ base, size, region }) => `${base} ${size} ${region}`)),
    slots: sorted(slots.map(({ gpa, size }) => `${gpa} ${size}`)),
    peers: sorted(dma.map(({ iova, size }) => `${iova} ${size}`)),
    routed: sorted(routed.map(String)),
    intx: mode === "INTx",
  };
}
const placesIn = ({ ranges, slots, peers, routes, intx }: FlightState): unknown => ({
  ranges: sorted([...ranges.values()].map(({ base, size, region }) => `${base} ${size} ${region}`)),
  slots: sorted([...slots.values()].map(({ gpa, size }) => `${gpa} ${size}`)),
  peers: sorted([...peers].map(([iova, size]) => `${iova} ${size}`)),
  routed: sorted([...routes.keys()].map(String)),
  intx,
});

/** Bits of a byte that the state knows: of what the device itself made of a write or a reset it says so. */
const knownBits = ({ seen, start }: FlightState, offset: number): number =>
  seen[offset] === Seen.written || seen[offset] === Seen.reset ? start.emulated[offset]! : 0xff;

/** Drives a device and its twin. @returns points at which both were compared, and bytes that were known for certain */
function compare(image: DeviceImage, steps: readonly Step[], every: number, options: AttachOptions = {}) {
  using recorder = new FlightRecorder({ entries: 200_000 });
  using platform = new MemoryPlatform();
  using twinPlatform = new MemoryPlatform();
  using device = VfioPciDevice.attach(new RecordedDevice(image), platform, { ...options, trace: recorder });
  using twin = VfioPciDevice.attach(new RecordedDevice(image), twinPlatform, options);
  const points: Point[] = [];
  for (const [i, step] of steps.entries()) {
    step(device, platform);
    step(twin, twinPlatform);
    if (i % every !== 0 && i !== steps.length - 1) continue;
    points.push({ count: recorder.count, config: configOf(twin), places: placesOf(twin, twinPlatform) });
  }
  const index = indexOf(recorder);
  let known = 0;
  for (const { count, config, places } of points) {
    const state = index.stateAt(count - 1);
    expect(placesIn(state)).toEqual(places);
    const wrong: string[] = [];
    for (const [offset, byte] of config.entries()) {
      const bits = knownBits(state, offset);
      if (bits === 0xff) known++;
      if (((state.config[offset]! ^ byte) & bits) !== 0)
        wrong.push(`entry ${count}: 0x${offset.toString(16)}: ${state.config[offset]}, not ${byte}`);
    }
    expect(wrong).toEqual([]);
  }
  return { points: points.length, known: known / (points.length * image.config.length) };
}

function indexOf(recorder: FlightRecorder): FlightIndex {
  const folder = mkdtempSync(join(tmpdir(), "state-"));
  try {
    const path = join(folder, "flight");
    recorder.save(path);
    const bytes = readFileSync(path);
    const recording = readFlight(bytes, path);
    expect(recording.lost).toBe(0);
    expect(replayFlight(recording, "test").difference).toBeUndefined();
    const { guest } = flightData(bytes, recording, "card").device!;
    const table = (hex: string): Uint8Array => Uint8Array.fromHex(hex);
    const start: FlightStart = {
      config: table(guest!.shadow),
      emulated: table(guest!.emulated),
      write: table(guest!.write),
      clear: table(guest!.clear),
      msix: guest!.msix?.guest,
    };
    return new FlightIndex(recording, start);
  } finally {
    rmSync(folder, { recursive: true });
  }
}

describe("a recorded guest, every third access", () => {
  test.each(names)("%s", (name) => {
    const image = imageOf(name);
    const layout = layoutOf(image.config);
    const steps = traceOf(name).map((access): Step => {
      const { kind, offset, value } = access;
      const width = accessWidth(layout, access);
      return (device) =>
        kind === "read" ? device.configRead(offset, width) : device.configWrite(offset, width, value);
    });
    const { points, known } = compare(image, steps, 3);
    expect(points).toBeGreaterThan(50);
    expect(known).toBeGreaterThan(0.99);
  });
});

/** One thing that a guest or its VMM may do: BARs, COMMAND, interrupts, sleep, resets, anything at all. */
function anyStep(random: Random): Step {
  const below = (limit: number): number => random.below(limit);
  const width = random.pick([1, 2, 4]);
  const value = below(2 ** (8 * width));
  const offset = 4 * below(64) + width * below(4 / width);
  const [few, bits] = [below(8), below(2 ** 32)];
  return random.pick<Step>([
    (device) => device.configWrite(0x10 + 4 * (offset % 6), 4, 0xd000_0000 + 0x10_0000 * few),
    (device) => device.configWrite(0x04, 2, few),
    (device) => device.configWrite(at.msix + 2, 2, 0x4000 * (few & 3)),
    (device) => device.configWrite(at.msi + 2, 2, (few & 1) | (0x10 * (few >> 1))),
    (device) => device.configWrite(at.pm + 4, 2, few & 3),
    (device) => few === 0 && device.configWrite(at.pcie + 8, 2, 0x8000),
    (device) => few === 0 && device.configWrite(at.af + 4, 1, 1),
    (device) => device.configWrite(offset, width, value),
    (device) => device.configRead(offset, width),
    (device) => {
      const base = device.describe().bars[0]!.base;
      if (base !== undefined) writeVector(device, base + 0x1000, few, bits, (bits & 1) === 1);
    },
    (device) => few === 0 && device.reset(),
    // A host that has no more vectors: what the guest turned on it finds off.
    (device, platform) => {
      platform.failNext("irqfd-on");
      device.configWrite(at.msix + 2, 2, 0x8000);
    },
  ]);
}

describe("guests that do anything, every access", () => {
  test.each([1, 2, 3, 4, 5])("seed %i", (seed) => {
    const random = seededRandom(seed);
    const image = syntheticImage({
      bars: {
        0: { size: 0x4000 },
        2: { size: 0x1000, kind: "memory64" },
        4: { size: 0x40, kind: "io" },
      },
      ...{ pm: true, pcie: true, af: true },
      msi: { log2: 2, wide: true, maskable: true },
      msix: { vectors: 8, table: [0, 0x1000], pba: [0, 0x2000] },
    });
    const steps = Array.from({ length: 500 }, () => anyStep(random));
    expect(compare(image, steps, 1, { msixRelocation: "never" }).points).toBe(500);
  });
});
