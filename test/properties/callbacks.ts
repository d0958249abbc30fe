// What the model calls back, and what that throws.
import { expect, spyOn } from "bun:test";
import fc from "fast-check";
import type { MemoryPlatform } from "../../src/device/platforms/memory/memory-platform.ts";
import { attach, type Attached, type Call } from "../support/attached.ts";
import { at } from "../support/synthetic-image.ts";
import { anyDevice, anySteps, checkInvariants, perform, type Step } from "./guest-model.ts";
import { resetAfterFaults } from "./after-faults.ts";
import { property } from "./property.ts";
import { anyRefusals, Refusals } from "./refusals.ts";

/** Lets the platform fail to tell whether an event of a message vector waits. */
function breakPending({ interrupts }: MemoryPlatform, fails: () => boolean): void {
  const create = interrupts.createMsiGroup.bind(interrupts);
  interrupts.createMsiGroup = (vectors) => {
    const group = create(vectors);
    const pending = group.pending.bind(group);
    group.pending = (vector) => {
      if (fails()) throw new Error("pending fails as told");
      return pending(vector);
    };
    return group;
  };
}

/** A driver's beginning: vectors that come into use, of which some are masked again. */
const beginning: readonly Step[] = [
  { do: "config", offset: 4, width: 2, value: 7 },
  { do: "vector", vector: 0, data: 0x4021, masked: false },
  { do: "config", offset: at.msix + 2, width: 2, value: 0x8000 },
  { do: "config", offset: at.msi + 2, width: 2, value: 0x21 },
  { do: "vector", vector: 0, data: 0x4021, masked: true },
  { do: "config", offset: at.msi + 16, width: 4, value: 1 },
];

/** Reads all pending bits that the guest can reach. */
export function lookForPending({ device }: Attached): void {
  for (const offset of [at.msi + 16, at.msi + 20]) device.configRead(offset, 4);
  const { bars, msix } = device.describe();
  const base = msix && bars.find(({ region }) => region === msix.guest.pba.region)?.base;
  if (base !== undefined) device.mmioRead(base + msix!.guest.pba.offset, new Uint8Array(8));
}

export const callbacks = property({
  name: "callbacks",
  file: "callbacks.ts",
  says: "whatever the platform's pending bits and the listener throw reaches no guest access, and none is swallowed",
  runs: 150,
  input: fc.record({ device: anyDevice, steps: anySteps, after: anySteps, refusals: anyRefusals(6) }),
  reaches: ["pending throws", "the listener throws", "mended", "gone"],
  check({ device, steps, after, refusals }, effects) {
    const refused = new Refusals(refusals);
    let broken = false;
    let thrown = 0;
    const fails = (what: string): boolean => {
      const now = broken && refused.next();
      if (now) effects.count(what);
      return now;
    };
    const later: (() => void)[] = [];
    using _ = spyOn(globalThis, "queueMicrotask").mockImplementation((task) => void later.push(task));
    using guest = attach(device, {
      prepare: (_, platform) => breakPending(platform, () => fails("pending throws")),
      onEvent: () => {
        if (!fails("the listener throws")) return;
        thrown++;
        throw new Error("the listener fails as told");
      },
    });
    guest.backend.fails = ({ kind }: Call) => kind !== "close" && broken && refused.next();
    for (const step of beginning) perform(guest, step);
    broken = true;
    for (const step of steps) {
      lookForPending(guest);
      if (step.do !== "reset") perform(guest, step, effects);
    }
    broken = false;
    expect(later).toHaveLength(thrown);
    if (!resetAfterFaults(guest, effects)) return;
    checkInvariants(guest);
    for (const step of after) perform(guest, step, effects);
    checkInvariants(guest);
  },
});
