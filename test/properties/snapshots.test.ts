import { expect, test } from "bun:test";
import fc from "fast-check";
import { VfioError } from "../../src/ffi/errors.ts";
import { attach } from "../support/attached.ts";
import { editedJson, jsonEdits } from "./edits.ts";
import { anyDevice, anySteps, checkInvariants, perform } from "./guest-model.ts";
import { runs } from "./runs.ts";
import { tryAttach } from "../support/try-attach.ts";

/** Whatever is wrong with a snapshot, the error says that it is the snapshot. */
function documented(error: unknown): void {
  if (!(error instanceof VfioError)) throw error;
  expect(error.code).toBe("EBADSNAPSHOT");
}

test("a damaged snapshot is refused in words and leaves nothing, or restores a device with one truth", () => {
  let restored = 0;
  let refused = 0;
  fc.assert(
    fc.property(anyDevice, anySteps, jsonEdits, anySteps, (device, steps, edits, more) => {
      let snapshot: unknown;
      {
        using guest = attach(device);
        for (const step of steps) perform(guest, step);
        snapshot = editedJson(JSON.parse(JSON.stringify(guest.device.snapshot())), edits);
      }
      // Without a snapshot at all this would be a plain attach.
      using back = tryAttach(device, { snapshot: snapshot ?? null }, documented);
      if (!back) return void refused++;
      restored++;
      checkInvariants(back);
      for (const step of more) perform(back, step);
      checkInvariants(back);
    }),
    runs("damagedSnapshots"),
  );
  for (const reached of [restored, refused]) expect(reached).toBeGreaterThan(0);
}, 600_000);
