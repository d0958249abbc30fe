import { expect, spyOn, test } from "bun:test";
import fc from "fast-check";
import type { MemoryPlatform } from "../../src/device/platforms/memory/memory-platform.ts";
import { attach, type Attached, type Call } from "../support/attached.ts";
import { at } from "../support/synthetic-image.ts";
import { anyDevice, anySteps, checkInvariants, perform, type Step } from "./guest-model.ts";
import { resetAfterFaults, type Outcomes } from "./after-faults.ts";
import { runs } from "./runs.ts";

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
function lookForPending({ device }: Attached): void {
  for (const offset of [at.msi + 16, at.msi + 20]) device.configRead(offset, 4);
  const { bars, msix } = device.describe();
  const base = msix && bars.find(({ region }) => region === msix.guest.pba.region)?.base;
  if (base !== undefined) device.mmioRead(base + msix!.guest.pba.offset, new Uint8Array(8));
}

test("whatever the platform's pending bits and the listener throw reaches no guest access, and none is swallowed", () => {
  const all = { pending: 0, listener: 0 };
  const outcomes: Outcomes = { mended: 0, gone: 0 };
  fc.assert(
    fc.property(anyDevice, anySteps, anySteps, fc.infiniteStream(fc.nat(3)), (device, steps, after, dice) => {
      let broken = false;
      const fails = (what: keyof typeof all): boolean => {
        const thrown = broken && dice.next().value === 0;
        if (thrown) all[what]++;
        return thrown;
      };
      const before = all.listener;
      const later: (() => void)[] = [];
      using _ = spyOn(globalThis, "queueMicrotask").mockImplementation((task) => void later.push(task));
      using guest = attach(device, {
        prepare: (_, platform) => breakPending(platform, () => fails("pending")),
        onEvent: () => {
          if (fails("listener")) throw new Error("the listener fails as told");
        },
      });
      guest.backend.fails = ({ kind }: Call) => kind !== "close" && broken && dice.next().value === 0;
      for (const step of beginning) perform(guest, step);
      broken = true;
      for (const step of steps) {
        lookForPending(guest);
        if (step.do !== "reset") perform(guest, step);
      }
      broken = false;
      expect(later).toHaveLength(all.listener - before);
      if (!resetAfterFaults(guest, outcomes)) return;
      checkInvariants(guest);
      for (const step of after) perform(guest, step);
      checkInvariants(guest);
    }),
    runs("callbacks"),
  );
  for (const reached of Object.values({ ...all, ...outcomes })) expect(reached).toBeGreaterThan(0);
}, 600_000);
