// Config space through RecordedDevice, against facts of drivers/vfio/pci/vfio_pci_config.c of Linux 6.12.
import { describe, expect, test } from "bun:test";
import { RecordedDevice } from "../../../../src/device/backends/recorded/recorded-device.ts";
import { walkCapabilities, walkExtendedCapabilities } from "../../../../src/regs/index.ts";
import { codeOf, ConfigProbe } from "../../../support/config-probe.ts";
import { at, syntheticImage } from "../../../support/synthetic-image.ts";

const byte = new Uint8Array(new ArrayBuffer(1));

describe("the header", () => {
  test("identity, status, capability pointer and interrupt pin are read-only, the interrupt line is the user's", () => {
    using device = new ConfigProbe({ pm: true });
    const before = device.get(0);
    const status = device.get(6, 2);
    device.put(0, 4, 0xffffffff);
    device.put(6, 2, 0xffff);
    device.put(0x34, 1, 0xff);
    device.put(0x3c, 4, 0xffffffff);
    expect([device.get(0), device.get(6, 2), device.get(0x34, 1)]).toEqual([before, status, at.pm]);
    expect(device.get(0x3c)).toBe(0x000001ff);
  });

  test("an error bit of STATUS stays for a write of STATUS, and goes with a dword write of COMMAND, which carries it", () => {
    using device = new ConfigProbe({ patch: (config) => void (config[0x07] = 0x80) });
    device.put(6, 2, 0x8000);
    expect(device.get(6, 2) & 0x8000).toBe(0x8000);
    device.put(4, 4, 0);
    expect(device.get(6, 2) & 0x8000).toBe(0);
  });

  test("COMMAND holds what the device can hold", () => {
    using device = new ConfigProbe({});
    device.put(4, 2, 0xffff);
    // Of a function of conventional PCI all bits that its specification has; PCI Express hardwires some of them to 0.
    expect(device.get(4, 2)).toBe(0x07ff);
    device.put(5, 1, 0);
    expect(device.get(4, 2)).toBe(0x00ff);
  });

  test("BARs read back the bits that their size leaves", () => {
    using device = new ConfigProbe({
      bars: {
        0: { size: 0x4000 },
        1: { size: 2 ** 34, kind: "memory64", prefetchable: true },
        3: { size: 0x20, kind: "io" },
        4: { size: 0x100000, kind: "memory64" },
      },
      romSize: 0x10000,
    });
    for (const offset of [0x10, 0x14, 0x18, 0x1c, 0x20, 0x24, 0x30]) device.put(offset, 4, 0xffffffff);
    expect(
      [0x10, 0x14, 0x18, 0x1c, 0x20, 0x24, 0x30].map((offset) => device.get(offset).toString(16)),
    ).toEqual(["ffffc000", "c", "fffffffc", "ffffffe1", "fff00004", "ffffffff", "ffff0001"]);
    device.put(0x11, 1, 0x40);
    expect(device.get(0x10)).toBe(0xffff4000);
    device.put(0x30, 4, 0xabcd0000);
    expect(device.get(0x30)).toBe(0xabcd0000);
  });

  test("a BAR that the host gave no memory reads 0, whatever is written", () => {
    using device = new ConfigProbe({ bars: { 0: { size: 0x1000 } } });
    for (const offset of [0x14, 0x24, 0x30]) {
      device.put(offset, 4, 0xffffffff);
      expect(device.get(offset)).toBe(0);
    }
  });

  test("without INTx there is no interrupt pin", () => {
    const image = syntheticImage({});
    using device = new RecordedDevice({ ...image, irqs: image.irqs.filter(({ index }) => index !== 0) });
    device.read(7, 0x3d, byte);
    expect(byte[0]).toBe(0);
  });
});

describe("accesses", () => {
  test("of any size and alignment read what bytes read", () => {
    using device = new ConfigProbe({
      bars: { 0: { size: 0x4000 } },
      pm: true,
      pcie: true,
      msi: { log2: 2, maskable: true },
      extended: [0x01, 0x1b, 0x0e],
    });
    const bytes = Uint8Array.from({ length: 4096 }, (_, offset) => device.get(offset, 1));
    const whole = new Uint8Array(new ArrayBuffer(4096));
    device.read(7, 0, whole);
    expect(whole).toEqual(bytes);
    for (const [offset, width] of [
      [0x0d, 7],
      [0x33, 2],
      [0x4e, 5],
      [0xff, 3],
      [0xffd, 3],
    ] as const) {
      const part = new Uint8Array(new ArrayBuffer(width));
      device.read(7, offset, part);
      expect(part).toEqual(bytes.slice(offset, offset + width));
    }
  });

  test("past the end fail and change nothing", () => {
    using device = new ConfigProbe({ configSize: 256 });
    expect(codeOf(() => device.get(256, 1))).toBe("EFAULT");
    expect(codeOf(() => device.get(254, 4))).toBe("EFAULT");
    expect(codeOf(() => device.put(254, 4, 0))).toBe("EFAULT");
    expect(codeOf(() => device.get(-1, 1))).toBe("EFAULT");
    expect(device.get(252)).toBe(0);
  });

  test("bytes that no capability covers keep their recorded value", () => {
    using device = new ConfigProbe({ patch: (config) => void config.fill(0x5a, 0xd0, 0xe0) });
    device.put(0xd0, 4, 0xffffffff);
    expect(device.get(0xd0)).toBe(0x5a5a5a5a);
  });

  test("a write across capabilities reaches each", () => {
    using device = new ConfigProbe({ bars: { 0: { size: 0x1000 } } });
    // BAR0's upper half and BAR1, which is absent; then the interrupt line beside the pin.
    device.put(0x12, 4, 0xffffffff);
    expect(device.get(0x10)).toBe(0xffff0000);
    expect(device.get(0x14)).toBe(0);
  });
});

describe("capability lists", () => {
  test("hidden standard capabilities are linked past, the first one too", () => {
    const chain = (config: Uint8Array): void => {
      config[6]! |= 0x10;
      config[0x34] = 0x40;
      // SSVID, PM, EA, vendor, debug port.
      config.set([0x0d, 0x50], 0x40);
      config.set([0x01, 0x60], 0x50);
      config.set([0x14, 0x70], 0x60);
      config.set([0x09, 0x80, 0x08], 0x70);
      config.set([0x0a, 0x00], 0x80);
    };
    using device = new ConfigProbe({ patch: chain });
    const config = new Uint8Array(new ArrayBuffer(256));
    device.read(7, 0, config);
    expect(walkCapabilities(config).found.map(({ id, offset }) => [id, offset])).toEqual([
      [0x01, 0x50],
      [0x09, 0x70],
    ]);
  });

  test("with none left, STATUS says that there is no list", () => {
    using device = new ConfigProbe({
      patch: (config) => {
        config[6]! |= 0x10;
        config[0x34] = 0x40;
        config.set([0x0d, 0x00], 0x40);
      },
    });
    expect([device.get(6, 2) & 0x10, device.get(0x34, 1)]).toEqual([0, 0]);
  });

  test("hidden extended capabilities are linked past; at 0x100 an empty head keeps the list", () => {
    // PASID, AER, secondary PCIe, ARI, L1 substates.
    using device = new ConfigProbe({ pcie: true, extended: [0x1b, 0x01, 0x19, 0x0e, 0x1e] });
    const config = new Uint8Array(new ArrayBuffer(4096));
    device.read(7, 0, config);
    expect(device.get(0x100)).toBe(0x14000000);
    expect(device.get(0x140)).toBe(0x1c010001);
    expect(device.get(0x1c0)).toBe(0x0001000e);
    expect(
      walkExtendedCapabilities(config)
        .found.filter(({ id }) => id !== 0)
        .map(({ id }) => id),
    ).toEqual([1, 0xe]);
    device.put(0x100, 4, 0xffffffff);
    expect(device.get(0x100)).toBe(0x14000000);
  });

  test("with no extended capability left the head is empty", () => {
    using device = new ConfigProbe({ pcie: true, extended: [0x1b, 0x19] });
    expect(device.get(0x100)).toBe(0);
  });

  test("without PCI Express there is no extended list to change", () => {
    using device = new ConfigProbe({ extended: [0x1b, 0x01] });
    expect(device.get(0x100)).toBe(0x1401001b);
  });
});

describe("a virtual function", () => {
  test("has no memory enable: its memory always answers", () => {
    using probe = new ConfigProbe({
      bars: { 0: { size: 0x1000 } },
      patch: (config) => void config.fill(0xff, 0, 4),
    });
    expect(probe.get(4, 2) & 2).toBe(2);
    probe.put(4, 2, 0);
    expect(probe.get(4, 2) & 2).toBe(0);
    probe.read(0, 0, byte);
    expect(byte[0]).toBe(0);
  });
});
