// Recordings of devices that no host would offer, with options of all kinds.
import { expect } from "bun:test";
import fc from "fast-check";
import { VfioError } from "../../src/ffi/errors.ts";
import type { Attached } from "../support/attached.ts";
import { at } from "../support/synthetic-image.ts";
import { anyImage, anyOptions } from "./any-image.ts";
import { anySteps, checkInvariants, perform, stepKinds, type Step } from "./guest-model.ts";
import { property, type Effects } from "./property.ts";
import { tryAttach } from "../support/try-attach.ts";

/** Attach fails with a VfioError; with a RangeError only where an option is out of range, which the message names. */
function documented(error: unknown): void {
  if (error instanceof RangeError) expect(error.message).toMatch(/"gpuDirectClique"|"msixRelocation"/);
  else if (!(error instanceof VfioError)) throw error;
}

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
function act(step: Step, guest: Attached, effects: Effects): void {
  try {
    perform(guest, aimed(step, guest), effects);
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

export const attachAnything = property({
  name: "attachAnything",
  file: "attach-anything.ts",
  says: "any recording: attach fails as documented and leaves nothing, or the guest finds one truth",
  runs: 500,
  input: fc.record({ image: anyImage, options: anyOptions, platform: platforms, steps: anySteps }),
  reaches: ["attached", "with MSI", "with MSI-X", "mapped", "routed", ...stepKinds],
  check({ image, options, platform, steps }, effects) {
    using guest = tryAttach(image, { attach: options, platform }, documented);
    effects.count("attached", guest !== undefined);
    if (!guest) return;
    const { msix, interrupts } = guest.device.describe();
    effects.count("with MSI-X", msix !== undefined);
    effects.count("with MSI", interrupts.msiVectors > 0);
    for (const step of steps) {
      const before = guest.backend.counts.configReads;
      act(step, guest, effects);
      if (step.do === "look") expect(guest.backend.counts.configReads - before).toBeLessThanOrEqual(1);
    }
    checkInvariants(guest);
    effects.count("mapped", guest.platform.state().slots.length > 0);
    effects.count("routed", guest.platform.state().routes.length > 0);
    checkCalls(guest);
  },
});

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

export const scarcePlatforms = property({
  name: "scarcePlatforms",
  file: "attach-anything.ts",
  says: "any recording on a machine with next to nothing: BARs stay one truth, and nothing leaks",
  runs: 150,
  input: fc.record({ image: anyImage, platform: scarce, steps: anySteps }),
  reaches: ["attached"],
  check({ image, platform, steps }, effects) {
    using guest = tryAttach(image, { platform }, documented);
    effects.count("attached", guest !== undefined);
    if (!guest) return;
    for (const step of steps) act(step, guest, effects);
    checkInvariants(guest, "some");
    checkCalls(guest);
  },
});
