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
    using it = new ConfigProbe(device);
    expect([it.get(at.pm + 2, 2), it.get(at.pm + 4, 2)]).toEqual([0x0003, 0x0008]);
    it.put(at.pm + 4, 2, 0x8100);
    expect(it.get(at.pm + 4, 2)).toBe(0x0008);
  });

  test("in D3hot memory does not answer; in D0 it does again", () => {
    using it = new ConfigProbe(device);
    it.put(4, 2, 2);
    it.read(0, 0, byte);
    it.put(at.pm + 4, 1, 3);
    expect(it.get(at.pm + 4, 2) & 3).toBe(3);
    expect(codeOf(() => it.read(0, 0, byte))).toBe("EIO");
    it.put(at.pm + 5, 1, 0);
    expect(codeOf(() => it.read(0, 0, byte))).toBe("EIO");
    it.put(at.pm + 4, 2, 0);
    it.read(0, 0, byte);
    expect(it.get(at.pm + 4, 2) & 3).toBe(0);
  });

  test("a state that the device does not have is not entered", () => {
    using it = new ConfigProbe(device);
    for (const state of [1, 2]) {
      it.put(at.pm + 4, 2, state);
      expect(it.get(at.pm + 4, 2) & 3).toBe(0);
    }
  });

  test("a reset ends D3hot", () => {
    using it = new ConfigProbe(device);
    it.put(4, 2, 2);
    it.put(at.pm + 4, 2, 3);
    it.reset();
    expect(it.get(at.pm + 4, 2) & 3).toBe(0);
    it.read(0, 0, byte);
  });
});

describe("function-level reset", () => {
  const ways: [string, SyntheticDevice, number, number][] = [
    ["through PCI Express", { pcie: true }, at.pcie + 9, 0x80],
    ["through AF", { af: true }, at.af + 4, 1],
  ];
  for (const [name, shape, offset, bit] of ways) {
    test(`${name}: the device begins again, the host gives config space back, the bit reads 0`, () => {
      using it = new ConfigProbe({
        bars: { 0: { size: 0x1000 } },
        msi: { log2: 0, maskable: true },
        ...shape,
      });
      it.put(4, 2, 0x0006);
      it.put(0x10, 4, 0xabcde000);
      it.put(0x3c, 1, 7);
      it.write(0, 0x10, Uint8Array.of(0x77));
      it.put(offset, 1, bit | it.get(offset, 1));
      it.read(0, 0x10, byte);
      expect(byte[0]).toBe(0);
      // COMMAND as the user had it: pci_try_reset_function saves it before and restores it after.
      expect([it.get(4, 2), it.get(0x10), it.get(0x3c, 1)]).toEqual([0x0006, 0xabcde000, 7]);
      expect(it.get(offset, 1) & bit).toBe(0);
      expect(it.accesses.resets).toBe(1);
    });
  }

  test("a device that does not offer it is not reset", () => {
    using it = new ConfigProbe({
      pcie: true,
      af: true,
      patch: (config, view) => {
        view.setUint32(at.pcie + 4, 0x8000, true);
        config[at.af + 3] = 1;
      },
    });
    it.put(at.pcie + 9, 1, 0x80);
    it.put(at.af + 4, 1, 1);
    expect(it.accesses.resets).toBe(0);
    expect([it.get(at.pcie + 8, 2) & 0x8000, it.get(at.af + 4, 1)]).toEqual([0, 0]);
  });
});

describe("PCI Express", () => {
  test("device control is the user's but for phantom functions; of device control 2 the host keeps ARI", () => {
    using it = new ConfigProbe({ pcie: true, patch: (_, view) => view.setUint32(at.pcie + 4, 0x8028, true) });
    it.put(at.pcie + 8, 2, 0x7fff);
    expect(it.get(at.pcie + 8, 2) & 0x0200).toBe(0);
    expect(it.get(at.pcie + 8, 2) & 0x70e0).toBe(0x70e0);
    it.put(at.pcie + 40, 2, 0xffff);
    expect(it.get(at.pcie + 40, 2) & 0x0020).toBe(0);
  });

  test("link control and the capability registers are read-only", () => {
    using it = new ConfigProbe({ pcie: true });
    const before = [0, 4, 12, 16].map((offset) => it.get(at.pcie + offset));
    for (const offset of [0, 4, 12, 16]) it.put(at.pcie + offset, 4, 0xffffffff);
    expect([0, 4, 12, 16].map((offset) => it.get(at.pcie + offset))).toEqual(before);
  });

  test("so is link status 2, the capability's last register, with the bit that a one would clear", () => {
    const status2 = at.pcie + 0x32;
    using it = new ConfigProbe({ pcie: true, patch: (config) => void (config[status2] = 0x20) });
    it.put(status2, 2, 0x0020);
    it.put(status2 - 2, 4, 0xffffffff);
    expect(it.get(status2, 2)).toBe(0x0020);
  });

  test("advanced errors: masks and severity are writable, status bits are cleared by ones", () => {
    using it = new ConfigProbe({
      pcie: true,
      extended: [0x01],
      patch: (_, view) => {
        view.setUint32(0x104, 0x00110000, true);
        view.setUint32(0x110, 0x00002001, true);
      },
    });
    it.put(0x104, 4, 0x00100000);
    expect(it.get(0x104) & 0x00110000).toBe(0x00010000);
    it.put(0x110, 2, 0x2000);
    expect(it.get(0x110)).toBe(0x0001);
    it.put(0x108, 4, 0xffffffff);
    // Bits 4 and 5, and 12 to 25; those above are younger than the kernel's table, bit 0 is none of the device's.
    expect(it.get(0x108)).toBe(0x03fff030);
    it.put(0x114, 4, 0xffffffff);
    expect(it.get(0x114)).toBe(0xf1c1);
  });
});

describe("MSI", () => {
  const shape: SyntheticDevice = { msi: { log2: 3, wide: true, maskable: true } };
  const control = at.msi + 2;

  test("is not enabled by a write alone; address and data are the user's own", () => {
    using it = new ConfigProbe(shape);
    it.put(control, 2, 0x01b7);
    expect(it.get(control, 2)).toBe(0x0186);
    it.put(at.msi + 4, 4, 0xfee00000);
    it.put(at.msi + 8, 4, 0x12345678);
    it.put(at.msi + 12, 2, 0x4041);
    expect([it.get(at.msi + 4), it.get(at.msi + 8), it.get(at.msi + 12, 2)]).toEqual([
      0xfee00000, 0x12345678, 0x4041,
    ]);
  });

  test("once vectors are set, enable stays and the vectors in use are those that were set", () => {
    using it = new ConfigProbe(shape);
    const eventfds = [new Eventfd(), new Eventfd()];
    it.setIrqs({
      index: 1,
      action: "trigger",
      start: 0,
      data: { kind: "eventfd", fds: eventfds.map(({ fd }) => fd) },
    });
    it.put(control, 2, 0x01b7);
    expect(it.get(control, 2)).toBe(0x0197);
    it.setIrqs({ index: 1, action: "trigger", start: 0, data: { kind: "none", count: 0 } });
    it.put(control, 2, 0x01b7);
    expect(it.get(control, 2) & 1).toBe(0);
    // The kernel checks nothing else of the byte: even bits that are read-only on the device are as they were written.
    it.put(control, 1, 0);
    expect(it.get(control, 2)).toBe(0x0100);
    for (const eventfd of eventfds) eventfd[Symbol.dispose]();
  });
});

describe("MSI-X", () => {
  const shape: SyntheticDevice = {
    bars: { 0: { size: 0x4000 } },
    msix: { vectors: 4, table: [0, 0x2000], pba: [0, 0x3000] },
  };
  test("takes no writes at all; its control register shows what SET_IRQS did", () => {
    using it = new ConfigProbe(shape);
    const before = it.get(at.msix);
    for (const offset of [0, 4, 8]) it.put(at.msix + offset, 4, 0xffffffff);
    expect(it.get(at.msix)).toBe(before);
    using eventfd = new Eventfd();
    it.setIrqs({ index: 2, action: "trigger", start: 0, data: { kind: "eventfd", fds: [eventfd.fd] } });
    expect(it.get(at.msix + 2, 2)).toBe(0x8003);
    it.put(at.msix + 2, 2, 0x4003);
    expect(it.get(at.msix + 2, 2)).toBe(0x8003);
    it.setIrqs({ index: 2, action: "trigger", start: 0, data: { kind: "none", count: 0 } });
    expect(it.get(at.msix + 2, 2)).toBe(0x0003);
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
    using it = new ConfigProbe(vpd);
    it.put(0xd2, 2, 0x0010);
    expect([it.get(0xd2, 2), it.get(0xd4)]).toEqual([0x8010, 0]);
    it.put(0xd4, 4, 0xaabbccdd);
    it.put(0xd2, 2, 0x8010);
    expect([it.get(0xd2, 2), it.get(0xd4)]).toEqual([0x0010, 0xaabbccdd]);
    // The flag is in the upper byte: without it nothing happens.
    it.put(0xd2, 1, 0x20);
    expect(it.get(0xd2, 2)).toBe(0x0020);
    it.put(0xd8, 1, 0xff);
    expect(it.get(0xd8, 1)).toBe(0x12);
  });

  test("a vendor-specific capability is written as it is, and the device takes what it can", () => {
    using it = new ConfigProbe(vpd);
    it.put(0xe0, 4, 0xffffffff);
    expect(it.get(0xe0)).toBe(0x05140009);
    it.put(0xe8, 4, 0x1234);
    expect(it.get(0xe8)).toBe(0x1234);
  });

  test("read request sizes reach the device no smaller than its payload size, and are reset with it", () => {
    using it = new ConfigProbe({ pcie: true, patch: (_, view) => view.setUint16(at.pcie + 8, 0x2810, true) });
    expect(it.get(at.pcie + 8, 2)).toBe(0x2810);
    it.put(at.pcie + 8, 2, 0x5010);
    expect(it.get(at.pcie + 8, 2)).toBe(0x5010);
  });
});
