// A device that says what is not so, now and then or all the time, from the first read on.
import { expect } from "bun:test";
import fc from "fast-check";
import { VfioError } from "../../src/ffi/errors.ts";
import { tryAttach } from "../support/try-attach.ts";
import { anyDevice, anySteps, checkInvariants, perform } from "./guest-model.ts";
import { property } from "./property.ts";
import { anyRefusals, Refusals } from "./refusals.ts";

/** What a lie is: all of an answer is this byte, or bits of it are turned over. */
const anyLie = fc.oneof(
  fc.constantFrom({ fill: 0xff }, { fill: 0 }),
  fc.record({ fill: fc.nat(0xff) }),
  fc.record({ flip: fc.nat(0xff), at: fc.nat(7) }),
);
type Lie = typeof anyLie extends fc.Arbitrary<infer T> ? T : never;

function tell(lie: Lie, data: Uint8Array): void {
  if ("fill" in lie) data.fill(lie.fill);
  else if (data.length > 0) data[lie.at % data.length]! ^= lie.flip;
}

/** What cannot be attached has no config space of an endpoint. */
function documented(error: unknown): void {
  if (!(error instanceof VfioError)) throw error;
}

export const lyingDevices = property({
  name: "lyingDevices",
  file: "lying-devices.ts",
  says: "whatever a device answers, no guest access throws, nothing leaks, and a reset of an honest one mends it",
  runs: 300,
  input: fc.record({
    device: anyDevice,
    fromStart: fc.boolean(),
    /** Answers that are true between two lies. */
    truths: anyRefusals(12),
    lies: fc.array(anyLie, { minLength: 1, maxLength: 8 }),
    steps: anySteps,
    after: anySteps,
  }),
  reaches: ["attached", "refused", "lie", "reset fails", "mended"],
  check({ device, fromStart, truths, lies, steps, after }, effects) {
    const lying = new Refusals(truths);
    let told = 0;
    let on = fromStart;
    using guest = tryAttach(
      device,
      {
        prepare(backend) {
          const read = backend.read.bind(backend);
          backend.read = (region, offset, data) => {
            read(region, offset, data);
            if (!on || !lying.next()) return;
            tell(lies[told++ % lies.length]!, data);
            effects.count("lie");
          };
        },
      },
      documented,
    );
    effects.count(guest ? "attached" : "refused");
    if (!guest) return;
    on = true;
    for (const step of steps) {
      const before = guest.backend.counts.configReads;
      try {
        perform(guest, step, effects);
      } catch (error) {
        // The VMM is told that the device does not come back; a guest is not.
        if (step.do !== "reset" || !(error instanceof VfioError)) throw error;
        effects.count("reset fails");
      }
      if (step.do === "look") expect(guest.backend.counts.configReads - before).toBeLessThanOrEqual(1);
    }
    on = false;
    guest.device.reset();
    effects.count("mended");
    checkInvariants(guest);
    for (const step of after) perform(guest, step, effects);
    checkInvariants(guest);
  },
});
