import { describe, expect, test } from "bun:test";
import { barsOf } from "../../../src/device/pci/bars.ts";
import { startOf } from "../../../src/device/pci/config-offset.ts";
import { FunctionHardware } from "../../../src/device/function/hardware.ts";
import type { DeviceImage } from "../../../src/image/index.ts";
import { regionsByIndex } from "../../../src/image/image.ts";
import { at, syntheticImage, type SyntheticDevice } from "../../support/synthetic-image.ts";

function make(device: SyntheticDevice, more: Partial<DeviceImage> = {}): FunctionHardware {
  const image = { ...syntheticImage(device), ...more };
  return new FunctionHardware(image, barsOf(image.config, regionsByIndex(image)).bars);
}
const bytes = (hardware: FunctionHardware, offset: number, size: number): string =>
  hardware.config.subarray(offset, offset + size).toHex();
const put = (hardware: FunctionHardware, offset: number, hex: string): void =>
  hardware.write(startOf({ offset }), Uint8Array.fromHex(hex));

describe("right after vfio-pci has opened it", () => {
  test("decodes what its BARs need, and what the firmware set besides; no bus mastering, no interrupt disable", () => {
    const command = (bars: NonNullable<SyntheticDevice["bars"]>, recorded: number): string =>
      bytes(make({ bars, patch: (_, view) => view.setUint16(4, recorded, true) }), 4, 2);
    const memory = { size: 0x1000 };
    const io = { size: 0x20, kind: "io" } as const;
    expect([command({}, 0x0000), command({}, 0x0507)]).toEqual(["0000", "0301"]);
    expect([{ 0: memory }, { 0: io }, { 0: memory, 1: io }].map((bars) => command(bars, 0))).toEqual([
      "0200",
      "0100",
      "0300",
    ]);
  });

  test("is awake, and coming up wrote 0 to all of its power control register", () => {
    const hardware = make({ pm: true, patch: (_, view) => view.setUint16(at.pm + 4, 0x1e0b, true) });
    expect(bytes(hardware, at.pm + 4, 2)).toBe("0800");
    const awake = make({ pm: true, patch: (_, view) => view.setUint16(at.pm + 4, 0x1e08, true) });
    expect(bytes(awake, at.pm + 4, 2)).toBe("081e");
  });

  test("has message interrupts off, and MSI-X not masked as a whole", () => {
    const hardware = make({
      bars: { 0: { size: 0x1000 } },
      msi: { log2: 0 },
      msix: { vectors: 2, table: [0, 0], pba: [0, 0x800] },
      patch: (config) => {
        config[at.msi + 2]! |= 1;
        config[at.msix + 3]! |= 0xc0;
      },
    });
    expect([bytes(hardware, at.msi + 2, 1), bytes(hardware, at.msix + 2, 2)]).toEqual(["00", "0100"]);
  });
});

describe("writes", () => {
  test("store what software can write, clear by ones, and leave the rest as recorded", () => {
    const hardware = make({ patch: (config) => config.set([0x00, 0x00, 0x00, 0xf9], 4) });
    put(hardware, 0x06, "0040");
    expect(bytes(hardware, 0x06, 2)).toBe("00b9");
    put(hardware, 0x00, "ffffffff");
    put(hardware, 0x08, "ffffffff");
    expect([bytes(hardware, 0, 4), bytes(hardware, 8, 4)]).toEqual(["34127856", "010000ff"]);
    put(hardware, 0x0c, "10");
    expect(bytes(hardware, 0x0c, 1)).toBe("10");
  });

  test("of bits that this device was seen to keep do nothing", () => {
    const hardware = make({}, { readOnlyBits: [{ offset: 0x0c, mask: 0x0f }] });
    put(hardware, 0x0c, "ff");
    expect(bytes(hardware, 0x0c, 1)).toBe("f0");
  });

  test("of bytes that no map describes store what this device was seen to store", () => {
    const hardware = make(
      { patch: (config) => config.fill(0x5a, 0xe0, 0xe4) },
      { writable: [{ offset: 0xe1, size: 2 }], readOnlyBits: [{ offset: 0xe0, mask: 0x0f0000 }] },
    );
    put(hardware, 0xe0, "ffffffff");
    expect(bytes(hardware, 0xe0, 4)).toBe("5afffa5a");
  });

  test("of MSI mask bits store those of the vectors that there are", () => {
    for (const [msi, at32] of [
      [{ log2: 2, maskable: true }, 12],
      [{ log2: 4, maskable: true, wide: true }, 16],
      [{ log2: 5, maskable: true, wide: true }, 16],
    ] as const) {
      const hardware = make({ msi });
      put(hardware, at.msi + at32, "ffffffff");
      const mask = (2 ** (2 ** msi.log2) - 1) >>> 0;
      expect(new DataView(hardware.config.buffer).getUint32(at.msi + at32, true)).toBe(mask);
    }
  });

  test("of reset bits store nothing", () => {
    const hardware = make({ pcie: true, af: true });
    put(hardware, at.pcie + 8, "0f80");
    put(hardware, at.af + 4, "ff");
    expect([bytes(hardware, at.pcie + 8, 2), bytes(hardware, at.af + 4, 1)]).toEqual(["0f00", "00"]);
  });
});

test("a reset leaves what this device was seen to keep", () => {
  const hardware = make(
    { pm: true },
    { writable: [{ offset: 0xe0, size: 2 }], keptByReset: [{ offset: at.pm + 4, mask: 0x0600 }] },
  );
  put(hardware, at.pm + 4, "001e");
  put(hardware, 0xe0, "1234");
  hardware.reset();
  expect([bytes(hardware, at.pm + 4, 2), bytes(hardware, 0xe0, 2)]).toEqual(["0006", "1234"]);
});

test("a reset gives back what the host saved, begins afresh with the rest, and ends errors that do not outlive it", () => {
  const hardware = make({
    pm: true,
    pcie: true,
    extended: [0x01],
    patch: (config, view) => {
      config[0x07] = 0x40;
      config[at.pcie + 10] = 0x02;
      // Uncorrectable error status and mask.
      view.setUint32(0x104, 0x00100000, true);
      view.setUint32(0x108, 0, true);
    },
  });
  put(hardware, 0x04, "0600");
  put(hardware, 0x0c, "10");
  put(hardware, at.pcie + 8, "0f");
  put(hardware, at.pm + 4, "001e");
  put(hardware, 0x108, "00001000");
  hardware.reset();
  expect([bytes(hardware, 0x04, 4), bytes(hardware, 0x0c, 1)]).toEqual(["06001000", "10"]);
  // Device status is no sticky register; error status is.
  expect(bytes(hardware, at.pcie + 8, 3)).toBe("0f0000");
  expect(bytes(hardware, at.pm + 4, 2)).toBe("0000");
  expect([bytes(hardware, 0x104, 4), bytes(hardware, 0x108, 4)]).toEqual(["00001000", "00001000"]);
});
