import { expect, test } from "bun:test";
import fc from "fast-check";
import type { PlatformActionKind } from "../../src/device/platforms/memory/memory-platform.ts";
import { attach, type Attached, type Call } from "../support/attached.ts";
import { anyDevice, anySteps, checkInvariants, perform } from "./guest-model.ts";
import { resetAfterFaults, type Outcomes } from "./after-faults.ts";
import { runs } from "./runs.ts";

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

test("whatever the platform and the device refuse, no guest access throws, nothing leaks, and a reset mends it", () => {
  const outcomes: Outcomes = { mended: 0, gone: 0 };
  fc.assert(
    fc.property(anyDevice, anySteps, anySteps, fc.infiniteStream(fc.nat(5)), (device, steps, after, dice) => {
      using guest = attach(device);
      const fails = (): boolean => dice.next().value === 0;
      const mend = guest.platform.failOn(({ kind }) => refusable.includes(kind) && fails());
      guest.backend.fails = ({ kind }: Call) => kind !== "close" && fails();
      for (const step of steps) if (step.do !== "reset") perform(guest, step);
      mend();
      guest.backend.fails = () => false;
      if (!resetAfterFaults(guest, outcomes)) return;
      checkInvariants(guest);
      guest.device.configWrite(0x04, 2, 3);
      checkInvariants(guest);
      checkReservations(guest);
      expect(guest.backend.unmappedInUse).toEqual([]);
      for (const step of after) perform(guest, step);
      checkInvariants(guest);
      expect(guest.device.describe().interrupts.mode === "none" && device.pin === 1).toBe(false);
    }),
    runs("faults"),
  );
  for (const count of Object.values(outcomes)) expect(count).toBeGreaterThan(0);
}, 600_000);

test("whatever a platform does not take back at detach has its host memory still, and an event", () => {
  fc.assert(
    fc.property(anyDevice, anySteps, fc.infiniteStream(fc.nat(2)), (device, steps, dice) => {
      const guest = attach(device);
      guest.device.configWrite(0x04, 2, 3);
      guest.platform.failOn(({ kind }) => removals.includes(kind) && dice.next().value === 0);
      for (const step of steps) perform(guest, step);
      const before = guest.eventsOf("teardown").length;
      guest.device[Symbol.dispose]();
      expect(guest.backend.unmappedInUse).toEqual([]);
      const { slots, dma } = guest.platform.state();
      const shown = new Set([...slots, ...dma].map(({ hva }) => hva));
      expect(guest.eventsOf("teardown").length - before).toBeGreaterThanOrEqual(shown.size);
      const left = [...guest.platform.leaks()];
      if (left.length > 0) expect(guest.eventsOf("teardown").length).toBeGreaterThan(0);
      guest.platform[Symbol.dispose]();
    }),
    runs("detachFaults"),
  );
}, 600_000);
