import { expect, test } from "bun:test";
import fc from "fast-check";
import { VfioError } from "../../src/ffi/errors.ts";
import type { Attached } from "../support/attached.ts";
import { at } from "../support/synthetic-image.ts";
import { anyImage, anyOptions } from "./any-image.ts";
import { anySteps, checkInvariants, perform, type Step } from "./guest-model.ts";
import { runs } from "./runs.ts";
import { tryAttach } from "../support/try-attach.ts";

/** Attach fails with a VfioError; with a RangeError only where an option is out of range, which the message names. */
function documented(error: unknown): void {
  if (error instanceof RangeError) expect(error.message).toMatch(/"gpuDirectClique"|"msixRelocation"/);
  else if (!(error instanceof VfioError)) throw error;
}

/** A driver's beginning, or part of it: decoding on, a vector unmasked, MSI-X or MSI on. */
const beginning = fc.subarray<Step>([
  { do: "config", offset: 4, width: 2, value: 7 },
  { do: "vector", vector: 0, data: 0x4021, masked: false },
  { do: "config", offset: at.msix + 2, width: 2, value: 0x8000 },
  { do: "config", offset: at.msi + 2, width: 2, value: 0x21 },
]);
const anyGuest = fc.tuple(beginning, anySteps).map((parts) => parts.flat());

/** The step, its offset moved from where a synthetic device has MSI and MSI-X to where this one has them. */
function aimed(step: Step, guest: Attached): Step {
  if (step.do !== "config") return step;
  const from = step.offset >= at.msix && step.offset < at.pcie ? at.msix : at.msi;
  if (step.offset < at.msi || step.offset >= at.pcie) return step;
  const found = guest.device
    .describe()
    .capabilities.find(
      ({ id, extended, hidden }) => !extended && !hidden && id === (from === at.msi ? 0x05 : 0x11),
    );
  return found ? { ...step, offset: step.offset - from + found.offset } : step;
}

/** A device that cannot be reset says so; every other step is the guest's, and throws nothing. */
function act(step: Step, guest: Attached): void {
  try {
    perform(guest, aimed(step, guest));
  } catch (error) {
    if (step.do !== "reset" || guest.backend.resettable || !(error instanceof VfioError)) throw error;
  }
}

/** No call at the seam leaves the region that it names. */
function checkCalls({ backend }: Attached): void {
  for (const call of backend.calls) {
    if (call.kind === "read" || call.kind === "write")
      expect(call.offset + call.size).toBeLessThanOrEqual(backend.regions[call.region]!.size);
    if (call.kind === "map") {
      const { region, area } = call;
      // Of one smaller than a page, the page.
      expect(area.offset + area.size).toBeLessThanOrEqual(Math.max(4096, backend.regions[region]!.size));
      expect(backend.regions[region]!.mappable).toBe(true);
    }
  }
}

const platforms = fc.record({ resample: fc.boolean(), dma: fc.boolean(), intx: fc.boolean() });

test("any recording: attach fails as documented and leaves nothing, or the guest finds one truth", () => {
  let attached = 0;
  let withMsix = 0;
  let withMsi = 0;
  let mapped = 0;
  let routed = 0;
  fc.assert(
    fc.property(anyImage, anyOptions, platforms, anyGuest, (image, options, platform, steps) => {
      using guest = tryAttach(image, { attach: options, platform }, documented);
      if (!guest) return;
      attached++;
      const { msix, interrupts } = guest.device.describe();
      if (msix) withMsix++;
      if (interrupts.msiVectors > 0) withMsi++;
      for (const step of steps) {
        const before = guest.backend.counts.configReads;
        act(step, guest);
        if (step.do === "look") expect(guest.backend.counts.configReads - before).toBeLessThanOrEqual(1);
      }
      checkInvariants(guest);
      if (guest.platform.state().slots.length > 0) mapped++;
      if (guest.platform.state().routes.length > 0) routed++;
      checkCalls(guest);
    }),
    runs("attachAnything"),
  );
  // What was drawn reaches the model: not all of it was turned away at the door.
  for (const reached of [attached, withMsix, withMsi, mapped, routed]) expect(reached).toBeGreaterThan(0);
}, 600_000);

test("any recording on a machine with next to nothing: BARs stay one truth, and nothing leaks", () => {
  const scarce = fc.record({
    maxSlots: fc.nat(2),
    maxRoutes: fc.nat(3),
    maxVectors: fc.nat(40),
    windows: fc.record({
      io: fc.constantFrom(false as const, { base: 0x1000, size: 0x40 }),
      mmio32: fc.constant({ base: 0xc0000000, size: 0x40000 }),
      mmio64: fc.constant({ base: 2 ** 40, size: 0x80000 }),
    }),
  });
  fc.assert(
    fc.property(anyImage, scarce, anyGuest, (image, platform, steps) => {
      using guest = tryAttach(image, { platform }, documented);
      if (!guest) return;
      for (const step of steps) act(step, guest);
      checkInvariants(guest, "some");
      checkCalls(guest);
    }),
    runs("scarcePlatforms"),
  );
}, 600_000);
