import { expect } from "bun:test";
import fc from "fast-check";
import { VfioError } from "../../src/ffi/errors.ts";
import { attach } from "../support/attached.ts";
import { tryAttach } from "../support/try-attach.ts";
import { editedJson, jsonEdits } from "./edits.ts";
import { anyDevice, anySteps, checkInvariants, perform } from "./guest-model.ts";
import { property } from "./property.ts";

/** Whatever is wrong with a snapshot, the error says that it is the snapshot. */
function documented(error: unknown): void {
  if (!(error instanceof VfioError)) throw error;
  expect(error.code).toBe("EBADSNAPSHOT");
}

export const damagedSnapshots = property({
  name: "damagedSnapshots",
  file: "damaged-snapshots.ts",
  says: "a damaged snapshot is refused in words and leaves nothing, or restores a device with one truth",
  runs: 250,
  input: fc.record({ device: anyDevice, steps: anySteps, edits: jsonEdits, more: anySteps }),
  reaches: ["restored", "refused"],
  check({ device, steps, edits, more }, effects) {
    let snapshot: unknown;
    {
      using guest = attach(device);
      for (const step of steps) perform(guest, step);
      snapshot = editedJson(JSON.parse(JSON.stringify(guest.device.snapshot())), edits);
    }
    // Without a snapshot at all this would be a plain attach.
    using back = tryAttach(device, { snapshot: snapshot ?? null }, documented);
    effects.count(back ? "restored" : "refused");
    if (!back) return;
    checkInvariants(back);
    for (const step of more) perform(back, step, effects);
    checkInvariants(back);
  },
});
