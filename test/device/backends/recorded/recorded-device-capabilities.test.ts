// Capabilities through RecordedDevice, against facts of drivers/vfio/pci/vfio_pci_config.c of Linux 6.12.
import { describe, expect, test } from "bun:test";
import { Eventfd } from "../../../../src/ffi/eventfd.ts";
import { codeOf, ConfigProbe } from "../../../support/config-probe.ts";
import { at, type SyntheticDevice } from "../../../support/synthetic-image.ts";

const byte = new Uint8Array(new ArrayBuffer(1));

describe("power management", () => {
  const device: SyntheticDevice = {
    bars: { 0: { size: 0x1000 } },
    // Data registers and all PME bits; D1 and D2 are missing.
    patch: (_, view) => {
      view.setUint8(6, 0x10);
      view.setUint8(0x34, at.pm);
      view.setUint16(at.pm, 0x0001, true);
      view.setUint16(at.pm + 2, 0xc803, true);
      view.setUint16(at.pm + 4, 0x8108, true);
    },
  };
  test("wake-up is the host's: its bits read 0 and stay so", () => {
    using probe = new ConfigProbe(device);
    expect([probe.get(at.pm + 2, 2), probe.get(at.pm + 4, 2)]).toEqual([0x0003, 0x0008]);
    probe.put(at.pm + 4, 2, 0x8100);
    expect(probe.get(at.pm + 4, 2)).toBe(0x0008);
  });

  test("in D3hot memory does not answer; in D0 it does again", () => {
    using probe = new ConfigProbe(device);
    probe.put(4, 2, 2);
    probe.read(0, 0, byte);
    probe.put(at.pm + 4, 1, 3);
    expect(probe.get(at.pm + 4, 2) & 3).toBe(3);
    expect(codeOf(() => probe.read(0, 0, byte))).toBe("EIO");
    probe.put(at.pm + 5, 1, 0);
    expect(codeOf(() => probe.read(0, 0, byte))).toBe("EIO");
    probe.put(at.pm + 4, 2, 0);
    probe.read(0, 0, byte);
    expect(probe.get(at.pm + 4, 2) & 3).toBe(0);
  });

  test("a state that the device does not have is not entered", () => {
    using probe = new ConfigProbe(device);
    for (const state of [1, 2]) {
      probe.put(at.pm + 4, 2, state);
      expect(probe.get(at.pm + 4, 2) & 3).toBe(0);
    }
  });

  test("a reset ends D3hot", () => {
    using probe = new ConfigProbe(device);
    probe.put(4, 2, 2);
    probe.put(at.pm + 4, 2, 3);
    probe.reset();
    expect(probe.get(at.pm + 4, 2) & 3).toBe(0);
    probe.read(0, 0, byte);
  });
});

describe("function-level reset", () => {
  const ways: [string, SyntheticDevice, number, number][] = [
    ["through PCI Express", { pcie: true }, at.pcie + 9, 0x80],
    ["through AF", { af: true }, at.af + 4, 1],
  ];
  for (const [name, shape, offset, bit] of ways) {
    test(`${name}: the device begins again, the host gives config space back, the bit reads 0`, () => {
      using probe = new ConfigProbe({
        bars: { 0: { size: 0x1000 } },
        msi: { log2: 0, maskable: true },
        ...shape,
      });
      probe.put(4, 2, 0x0006);
      probe.put(0x10, 4, 0xabcde000);
      probe.put(0x3c, 1, 7);
      probe.write(0, 0x10, Uint8Array.of(0x77));
      probe.put(offset, 1, bit | probe.get(offset, 1));
      probe.read(0, 0x10, byte);
      expect(byte[0]).toBe(0);
      // COMMAND as the user had it: pci_try_reset_function saves it before and restores it after.
      expect([probe.get(4, 2), probe.get(0x10), probe.get(0x3c, 1)]).toEqual([0x0006, 0xabcde000, 7]);
      expect(probe.get(offset, 1) & bit).toBe(0);
      expect(probe.accesses.resets).toBe(1);
    });
  }

  test("a device that does not offer it is not reset", () => {
    using probe = new ConfigProbe({
      pcie: true,
      af: true,
      patch: (config, view) => {
        view.setUint32(at.pcie + 4, 0x8000, true);
        config[at.af + 3] = 1;
      },
    });
    probe.put(at.pcie + 9, 1, 0x80);
    probe.put(at.af + 4, 1, 1);
    expect(probe.accesses.resets).toBe(0);
    expect([probe.get(at.pcie + 8, 2) & 0x8000, probe.get(at.af + 4, 1)]).toEqual([0, 0]);
  });
});

describe("PCI Express", () => {
  test("device control is the user's but for phantom functions; of device control 2 the host keeps ARI", () => {
    using probe = new ConfigProbe({
      pcie: true,
      patch: (_, view) => view.setUint32(at.pcie + 4, 0x8028, true),
    });
    probe.put(at.pcie + 8, 2, 0x7fff);
    expect(probe.get(at.pcie + 8, 2) & 0x0200).toBe(0);
    expect(probe.get(at.pcie + 8, 2) & 0x70e0).toBe(0x70e0);
    probe.put(at.pcie + 40, 2, 0xffff);
    expect(probe.get(at.pcie + 40, 2) & 0x0020).toBe(0);
  });

  test("link control and the capability registers are read-only", () => {
    using probe = new ConfigProbe({ pcie: true });
    const before = [0, 4, 12, 16].map((offset) => probe.get(at.pcie + offset));
    for (const offset of [0, 4, 12, 16]) probe.put(at.pcie + offset, 4, 0xffffffff);
    expect([0, 4, 12, 16].map((offset) => probe.get(at.pcie + offset))).toEqual(before);
  });

  test("so is link status 2, the capability's last register, with the bit that a one would clear", () => {
    const status2 = at.pcie + 0x32;
    using probe = new ConfigProbe({ pcie: true, patch: (config) => void (config[status2] = 0x20) });
    probe.put(status2, 2, 0x0020);
    probe.put(status2 - 2, 4, 0xffffffff);
    expect(probe.get(status2, 2)).toBe(0x0020);
  });

  test("advanced errors: masks and severity are writable, status bits are cleared by ones", () => {
    using probe = new ConfigProbe({
      pcie: true,
      extended: [0x01],
      patch: (_, view) => {
        view.setUint32(0x104, 0x00110000, true);
        view.setUint32(0x110, 0x00002001, true);
      },
    });
    probe.put(0x104, 4, 0x00100000);
    expect(probe.get(0x104) & 0x00110000).toBe(0x00010000);
    probe.put(0x110, 2, 0x2000);
    expect(probe.get(0x110)).toBe(0x0001);
    probe.put(0x108, 4, 0xffffffff);
    // Bits 4 and 5, and 12 to 25; those above are younger than the kernel's table, bit 0 is none of the device's.
    expect(probe.get(0x108)).toBe(0x03fff030);
    probe.put(0x114, 4, 0xffffffff);
    expect(probe.get(0x114)).toBe(0xf1c1);
  });
});

describe("MSI", () => {
  const shape: SyntheticDevice = { msi: { log2: 3, wide: true, maskable: true } };
  const control = at.msi + 2;

  test("is not enabled by a write alone; address and data are the user's own", () => {
    using probe = new ConfigProbe(shape);
    probe.put(control, 2, 0x01b7);
    expect(probe.get(control, 2)).toBe(0x0186);
    probe.put(at.msi + 4, 4, 0xfee00000);
    probe.put(at.msi + 8, 4, 0x12345678);
    probe.put(at.msi + 12, 2, 0x4041);
    expect([probe.get(at.msi + 4), probe.get(at.msi + 8), probe.get(at.msi + 12, 2)]).toEqual([
      0xfee00000, 0x12345678, 0x4041,
    ]);
  });

  test("once vectors are set, enable stays and the vectors in use are those that were set", () => {
    using probe = new ConfigProbe(shape);
    const eventfds = [new Eventfd(), new Eventfd()];
    probe.setIrqs({
      index: 1,
      action: "trigger",
      start: 0,
      data: { kind: "eventfd", fds: eventfds.map(({ fd }) => fd) },
    });
    probe.put(control, 2, 0x01b7);
    expect(probe.get(control, 2)).toBe(0x0197);
    probe.setIrqs({ index: 1, action: "trigger", start: 0, data: { kind: "none", count: 0 } });
    probe.put(control, 2, 0x01b7);
    expect(probe.get(control, 2) & 1).toBe(0);
    // The kernel checks nothing else of the byte: even bits that are read-only on the device are as they were written.
    probe.put(control, 1, 0);
    expect(probe.get(control, 2)).toBe(0x0100);
    for (const eventfd of eventfds) eventfd[Symbol.dispose]();
  });
});

describe("MSI-X", () => {
  const shape: SyntheticDevice = {
    bars: { 0: { size: 0x4000 } },
    msix: { vectors: 4, table: [0, 0x2000], pba: [0, 0x3000] },
  };
  test("takes no writes at all; its control register shows what SET_IRQS did", () => {
    using probe = new ConfigProbe(shape);
    const before = probe.get(at.msix);
    for (const offset of [0, 4, 8]) probe.put(at.msix + offset, 4, 0xffffffff);
    expect(probe.get(at.msix)).toBe(before);
    using eventfd = new Eventfd();
    probe.setIrqs({ index: 2, action: "trigger", start: 0, data: { kind: "eventfd", fds: [eventfd.fd] } });
    expect(probe.get(at.msix + 2, 2)).toBe(0x8003);
    probe.put(at.msix + 2, 2, 0x4003);
    expect(probe.get(at.msix + 2, 2)).toBe(0x8003);
    probe.setIrqs({ index: 2, action: "trigger", start: 0, data: { kind: "none", count: 0 } });
    expect(probe.get(at.msix + 2, 2)).toBe(0x0003);
  });
});

describe("other capabilities", () => {
  const vpd: SyntheticDevice = {
    vendorId: 0x1af4,
    patch: (config) => {
      config.set([0x41, 0x10], 2);
      config[6]! |= 0x10;
      config[0x34] = 0xd0;
      config.set([0x03, 0xe0, 0, 0, 0x55, 0x55, 0x55, 0x55, 0x12], 0xd0);
      // A virtio window: type 5, whose location the driver may write.
      config.set([0x09, 0, 0x14, 5], 0xe0);
    },
  };
  test("a VPD transfer is done at once, and the flag turns", () => {
    using probe = new ConfigProbe(vpd);
    probe.put(0xd2, 2, 0x0010);
    expect([probe.get(0xd2, 2), probe.get(0xd4)]).toEqual([0x8010, 0]);
    probe.put(0xd4, 4, 0xaabbccdd);
    probe.put(0xd2, 2, 0x8010);
    expect([probe.get(0xd2, 2), probe.get(0xd4)]).toEqual([0x0010, 0xaabbccdd]);
    // The flag is in the upper byte: without it nothing happens.
    probe.put(0xd2, 1, 0x20);
    expect(probe.get(0xd2, 2)).toBe(0x0020);
    probe.put(0xd8, 1, 0xff);
    expect(probe.get(0xd8, 1)).toBe(0x12);
  });

  test("a vendor-specific capability is written as it is, and the device takes what it can", () => {
    using probe = new ConfigProbe(vpd);
    probe.put(0xe0, 4, 0xffffffff);
    expect(probe.get(0xe0)).toBe(0x05140009);
    probe.put(0xe8, 4, 0x1234);
    expect(probe.get(0xe8)).toBe(0x1234);
  });

  test("read request sizes reach the device no smaller than its payload size, and are reset with it", () => {
    using probe = new ConfigProbe({
      pcie: true,
      patch: (_, view) => view.setUint16(at.pcie + 8, 0x2810, true),
    });
    expect(probe.get(at.pcie + 8, 2)).toBe(0x2810);
    probe.put(at.pcie + 8, 2, 0x5010);
    expect(probe.get(at.pcie + 8, 2)).toBe(0x5010);
  });
});
