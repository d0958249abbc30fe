// Regions and interrupts of nine devices, as vfio-pci of Linux 6.12 told them on the host that they were recorded on.
import { describe, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { IrqIndex } from "../../../../src/regs/vfio/irqs.ts";
import { RecordedDevice } from "../../../../src/device/backends/recorded/recorded-device.ts";
import { irqName, readImage, regionName } from "../../../../src/image/index.ts";

const survey = readFileSync(new URL("../../../data/recordings/vfio-survey.txt", import.meta.url), "utf8");
const open = (name: string): RecordedDevice =>
  new RecordedDevice(
    readImage(readFileSync(new URL(`../../../../images/${name}.json`, import.meta.url), "utf8")),
  );
/** Flags as linux/vfio.h numbers them: the first is bit 0. */
const flags = (...set: boolean[]): string =>
  `0x${set.reduce((sum, on, bit) => sum + (on ? 1 << bit : 0), 0).toString(16)}`;
const names = ["edu", "nvme", "e1000e", "igb", "pci-testdev", "virtio-net", "virtio-blk", "xhci", "ahci"];

describe("what the host told of each device", () => {
  for (const name of names)
    test(name, () => {
      using device = open(name);
      const part = survey.split(/^== group /m).find((text) => text.startsWith(device.name)) ?? "";
      const regions = device.regions
        .filter(({ size }) => size > 0)
        .map(({ index, size, readable, writable, mappable, msixMappable }) =>
          [
            `region ${regionName(index)}: flags ${flags(readable, writable, mappable, msixMappable)}`,
            `size 0x${size.toString(16)} offset 0x${(index * 2 ** 40).toString(16)}`,
            msixMappable ? "msix-mappable" : "",
          ].join(" "),
        );
      expect([...(part.match(/region [A-Z].*/g) ?? [])]).toEqual(regions);
      // Where a device has no index for errors, the host refuses to tell of it.
      const irqs = device.irqs
        .filter(({ index, count }) => index !== IrqIndex.error || count > 0)
        .map(
          ({ index, count, eventfd, maskable, automasked, noResize }) =>
            `irq ${irqName(index)}: flags ${flags(eventfd, maskable, automasked, noResize)} count ${count}`,
        );
      expect([...(part.match(/irq [A-Z].*/g) ?? [])]).toEqual(irqs);
    });

  test("the token of virtual functions is known for igb alone, low power for each", () => {
    for (const name of names) {
      using device = open(name);
      const known = Array.from({ length: 12 }, (_, feature) => feature).filter((feature) =>
        device.probeFeature(feature),
      );
      expect([name, known]).toEqual([name, name === "igb" ? [0, 3, 4, 5] : [3, 4, 5]]);
    }
  });
});
