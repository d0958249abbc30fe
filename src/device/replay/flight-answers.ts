// A backend and a platform that answer from a recording: what they gave then they give again, and what they refused they refuse.
import type { DeviceBackend, RegionMapping } from "../seam/backend.ts";
import type {
  AddressAllocator,
  AddressWindows,
  Dma,
  GuestBus,
  Interrupts,
  IntxLine,
  MsiGroup,
  Platform,
} from "../seam/platform.ts";
import { lineKinds, TraceKind, type TracedDevice } from "../seam/trace.ts";
import type { FlightEntry } from "./flight-format.ts";

/** The entry of the recording that comes next; undefined at its end, and once the replay has left it. */
export type NextEntry = () => FlightEntry | undefined;

/** Throws as the recorded call did, where it failed. */
function refuse(next: NextEntry, kind: number): void {
  const entry = next();
  if (entry?.kind === TraceKind.failed && entry.numbers[0] === kind) throw new Error(entry.text);
}

/** The numbers of the entry that comes next, if it is of this kind. */
function answer(next: NextEntry, kind: number): readonly number[] | undefined {
  refuse(next, kind);
  const entry = next();
  return entry?.kind === kind ? entry.numbers : undefined;
}

/** Puts up to eight bytes of an entry's data back: `value` has the low four, `high` those above. What is longer keeps the rest. */
export function putEntryBytes(data: Uint8Array, value: number, high: number): void {
  for (let i = 0; i < Math.min(8, data.length); i++)
    data[i] = Math.floor((i < 4 ? value : high) / 2 ** (8 * (i % 4))) % 256;
}

/** The first eight bytes of a read were recorded; at attach, the rest is the config space that came of it. */
export function recordedBackend(device: TracedDevice, next: NextEntry): DeviceBackend {
  const { name, regions, irqs, resettable, config } = device;
  return {
    ...{ name, regions, irqs, resettable },
    read(_region, offset, data) {
      const [, , , value, high] = answer(next, TraceKind.deviceRead) ?? [];
      if (data.length > 8) data.set(config.subarray(offset, offset + data.length));
      putEntryBytes(data, value ?? 0, high ?? 0);
    },
    write: () => refuse(next, TraceKind.deviceWrite),
    map(_region, { size }): RegionMapping {
      refuse(next, TraceKind.deviceMap);
      return { hva: device.pageSize, size, [Symbol.dispose]: () => {} };
    },
    setIrqs: () => refuse(next, TraceKind.deviceIrqs),
    reset: () => refuse(next, TraceKind.deviceReset),
    probeFeature: () => undefined,
    [Symbol.dispose]: () => {},
  };
}

const groupFrom = (next: NextEntry): MsiGroup => ({
  eventfd: (vector) => vector,
  update: () => refuse(next, TraceKind.route),
  pending: () => answer(next, TraceKind.pending)?.[1] === 1,
  discard: () => {},
  signal: () => {},
  [Symbol.dispose]: () => {},
});

function lineFrom(next: NextEntry, kind: (typeof lineKinds)[number]): IntxLine {
  const act = (): void => refuse(next, TraceKind.intx);
  return {
    eventfd: 0,
    resample: kind === "resample" ? 1 : undefined,
    notifiesEndOfInterrupt: kind === "notified",
    connect: act,
    disconnect: act,
    [Symbol.dispose]: () => {},
  };
}

const interruptsFrom = (next: NextEntry): Interrupts => ({
  createMsiGroup() {
    refuse(next, TraceKind.msiGroup);
    return groupFrom(next);
  },
  createIntx() {
    const kind = lineKinds[answer(next, TraceKind.intxLine)?.[1] ?? 0] ?? "none";
    return kind === "none" ? undefined : lineFrom(next, kind);
  },
});

const windowFrom = (
  window: { readonly base: number; readonly size: number } | undefined,
  next: NextEntry,
): AddressAllocator => ({
  base: window?.base ?? 0,
  size: window?.size ?? 0,
  allocate() {
    const [, , , found, base] = answer(next, TraceKind.allocate) ?? [];
    return found === 1 ? base : undefined;
  },
  reserve: () => answer(next, TraceKind.reserve)?.[3] === 1,
  free: () => refuse(next, TraceKind.release),
});

function addressesFrom({ windows: [mmio32, mmio64, io] }: TracedDevice, next: NextEntry): AddressWindows {
  return {
    mmio32: windowFrom(mmio32, next),
    mmio64: windowFrom(mmio64, next),
    io: io && windowFrom(io, next),
  };
}

const dmaFrom = (next: NextEntry): Dma => ({
  map: () => refuse(next, TraceKind.dmaMap),
  unmap: () => refuse(next, TraceKind.dmaUnmap),
});

/** Keeps rests of pages free as the recorded bus did, and wants them when that did. */
class RecordedBus implements GuestBus {
  readonly #next: NextEntry;
  readonly #giveWay = new Map<number, () => boolean>();
  readonly keepFree: GuestBus["keepFree"];

  constructor({ keepsFree }: TracedDevice, next: NextEntry) {
    this.#next = next;
    if (keepsFree) this.keepFree = (rest, giveWay) => this.#keep(rest.base, giveWay);
  }

  insert(): void {
    for (let entry = this.#next(); entry?.kind === TraceKind.giveWay; entry = this.#next())
      if (!this.want(entry.numbers[0]!)) break;
    refuse(this.#next, TraceKind.busInsert);
  }
  remove(): void {
    refuse(this.#next, TraceKind.busRemove);
  }

  #keep(base: number, giveWay: () => boolean): Disposable | undefined {
    if (answer(this.#next, TraceKind.keepFree)?.[2] !== 1) return undefined;
    this.#giveWay.set(base, giveWay);
    return { [Symbol.dispose]: () => void this.#giveWay.delete(base) };
  }

  /** Something else comes to be in a rest. @returns whether that is kept */
  want(base: number): boolean {
    const giveWay = this.#giveWay.get(base);
    giveWay?.();
    return giveWay !== undefined;
  }
}

/** A platform for a replay. */
export interface RecordedPlatform extends Platform {
  readonly bus: RecordedBus;
}

export const recordedPlatform = (device: TracedDevice, next: NextEntry): RecordedPlatform => ({
  pageSize: device.pageSize,
  memory: {
    add: () => answer(next, TraceKind.slotAdd)?.[0] ?? 0,
    remove: () => refuse(next, TraceKind.slotRemove),
  },
  interrupts: interruptsFrom(next),
  addresses: addressesFrom(device, next),
  bus: new RecordedBus(device, next),
  dma: device.peers ? dmaFrom(next) : undefined,
});
