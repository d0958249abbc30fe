import { expect, test } from "bun:test";
import { at } from "../../support/synthetic-image.ts";
import { attach, memory } from "../../support/attached.ts";

test("a power state that the device does not have leaves its BARs decoding, as the register says", () => {
  using guest = attach({ bars: { 0: { size: 0x4000 } }, pm: true });
  guest.device.configWrite(0x04, 2, memory);
  // D1, which the power management capabilities do not offer.
  guest.device.configWrite(at.pm + 4, 2, 1);
  expect(guest.device.configRead(at.pm + 4, 2) & 3).toBe(0);
  expect(guest.device.describe().bars[0]!.base).toBeDefined();
  expect(guest.platform.state().slots.length).toBe(1);
  expect(guest.device.snapshot().decoding.power).toBe(0);
  // From D3hot the way leads to D0 alone.
  guest.device.configWrite(at.pm + 4, 2, 3);
  guest.device.configWrite(at.pm + 4, 2, 1);
  expect(guest.device.configRead(at.pm + 4, 2) & 3).toBe(3);
  expect(guest.device.snapshot().decoding.power).toBe(3);
  expect(guest.platform.state().trapped).toEqual([]);
});

test("what a device decodes after D3hot is what its COMMAND register says, whatever was written while it slept", () => {
  // Without No_Soft_Reset the host restores the registers of before.
  using guest = attach({ bars: { 0: { size: 0x4000 } }, pm: true });
  const { device } = guest;
  device.configWrite(at.pm + 4, 2, 3);
  device.configWrite(0x04, 2, memory);
  device.configWrite(at.pm + 4, 2, 0);
  const decodes = (device.configRead(0x04, 2) & memory) !== 0;
  expect(device.describe().bars[0]!.base !== undefined).toBe(decodes);
  expect(device.describe().command & memory).toBe(decodes ? memory : 0);
  using back = attach({ bars: { 0: { size: 0x4000 } }, pm: true }, { snapshot: device.snapshot() });
  expect(back.device.configRead(0x04, 2)).toBe(device.configRead(0x04, 2));
});

test("BARs whose decoding was turned off while the device slept answer where COMMAND says so after it: the host is told again", () => {
  const pba = { vectors: 2, table: [0, 0], pba: [0, 0x2000] } as const;
  using guest = attach({ bars: { 0: { size: 0x4000 } }, pm: true, msix: pba });
  const { device } = guest;
  device.configWrite(0x04, 2, memory);
  device.configWrite(at.pm + 4, 2, 3);
  device.configWrite(0x04, 2, 0);
  device.configWrite(at.pm + 4, 2, 0);
  expect(device.configRead(0x04, 2) & memory).toBe(memory);
  const data = new Uint8Array(4);
  expect(device.mmioRead(device.describe().bars[0]!.base! + 0x1000, data)).toBe(true);
  expect([...data]).toEqual([0, 0, 0, 0]);
  expect(device.snapshot().decoding.command & memory).toBe(memory);
  expect(guest.events).toEqual([]);
});
