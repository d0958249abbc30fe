// A platform that gives answers which cannot be, and calls back when it likes.
import { expect } from "bun:test";
import fc from "fast-check";
import type { MemoryPlatform } from "../../src/device/platforms/memory/memory-platform.ts";
import type { AddressAllocator } from "../../src/device/seam/platform.ts";
import { tryAttach } from "../support/try-attach.ts";
import { lookForPending } from "./callbacks.ts";
import { anyDevice, anySteps, perform } from "./guest-model.ts";
import { property, type Effects } from "./property.ts";

const address = fc.oneof(
  fc.constantFrom(-1, 0, 0.5, NaN, Infinity, 2 ** 32, 2 ** 53, 2 ** 60),
  fc.nat(0xffffffff),
  fc.nat(2 ** 40),
);
/** What it says instead of the truth; undefined: the truth. */
const anyLies = fc.record({
  allocate: fc.array(fc.option(address, { freq: 3, nil: undefined }), { maxLength: 8 }),
  reserve: fc.array(fc.option(fc.boolean(), { freq: 3, nil: undefined }), { maxLength: 20 }),
  pending: fc.array(fc.boolean(), { maxLength: 8 }),
  /** After which steps something else wants the pages that it keeps free. */
  wants: fc.array(fc.nat(20), { maxLength: 4 }),
});
type Lies = typeof anyLies extends fc.Arbitrary<infer T> ? T : never;

/** @returns has something else want every page that is kept free */
function lie(platform: MemoryPlatform, lies: Lies, effects: Effects): () => void {
  const next = <T>(list: readonly T[], name: string): (() => T | undefined) => {
    let at = 0;
    return () => {
      const one = list[at++];
      if (one !== undefined) effects.count(name);
      return one;
    };
  };
  const [allocated, reserved, waits] = [
    next(lies.allocate, "allocate"),
    next(lies.reserve, "reserve"),
    next(lies.pending, "pending"),
  ];
  const windows: readonly (AddressAllocator | undefined)[] = Object.values(platform.addresses);
  for (const window of windows) {
    if (!window) continue;
    const [allocate, reserve, free] = (["allocate", "reserve", "free"] as const).map((name) =>
      (window[name] as (...args: number[]) => unknown).bind(window),
    );
    Object.assign(window, {
      allocate: (size: number, alignment: number) => allocated() ?? allocate!(size, alignment),
      reserve: (base: number, size: number) => reserved() ?? reserve!(base, size),
      // What was never taken cannot be given back: that is its own business.
      free: (base: number, size: number) => {
        try {
          free!(base, size);
        } catch {
          effects.count("free of nothing");
        }
      },
    });
  }
  const create = platform.interrupts.createMsiGroup.bind(platform.interrupts);
  platform.interrupts.createMsiGroup = (vectors) => {
    const group = create(vectors);
    const pending = group.pending.bind(group);
    group.pending = (vector) => waits() ?? pending(vector);
    return group;
  };
  const kept = new Set<() => boolean>();
  const keep = platform.bus.keepFree!.bind(platform.bus);
  Object.assign(platform.bus, {
    keepFree(rest: { base: number; size: number }, giveWay: () => boolean) {
      const one = keep(rest, giveWay);
      if (one) kept.add(giveWay);
      return one && { [Symbol.dispose]: () => (kept.delete(giveWay), one[Symbol.dispose]()) };
    },
  });
  return () => {
    for (const giveWay of [...kept]) effects.count("wanted", giveWay());
  };
}

export const lyingPlatforms = property({
  name: "lyingPlatforms",
  file: "lying-platforms.ts",
  says: "whatever a platform answers and whenever it calls back, no guest access throws and no memory is left shown",
  runs: 250,
  input: fc.record({ device: anyDevice, lies: anyLies, steps: anySteps }),
  reaches: ["attached", "allocate", "reserve", "pending", "wanted"],
  check({ device, lies, steps }, effects) {
    let want = (): void => {};
    using guest = tryAttach(
      device,
      { prepare: (_, platform) => (want = lie(platform, lies, effects)) },
      (error) => expect(error).toBeInstanceOf(Error),
    );
    effects.count("attached", guest !== undefined);
    if (!guest) return;
    for (const [index, step] of steps.entries()) {
      perform(guest, step, effects);
      lookForPending(guest);
      if (lies.wants.includes(index)) want();
    }
    guest.device[Symbol.dispose]();
    const { slots, dma, trapped } = guest.platform.state();
    expect([slots, dma, trapped]).toEqual([[], [], []]);
  },
});
