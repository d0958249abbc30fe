import { expect, test } from "bun:test";
import fc from "fast-check";
import type { PlatformActionKind } from "../../src/device/memory-platform.ts";
import { attach, type Call } from "../support/attached.ts";
import { anyDevice, anySteps, checkInvariants, perform } from "./guest-model.ts";
import { runs } from "./runs.ts";

/** What a platform may refuse at any time. It takes back what it gave: a removal that fails would be a leak of its own. */
const refusable: readonly PlatformActionKind[] = [
  "slot-add",
  "dma-map",
  "bus-insert",
  "address-reserve",
  "set-routing",
  "irqfd-on",
  "eventfd-create",
  "intx-connect",
];

test("whatever the platform and the device refuse, no guest access throws, nothing leaks, and a reset mends it", () => {
  fc.assert(
    fc.property(anyDevice, anySteps, anySteps, fc.infiniteStream(fc.nat(5)), (device, steps, after, dice) => {
      using it = attach(device);
      const fails = (): boolean => dice.next().value === 0;
      const mend = it.platform.failOn(({ kind }) => refusable.includes(kind) && fails());
      it.backend.fails = ({ kind }: Call) => kind !== "close" && fails();
      for (const step of steps) if (step.do !== "reset") perform(it, step);
      mend();
      it.backend.fails = () => false;
      it.device.reset();
      checkInvariants(it);
      for (const step of after) perform(it, step);
      checkInvariants(it);
      expect(it.device.describe().interrupts.mode === "none" && device.pin === 1).toBe(false);
    }),
    runs("faults"),
  );
}, 600_000);
