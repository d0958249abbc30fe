// Whatever a guest does.
import { expect } from "bun:test";
import fc from "fast-check";
import { layoutOf } from "../../src/regs/index.ts";
import { attach, type Attached } from "../support/attached.ts";
import { anyDevice, anySteps, checkInvariants, perform, stepKinds } from "./guest-model.ts";
import { property } from "./property.ts";

export const guestSequences = property({
  name: "guestSequences",
  file: "guest.ts",
  says: "whatever a guest does: one truth about BARs and vectors, at most one device read an access, no leak",
  runs: 1000,
  input: fc.record({ device: anyDevice, steps: anySteps, resample: fc.boolean() }),
  reaches: stepKinds,
  check({ device, steps, resample }, effects) {
    using guest = attach(device, { platform: { resample } });
    for (const step of steps) {
      const before = guest.backend.counts.configReads;
      perform(guest, step, effects);
      if (step.do === "look") expect(guest.backend.counts.configReads - before).toBeLessThanOrEqual(1);
    }
    checkInvariants(guest);
    for (const call of guest.backend.calls)
      if (call.kind === "read" || call.kind === "write")
        expect(call.offset + call.size).toBeLessThanOrEqual(guest.backend.regions[call.region]!.size);
  },
});

/** Config space as the guest reads it, but for status bits: the device alone sets them, so no restore sets them again. */
function configOf({ device }: Attached): number[] {
  const bytes = new Uint8Array(device.configSize);
  const view = new DataView(bytes.buffer);
  for (let at = 0; at < bytes.length; at += 4) view.setUint32(at, device.configRead(at, 4), true);
  const { header, capabilities } = layoutOf(bytes);
  for (const { map, offset } of [{ map: header!, offset: 0 }, ...capabilities])
    map.masks.w1c.forEach((bits, i) => (bytes[offset + i]! &= ~bits));
  return Array.from({ length: bytes.length / 4 }, (_, i) => view.getUint32(4 * i, true));
}

const seen = (guest: Attached): unknown => ({
  config: configOf(guest),
  bars: guest.device.describe().bars.map(({ address, base }) => [address, base]),
  state: guest.platform.state().routes.map(({ vector, message }) => [vector, message]),
  snapshot: guest.device.snapshot(),
});

export const snapshots = property({
  name: "snapshots",
  file: "guest.ts",
  says: "whatever a guest did, a snapshot brings it back",
  runs: 250,
  input: fc.record({ device: anyDevice, steps: anySteps }),
  reaches: [...stepKinds, "restore"],
  check({ device, steps }, effects) {
    using guest = attach(device);
    for (const step of steps) perform(guest, step, effects);
    const snapshot: unknown = JSON.parse(JSON.stringify(guest.device.snapshot()));
    using back = attach(device, { snapshot });
    checkInvariants(back);
    expect(seen(back)).toEqual(seen(guest));
    effects.count("restore");
  },
});
