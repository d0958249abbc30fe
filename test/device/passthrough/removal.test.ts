// A device that goes while it is attached: one event, all ones from then on, and a teardown that leaves nothing.
import { describe, expect, test } from "bun:test";
import { VfioError } from "../../../src/ffi/errors.ts";
import { attach, master, memory, mmioRead, type Attached } from "../../support/attached.ts";
import { at, type SyntheticDevice } from "../../support/synthetic-image.ts";

const device: SyntheticDevice = { bars: { 0: { size: 0x4000 } }, pm: true, pcie: true, msi: { log2: 0 } };
const started = (): Attached => {
  const guest = attach(device);
  guest.device.configWrite(0x04, 2, memory | master);
  guest.device.configWrite(at.msi + 2, 2, 1);
  return guest;
};
const fails = (guest: Attached, code: string): void => {
  const gone = (): never => {
    throw new VfioError("no such device", { code });
  };
  guest.backend.read = gone;
  guest.backend.write = gone;
};

describe.each(["ENODEV", "EIO"])("%s of a config access", (code) => {
  test.each(["a read", "a write"])("and no answer to another: gone with %s", (access) => {
    using guest = started();
    fails(guest, code);
    if (access === "a read") expect(guest.device.configRead(0x06, 2)).toBe(0xffff);
    else guest.device.configWrite(0x04, 2, memory);
    expect(guest.events.map(({ kind }) => kind)).toEqual(["device-gone"]);
    for (const [offset, width] of [
      [0x00, 2],
      [0x00, 4],
      [0x10, 4],
      [at.msi, 2],
      [0x06, 2],
    ] as const)
      expect(guest.device.configRead(offset, width)).toBe(2 ** (8 * width) - 1);
    expect(guest.platform.state()).toMatchObject({ slots: [], trapped: [], dma: [] });
    guest.device.configWrite(0x04, 2, memory);
    guest.device.configWrite(at.pm + 4, 2, 3);
    expect(mmioRead(guest.device, 0xd0000000, 4)).toBeUndefined();
    for (const call of [() => guest.device.reset(), () => guest.device.snapshot()])
      expect(call).toThrow(expect.objectContaining({ code: "ENODEV" }));
    expect(guest.events).toHaveLength(1);
  });

  test("from a device that answers is one failed access", () => {
    using guest = started();
    guest.backend.fails = (call) => call.kind === "read" && call.offset === 0x06;
    expect([guest.device.configRead(0x06, 2), guest.device.configRead(0x00, 2)]).toEqual([0xffff, 0x1234]);
    expect(guest.events.map(({ kind }) => kind)).toEqual(["access-failed"]);
  });
});

describe("ENODEV of an access to a BAR", () => {
  const bar = 0xd0000000;
  const trapped: SyntheticDevice = { ...device, bars: { 0: { size: 0x4000, mappable: false } } };
  const decoding = (): Attached => {
    const guest = attach(trapped);
    guest.device.configWrite(0x10, 4, bar);
    guest.device.configWrite(0x04, 2, memory);
    return guest;
  };

  test.each(["a read", "a write"])("and no answer to another: gone with %s, and told once", (access) => {
    using guest = decoding();
    fails(guest, "ENODEV");
    if (access === "a read") expect(mmioRead(guest.device, bar, 4)).toBe(0xffffffff);
    else guest.device.mmioWrite(bar, new Uint8Array(4));
    for (let i = 0; i < 3; i++) expect(mmioRead(guest.device, bar, 4) ?? 0xffffffff).toBe(0xffffffff);
    expect(guest.device.configRead(0x00, 4)).toBe(0xffffffff);
    expect(guest.events.map(({ kind }) => kind)).toEqual(["device-gone"]);
    expect(guest.platform.state()).toMatchObject({ slots: [], trapped: [], dma: [] });
  });

  test("from a device that answers otherwise is one failed access", () => {
    using guest = decoding();
    const read = guest.backend.read.bind(guest.backend);
    guest.backend.read = (region, offset, data) => {
      if (region === 0) throw new VfioError("no such device", { code: "ENODEV" });
      read(region, offset, data);
    };
    expect(mmioRead(guest.device, bar, 4)).toBe(0xffffffff);
    expect(guest.device.configRead(0x00, 2)).toBe(0x1234);
    expect(guest.events.map(({ kind }) => kind)).toEqual(["access-failed"]);
  });
});

describe("checkPresence, for the host's wish to have a device back", () => {
  test("is true of one that answers, and changes nothing", () => {
    using guest = started();
    expect(guest.device.checkPresence()).toBe(true);
    expect(guest.platform.state().slots).toHaveLength(1);
    expect(guest.events).toEqual([]);
  });

  test("finds one that answers all ones gone, once", () => {
    using guest = started();
    guest.backend.fallOff();
    expect([guest.device.checkPresence(), guest.device.checkPresence()]).toEqual([false, false]);
    expect(guest.events.map(({ kind }) => kind)).toEqual(["device-gone"]);
    expect(guest.device.configRead(0x00, 4)).toBe(0xffffffff);
    expect(guest.platform.state()).toMatchObject({ slots: [], trapped: [] });
  });
});
