// A platform and a device that refuse what they are asked for.
import { expect } from "bun:test";
import fc from "fast-check";
import type { PlatformActionKind } from "../../src/device/platforms/memory/memory-platform.ts";
import { attach, type Attached, type Call } from "../support/attached.ts";
import { anyDevice, anySteps, checkInvariants, perform } from "./guest-model.ts";
import { resetAfterFaults } from "./after-faults.ts";
import { property } from "./property.ts";
import { anyRefusals, Refusals } from "./refusals.ts";

/** What a platform may fail to take back of BARs, though it takes it when asked again. */
const removals: readonly PlatformActionKind[] = ["slot-remove", "dma-unmap", "bus-remove", "address-free"];
/** What a platform may refuse at any time. */
const refusable: readonly PlatformActionKind[] = [
  "slot-add",
  "dma-map",
  "bus-insert",
  "address-reserve",
  "set-routing",
  "irqfd-on",
  "eventfd-create",
  "intx-connect",
  ...removals,
];

/** Every BAR's address is reserved, once, and nothing else is: what was left at other places is gone. */
function checkReservations({ device, platform }: Attached): void {
  const { mmio32, mmio64, io } = platform.state().addresses;
  const range = ({ base, size }: { base: number; size: number }): string => `${base} ${size}`;
  expect([...mmio32, ...mmio64, ...io].map(range).sort()).toEqual(
    device
      .describe()
      .bars.map(({ address, size }) => range({ base: address!, size }))
      .sort(),
  );
}

export const faults = property({
  name: "faults",
  file: "faults.ts",
  says: "whatever the platform and the device refuse, no guest access throws, nothing leaks, and a reset mends it",
  runs: 250,
  input: fc.record({ device: anyDevice, steps: anySteps, after: anySteps, refusals: anyRefusals(9) }),
  reaches: ["mended", "gone", "refused by the platform", "refused by the device"],
  check({ device, steps, after, refusals }, effects) {
    using guest = attach(device);
    const refused = new Refusals(refusals);
    const fails = (whose: string): boolean => {
      const now = refused.next();
      if (now) effects.count(whose);
      return now;
    };
    const mend = guest.platform.failOn(
      ({ kind }) => refusable.includes(kind) && fails("refused by the platform"),
    );
    guest.backend.fails = ({ kind }: Call) => kind !== "close" && fails("refused by the device");
    for (const step of steps) if (step.do !== "reset") perform(guest, step, effects);
    mend();
    guest.backend.fails = () => false;
    if (!resetAfterFaults(guest, effects)) return;
    checkInvariants(guest);
    guest.device.configWrite(0x04, 2, 3);
    checkInvariants(guest);
    checkReservations(guest);
    expect(guest.backend.unmappedInUse).toEqual([]);
    for (const step of after) perform(guest, step, effects);
    checkInvariants(guest);
    expect(guest.device.describe().interrupts.mode === "none" && device.pin === 1).toBe(false);
  },
});

export const detachFaults = property({
  name: "detachFaults",
  file: "faults.ts",
  says: "whatever a platform does not take back at detach has its host memory still, and an event",
  runs: 100,
  input: fc.record({ device: anyDevice, steps: anySteps, refusals: anyRefusals(4) }),
  reaches: ["refused", "left"],
  check({ device, steps, refusals }, effects) {
    const guest = attach(device);
    const refused = new Refusals(refusals);
    guest.device.configWrite(0x04, 2, 3);
    guest.platform.failOn(({ kind }) => {
      const now = removals.includes(kind) && refused.next();
      if (now) effects.count("refused");
      return now;
    });
    for (const step of steps) perform(guest, step);
    const before = guest.eventsOf("teardown").length;
    guest.device[Symbol.dispose]();
    expect(guest.backend.unmappedInUse).toEqual([]);
    const { slots, dma } = guest.platform.state();
    const shown = new Set([...slots, ...dma].map(({ hva }) => hva));
    expect(guest.eventsOf("teardown").length - before).toBeGreaterThanOrEqual(shown.size);
    const left = [...guest.platform.leaks()];
    if (left.length > 0) expect(guest.eventsOf("teardown").length).toBeGreaterThan(0);
    effects.count("left", left.length > 0);
    guest.platform[Symbol.dispose]();
  },
});
