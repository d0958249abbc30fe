// Devices of one kind are planned once: what each of them then is, is its own.
import { describe, expect, test } from "bun:test";
import { kindOf } from "../../../src/device/pci/config-kind.ts";
import { attach } from "../../support/attached.ts";
import { at, syntheticImage, type SyntheticDevice } from "../../support/synthetic-image.ts";

const device: SyntheticDevice = {
  pm: true,
  pcie: true,
  extended: [0x03, 0x0e],
  bars: { 0: { size: 0x4000 } },
  msi: { log2: 2, wide: true, maskable: true },
  msix: { vectors: 4, table: [0, 0], pba: [0, 0x800] },
};
const withSerial = (number: number): SyntheticDevice => ({
  ...device,
  patch: (config, view) => {
    config[0x3c] = number;
    view.setUint32(0x104, number, true);
  },
});

describe("devices of a kind", () => {
  test("have their own serial number and interrupt line", () => {
    using one = attach(withSerial(11));
    using other = attach(withSerial(12));
    for (const [guest, number] of [
      [one, 11],
      [other, 12],
    ] as const)
      expect([guest.device.configRead(0x104, 4), guest.device.configRead(0x3c, 1)]).toEqual([number, number]);
  });

  test("do not see what another's guest writes", () => {
    using one = attach(device);
    using other = attach(device);
    const seen = (): number[] =>
      Array.from({ length: 1024 }, (_, dword) => other.device.configRead(4 * dword, 4));
    const before = seen();
    for (let dword = 0; dword < 1024; dword++) one.device.configWrite(4 * dword, 4, 0xffff_ffff);
    expect(seen()).toEqual(before);
    using third = attach(device);
    // Where its BAR is, is what another platform gave it.
    expect(third.device.describe().capabilities).toEqual(other.device.describe().capabilities);
    expect(third.device.configRead(at.msi, 4)).toBe(before[at.msi / 4]!);
  });

  test("do not see what a reader of another's description does to that", () => {
    using one = attach(device);
    const { patches, msix, configMirrors } = one.device.describe();
    using other = attach(device);
    const before = JSON.stringify(other.device.describe());
    for (const part of [...patches, ...configMirrors, msix!.guest.table, msix!.physical.pba])
      Object.assign(part, { offset: 1, size: 1 });
    expect(JSON.stringify(other.device.describe())).toBe(before);
  });

  test("are told of each, what there is to tell of their kind", () => {
    const loop: SyntheticDevice = { pm: true, patch: (config) => (config[at.pm + 1] = at.pm) };
    for (let i = 0; i < 3; i++) {
      using guest = attach(loop);
      expect(guest.events.filter(({ kind }) => kind === "malformed")).toHaveLength(1);
    }
  });

  test("are hidden what one was shown, where its options said otherwise", () => {
    using shown = attach(device, { attach: { expose: [0x0e], multiFunction: true } });
    using usual = attach(device);
    const hidden = (guest: typeof usual): unknown[] =>
      guest.device.describe().capabilities.filter(({ hidden }) => hidden);
    expect([hidden(shown).length, hidden(usual).length]).toEqual([0, 1]);
    expect([shown.device.configRead(0x0e, 1), usual.device.configRead(0x0e, 1)]).toEqual([0x80, 0]);
  });
});

test("kinds are kept while they are few, whoever makes them", () => {
  const { config } = syntheticImage(device);
  const kind = kindOf(config);
  expect(kindOf(syntheticImage(withSerial(13)).config)).toBe(kind);
  for (let i = 0; i < 100; i++) kindOf(syntheticImage({ ...device, vendorId: i }).config);
  const again = kindOf(config);
  expect(again).not.toBe(kind);
  expect(again.layout).toEqual(kind.layout);
});
