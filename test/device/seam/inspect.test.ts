// A device in a message, in a debugger or in a failed test is a line, not a page of private parts.
import { expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { inspect } from "node:util";
import { RecordedDevice } from "../../../src/device/backends/recorded/recorded-device.ts";
import { VfioPciDevice } from "../../../src/device/passthrough/vfio-pci-device.ts";
import { MemoryPlatform } from "../../../src/device/platforms/memory/memory-platform.ts";
import { readImage } from "../../../src/image/index.ts";
import { attach, memory, writeVector } from "../../support/attached.ts";
import { at } from "../../support/synthetic-image.ts";

test("a backend: its kind, name, regions and interrupts", () => {
  using device = new RecordedDevice(readImage(readFileSync("images/nvme.json", "utf8")));
  expect(Bun.inspect(device)).toBe(
    "RecordedDevice 0000:02:00.0 (BAR0 16 KiB, CONFIG 4 KiB; INTX 1, MSIX 65, ERR 1, REQ 1)",
  );
  expect(inspect(device)).toBe(Bun.inspect(device));
});

test("an attached device: where its BARs are, and how it interrupts", () => {
  using guest = attach({
    bars: { 0: { size: 0x4000 } },
    msix: { vectors: 2, table: [0, 0x1000], pba: [0, 0x2000] },
  });
  const { device } = guest;
  expect(Bun.inspect(device)).toBe("VfioPciDevice 0000:01:00.0 (BAR0 off; INTx)");
  device.configWrite(0x04, 2, memory);
  const { base } = device.describe().bars[0]!;
  device.configWrite(at.msix + 2, 2, 0x8000);
  writeVector(device, base! + 0x1000, 1, 0x42);
  expect(Bun.inspect(device)).toBe(
    `VfioPciDevice 0000:01:00.0 (BAR0 at 0x${base!.toString(16)}; MSI-X 1 of 2)`,
  );
  device[Symbol.dispose]();
  expect(Bun.inspect(device)).toBe("VfioPciDevice 0000:01:00.0 (closed)");
});

test("a platform: what was done and what is held", () => {
  using platform = new MemoryPlatform();
  expect(Bun.inspect(platform)).toBe("MemoryPlatform (0 actions, 0 resources held)");
  {
    using _device = VfioPciDevice.attach(
      new RecordedDevice(readImage(readFileSync("images/nvme.json", "utf8"))),
      platform,
    );
    expect(Bun.inspect(platform)).toMatch(/^MemoryPlatform \(\d+ actions, [1-9]\d* resources held\)$/);
  }
  expect(Bun.inspect(platform)).toMatch(/^MemoryPlatform \(\d+ actions, 0 resources held\)$/);
});
