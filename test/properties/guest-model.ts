// What must hold of an attached device after whatever a guest did, worked out apart from the model's own state machines.
import { expect } from "bun:test";
import fc from "fast-check";
import type { Attached } from "../support/attached.ts";
import { at, type SyntheticDevice } from "../support/synthetic-image.ts";
import type { Effects } from "./property.ts";
import { refusal } from "../support/refusal.ts";

/** Devices of many shapes: BARs of every kind and size, MSI, MSI-X in every place, all the ways to reset. */
export const anyDevice: fc.Arbitrary<SyntheticDevice> = fc.record({
  bars: fc.constantFrom<NonNullable<SyntheticDevice["bars"]>>(
    { 0: { size: 0x4000 } },
    { 0: { size: 0x4000, kind: "memory64" }, 2: { size: 0x20, kind: "io" }, 3: { size: 0x1000 } },
    {
      0: { size: 0x10000, sparse: [{ offset: 0x1000, size: 0x4000 }] },
      1: { size: 0x1000, writable: false },
    },
    { 0: { size: 0x8000, msixMappable: false }, 1: { size: 256 }, 4: { size: 2 ** 33, kind: "memory64" } },
    { 0: { size: 0x80 }, 1: { size: 0x200, mappable: false }, 2: { size: 0x1000 } },
    { 0: { size: 0x40000, kind: "memory64", prefetchable: true }, 2: { size: 0x40000, kind: "memory64" } },
  ),
  romSize: fc.constantFrom(0, 0x800, 0x10000),
  pin: fc.constantFrom(0, 1, 4),
  msi: fc.option(
    fc.record({
      log2: fc.nat(5),
      wide: fc.boolean(),
      maskable: fc.boolean(),
    }),
    { nil: undefined as unknown as NonNullable<SyntheticDevice["msi"]> },
  ),
  msix: fc.option(
    fc.record({
      vectors: fc.constantFrom(1, 2, 9, 33),
      table: fc.constantFrom<readonly [number, number]>(
        [0, 0],
        [0, 0x2000],
        [0, 0x1800],
        [0, 0x3ff0],
        [1, 0],
      ),
      pba: fc.constantFrom<readonly [number, number]>([0, 0x3000], [0, 0xff8], [0, 0x2800], [3, 0x10]),
      noResize: fc.boolean(),
    }),
    { nil: undefined as unknown as NonNullable<SyntheticDevice["msix"]> },
  ),
  pm: fc.boolean(),
  pcie: fc.boolean(),
  af: fc.boolean(),
  extended: fc.subarray([0x01, 0x0e, 0x10, 0x15, 0x03]),
});

/** One thing that a guest, or the device, may do. */
export type Step =
  | { readonly do: "config"; readonly offset: number; readonly width: number; readonly value: number }
  | { readonly do: "look"; readonly offset: number; readonly width: number }
  | {
      readonly do: "bar";
      readonly region: number;
      readonly offset: number;
      readonly width: number;
      readonly value: number;
    }
  | { readonly do: "vector"; readonly vector: number; readonly data: number; readonly masked: boolean }
  | { readonly do: "raise"; readonly index: number; readonly vector: number }
  | { readonly do: "deliver" }
  | { readonly do: "reset" };

const offset = fc.oneof(
  { weight: 3, arbitrary: fc.constantFrom(0x04, 0x05, 0x06) },
  { weight: 6, arbitrary: fc.integer({ min: 0x10, max: 0x33 }) },
  { weight: 3, arbitrary: fc.integer({ min: at.msi, max: at.msi + 23 }) },
  { weight: 3, arbitrary: fc.integer({ min: at.msix, max: at.msix + 11 }) },
  { weight: 2, arbitrary: fc.constantFrom(at.pm + 4, at.pm + 5, at.pcie + 8, at.pcie + 9, at.af + 4) },
  { weight: 1, arbitrary: fc.integer({ min: -8, max: 0x1008 }) },
);
const width = fc.oneof(
  { weight: 9, arbitrary: fc.constantFrom(1, 2, 4) },
  { weight: 1, arbitrary: fc.nat(9) },
);
/** Mostly one that devices have. */
const vector = fc.oneof(fc.nat(1), fc.nat(34));
const value = fc.oneof(
  fc.constantFrom(
    0,
    1,
    2,
    3,
    6,
    7,
    0xffffffff,
    0xfffff800,
    0x8000,
    0xc000,
    0x80000000,
    0xc0000000,
    0x21,
    0x71,
  ),
  fc.integer({ min: 0xc000, max: 0xfbff }).map((high) => high * 0x10000),
  // Of BARs smaller than a page, in one.
  fc.nat(31).map((part) => 0xd0000000 + 0x80 * part),
  fc.integer({ min: 0x100, max: 0x1ff }),
  fc.nat(0xffffffff),
);

/** A driver's beginning, or part of it: decoding on, a vector unmasked, MSI-X or MSI on. */
const beginning = fc.subarray<Step>([
  { do: "config", offset: 4, width: 2, value: 7 },
  { do: "vector", vector: 0, data: 0x4021, masked: false },
  { do: "config", offset: at.msix + 2, width: 2, value: 0x8000 },
  { do: "config", offset: at.msi + 4, width: 4, value: 0xfee00000 },
  { do: "config", offset: at.msi + 2, width: 2, value: 0x21 },
]);

const anyMiddle: fc.Arbitrary<Step[]> = fc.array(
  fc.oneof(
    { weight: 10, arbitrary: fc.record({ do: fc.constant("config" as const), offset, width, value }) },
    { weight: 2, arbitrary: fc.record({ do: fc.constant("look" as const), offset, width }) },
    {
      weight: 4,
      arbitrary: fc.record({
        do: fc.constant("bar" as const),
        region: fc.nat(6),
        offset: fc.oneof(fc.nat(0x80), fc.nat(0x5000), fc.nat(0x50000)),
        width,
        value,
      }),
    },
    {
      weight: 4,
      arbitrary: fc.record({
        do: fc.constant("vector" as const),
        vector,
        data: fc.nat(0xffff),
        masked: fc.boolean(),
      }),
    },
    {
      weight: 2,
      arbitrary: fc.record({ do: fc.constant("raise" as const), index: fc.nat(4), vector }),
    },
    { weight: 2, arbitrary: fc.constant({ do: "deliver" as const }) },
    { weight: 1, arbitrary: fc.constant({ do: "reset" as const }) },
  ),
  { minLength: 1, maxLength: 40, size: "max" },
);

/** What a guest does, which often begins as a driver does. */
export const anySteps: fc.Arbitrary<Step[]> = fc.tuple(beginning, anyMiddle).map((parts) => parts.flat());

const bytes = (number: number, size: number): Uint8Array =>
  Uint8Array.from({ length: size }, (_, i) => Math.floor(number / 2 ** (8 * i)) % 256);

/** What of config space an access lies in, where it is one that a PCI host makes. */
const dwordOf = (offset: number, width: number): number | undefined =>
  (width === 1 || width === 2 || width === 4) && offset >= 0 && (offset & 3) + width <= 4
    ? offset & ~3
    : undefined;

/** @returns whether it came to anything: was answered, changed something, arrived */
function performed(guest: Attached, step: Step): boolean {
  const { device, backend, platform } = guest;
  switch (step.do) {
    case "config": {
      const dword = dwordOf(step.offset, step.width);
      const before = dword === undefined ? 0 : device.configRead(dword, 4);
      const done = backend.calls.length + platform.actions.length;
      device.configWrite(step.offset, step.width, step.value);
      if (backend.calls.length + platform.actions.length > done) return true;
      return dword !== undefined && device.configRead(dword, 4) !== before;
    }
    case "look": {
      const done = backend.calls.length;
      device.configRead(step.offset, step.width);
      return backend.calls.length > done;
    }
    case "bar": {
      const base = device.describe().bars.find(({ region }) => region === step.region)?.base ?? 0xd0000000;
      const address = base + step.offset;
      const written = device.mmioWrite(address, bytes(step.value, step.width));
      device.mmioRead(address, new Uint8Array(step.width));
      const ports = device.ioWrite(address, bytes(step.value, step.width));
      device.ioRead(address, new Uint8Array(step.width));
      return written || ports;
    }
    case "vector": {
      const { bars, msix } = device.describe();
      const base = msix && bars.find(({ region }) => region === msix.guest.table.region)?.base;
      if (!msix || base === undefined || step.vector >= msix.guest.vectors) return false;
      const entry = base + msix.guest.table.offset + 16 * step.vector;
      device.mmioWrite(entry, bytes(0xfee00000, 4));
      device.mmioWrite(entry + 8, bytes(step.data, 4));
      return device.mmioWrite(entry + 12, bytes(step.masked ? 1 : 0, 4));
    }
    case "raise":
      return guest.recorded.raise(step.index, step.vector);
    case "deliver":
      return platform.deliver().length > 0;
    case "reset":
      device.reset();
      return true;
  }
}

/** Does it, and counts it where it came to anything. */
export function perform(guest: Attached, step: Step, effects?: Effects): void {
  const took = performed(guest, step);
  effects?.count(step.do, took);
}

/** Kinds of steps, as `Effects` counts them: in any long run each comes to something. */
export const stepKinds = ["config", "look", "bar", "vector", "raise", "deliver", "reset"] as const;

const overlaps = (a: { offset: number; size: number }, b: { offset: number; size: number }): boolean =>
  a.offset < b.offset + b.size && b.offset < a.offset + a.size;

/**
 * Guest-visible BAR = trapped range = memory slots = peer mappings; unmasked vectors = routes = irqfds.
 * @param vectors whether the platform takes every route: where it does not, those that it has are wanted ones
 */
export function checkInvariants(guest: Attached, vectors: "all" | "some" = "all"): void {
  const description = guest.device.describe();
  const { bars, msix, command } = description;
  const state = guest.platform.state();
  const placed = bars.filter(({ base }) => base !== undefined);
  for (const bar of placed) {
    expect(bar.base).toBe(bar.address!);
    expect((command & (bar.kind === "io" ? 1 : 2)) !== 0).toBe(true);
    const low = guest.device.configRead(bar.region === 6 ? 0x30 : 0x10 + 4 * bar.region, 4);
    expect((low & (bar.kind === "io" ? ~3 : bar.kind === "rom" ? ~0x7ff : ~15)) >>> 0).toBe(
      bar.base! % 2 ** 32,
    );
  }
  const range = (bar: (typeof bars)[number]) => `${bar.region} ${bar.base} ${bar.size}`;
  expect(state.trapped.map(({ region, base, size }) => `${region} ${base} ${size}`).sort()).toEqual(
    placed.map(range).sort(),
  );
  const mapped = placed.flatMap((bar) => bar.mapped.map((area) => ({ bar, area })));
  expect(bars.every((bar) => bar.base !== undefined || bar.mapped.length === 0)).toBe(true);
  for (const { bar, area } of mapped) {
    expect(area.gpa).toBe(bar.base! + area.offset);
    expect(area.offset + area.size).toBeLessThanOrEqual(Math.max(4096, bar.physicalSize));
    // In the page of a small BAR is nothing else.
    for (const other of placed)
      if (other !== bar && other.kind !== "io")
        expect(
          overlaps({ offset: area.gpa, size: area.size }, { offset: other.base!, size: other.size }),
        ).toBe(false);
    for (const part of msix ? [msix.guest.table, msix.guest.pba] : [])
      expect(part.region === bar.region && overlaps(area, part)).toBe(false);
    for (const part of msix && !msix.relocated ? [msix.physical.table, msix.physical.pba] : [])
      expect(part.region === bar.region && overlaps(area, part)).toBe(false);
  }
  const slots = mapped.map(({ area }) => `${area.slot} ${area.gpa} ${area.size} ${area.hva}`);
  expect(state.slots.map(({ slot, gpa, size, hva }) => `${slot} ${gpa} ${size} ${hva}`).sort()).toEqual(
    slots.sort(),
  );
  const peers = mapped
    .filter(({ area }) => area.peer)
    .map(({ area }) => `${area.gpa} ${area.size} ${area.hva}`);
  expect(state.dma.map(({ iova, size, hva }) => `${iova} ${size} ${hva}`).sort()).toEqual(peers.sort());

  const wanted = wantedVectors(guest);
  const routed = state.routes.map(({ vector }) => vector).sort((a, b) => a - b);
  expect(state.irqfds.map(({ vector }) => vector).sort((a, b) => a - b)).toEqual(routed);
  if (wanted)
    expect(routed).toEqual(vectors === "all" ? wanted : wanted.filter((vector) => routed.includes(vector)));
}

/**
 * Vectors that the guest has enabled and not masked, from the registers and the table that it sees. Undefined for a device
 * that gives all ones for COMMAND and STATUS, as no device does that answers: nothing of it can be taken then.
 */
function wantedVectors(guest: Attached): number[] | undefined {
  const { device } = guest;
  if (device.configRead(0x04, 4) === 0xffff_ffff) {
    expect(refusal(() => device.snapshot()).code).toBe("ENODEV");
    return undefined;
  }
  const { msix, interrupts, capabilities } = device.describe();
  const range = (count: number): number[] => Array.from({ length: count }, (_, i) => i);
  const find = (id: number): number =>
    capabilities.find((one) => !one.extended && !one.hidden && one.id === id)!.offset;
  if (msix) {
    const control = device.configRead(find(0x11) + 2, 2);
    const table = Uint8Array.fromHex(device.snapshot().interrupts.msix!.table);
    if (control & 0x8000)
      return control & 0x4000
        ? []
        : // The host may have fewer vectors than the table: what it cannot give is reported, and not routed.
          range(Math.min(msix.guest.vectors, guest.backend.irqs[2]!.count)).filter(
            (vector) => !(table[16 * vector + 12]! & 1),
          );
  }
  if (interrupts.msiVectors === 0) return [];
  const msi = find(0x05);
  const control = device.configRead(msi + 2, 2);
  if (!(control & 1)) return [];
  const masks = control & 0x100 ? device.configRead(msi + (control & 0x80 ? 16 : 12), 4) : 0;
  return range(Math.min(2 ** ((control >>> 4) & 7), interrupts.msiVectors)).filter(
    (vector) => !((masks >>> vector) & 1),
  );
}
