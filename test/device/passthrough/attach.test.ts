import { expect, test } from "bun:test";
import { attach } from "../../support/attached.ts";
import { syntheticImage } from "../../support/synthetic-image.ts";

test("defect 65: a region that the device does not have shifts no other", () => {
  const image = syntheticImage({ bars: { 0: { size: 0x1000 }, 2: { size: 0x2000 } }, romSize: 0x800 });
  const some = { ...image, regions: image.regions.filter(({ index }) => index !== 0) };
  using guest = attach({ ...some, irqs: image.irqs.filter(({ index }) => index !== 1) });
  expect(guest.device.describe().bars.map(({ name, size }) => [name, size])).toEqual([
    ["BAR2", 0x2000],
    ["ROM", 0x800],
  ]);
  expect(guest.device.configRead(0x00, 4)).toBe(0x56781234);
  expect(guest.device.describe().interrupts).toMatchObject({ mode: "INTx", msixVectors: 0 });
});
