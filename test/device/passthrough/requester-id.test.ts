import { describe, expect, test } from "bun:test";
import { tryAttach } from "../../support/try-attach.ts";
import { attach, bytesOf, memory, type AttachTest } from "../../support/attached.ts";
import { at, type SyntheticDevice } from "../../support/synthetic-image.ts";

const device: SyntheticDevice = {
  bars: { 0: { size: 0x4000 } },
  msix: { vectors: 2, table: [0, 0x2000], pba: [0, 0x3000] },
};

describe("the requester ID", () => {
  const requesterIdOf = (how: AttachTest): number => {
    using guest = attach(device, how);
    guest.device.configWrite(0x10, 4, 0xd0000000);
    guest.device.configWrite(0x04, 2, memory);
    guest.device.mmioWrite(0xd0002000, bytesOf(0xfee00000, 4));
    guest.device.mmioWrite(0xd000200c, bytesOf(0, 4));
    guest.device.configWrite(at.msix + 2, 2, 0x8000);
    return guest.platform.state().routes[0]!.message.requesterId;
  };

  test("comes back with a restore; one that is given counts more; a snapshot without one restores", () => {
    using guest = attach(device, { attach: { requesterId: 0x1a } });
    const snapshot = guest.device.snapshot();
    expect(snapshot.options.requesterId).toBe(0x1a);
    expect(requesterIdOf({ snapshot })).toBe(0x1a);
    expect(requesterIdOf({ snapshot, attach: { requesterId: 0x20 } })).toBe(0x20);
    const { requesterId: _, ...options } = snapshot.options;
    expect(requesterIdOf({ snapshot: { ...snapshot, options } })).toBe(0);
    expect(requesterIdOf({ snapshot: { ...snapshot, options }, attach: { requesterId: 3 } })).toBe(3);
  });

  test("that is none is refused as an option, at attach and at restore", () => {
    using guest = attach(device);
    for (const how of [{}, { snapshot: guest.device.snapshot() }]) {
      const refused = (requesterId: unknown, type: typeof RangeError): void => {
        const options = { ...how, attach: { requesterId: requesterId as number } };
        expect(tryAttach(device, options, (error) => expect(error).toBeInstanceOf(type))).toBeUndefined();
      };
      for (const requesterId of [-1, 0x10000, 1.5, NaN]) refused(requesterId, RangeError);
      refused("1", TypeError);
    }
  });
});
