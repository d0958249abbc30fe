import { describe, expect, test } from "bun:test";
import { planAttach } from "../../../../src/device/passthrough/attach-plan.ts";
import { configImageOf } from "../../../../src/device/pci/config-image.ts";
import type { ConfigTables } from "../../../../src/device/passthrough/config/config-tables.ts";
import { RecordedDevice } from "../../../../src/device/backends/recorded/recorded-device.ts";
import { walkCapabilities, walkExtendedCapabilities } from "../../../../src/regs/index.ts";
import { attach, memory, type Attached } from "../../../support/attached.ts";
import { at, syntheticImage, type SyntheticDevice } from "../../../support/synthetic-image.ts";

const plain: SyntheticDevice = { bars: { 0: { size: 0x1000 } }, pm: true, pcie: true };
const reads = ({ backend }: Attached): number => backend.counts.configReads;
/** Offsets of a guest's walk of a list. */
function walk({ device }: Attached, start: number, next: (header: number) => number): number[] {
  const found: number[] = [];
  for (let offset = start; offset !== 0 && found.length < 100;) {
    found.push(offset);
    offset = next(device.configRead(offset, 4));
  }
  return found;
}
const extended = (guest: Attached): number[] => walk(guest, 0x100, (header) => header >>> 20);
const standard = (guest: Attached): number[] =>
  walk(guest, guest.device.configRead(0x34, 1), (header) => (header >>> 8) & 0xff);

describe("config reads", () => {
  test("defect 1: what cannot change by itself costs no read of the device", () => {
    using guest = attach(plain);
    const before = reads(guest);
    for (let i = 0; i < 50; i++) {
      for (const [offset, width] of [
        [0, 4],
        [8, 4],
        [0x0e, 1],
        [0x10, 4],
        [0x2c, 4],
        [0x34, 1],
        [at.pm, 4],
        [at.pcie + 4, 4],
        [0x100, 4],
      ] as const)
        guest.device.configRead(offset, width);
    }
    expect(reads(guest)).toBe(before);
  });

  test("what may change is read once for each guest read, however wide", () => {
    using guest = attach(plain);
    const before = reads(guest);
    guest.device.configRead(0x06, 2);
    guest.device.configRead(0x04, 4);
    guest.device.configRead(at.pcie + 8, 4);
    expect(reads(guest)).toBe(before + 3);
  });

  test("after a write the register is read once, then known again", () => {
    using guest = attach(plain);
    guest.device.configWrite(0x04, 2, 4);
    const before = reads(guest);
    expect(guest.device.configRead(0x04, 2)).toBe(4);
    expect(guest.device.configRead(0x04, 2)).toBe(4);
    expect(reads(guest)).toBe(before + 1);
  });

  test("a write of what the register holds leaves it known; not so a bit that a 1 clears, nor after a reset", () => {
    using guest = attach(plain);
    const { device, backend } = guest;
    device.configWrite(0x3c, 1, 5);
    device.configRead(0x3c, 4);
    const written = backend.counts.configWrites;
    const before = reads(guest);
    device.configWrite(0x3c, 1, 5);
    expect(backend.counts.configWrites).toBe(written + 1);
    device.configRead(0x3c, 4);
    expect(reads(guest)).toBe(before);
    device.configWrite(at.pcie + 8, 2, 0x8000);
    device.configWrite(0x3c, 1, 0);
    device.configRead(0x3c, 1);
    expect(reads(guest)).toBeGreaterThan(before);
  });

  test("what the header leaves out is the device's: read each time, written each time", () => {
    using guest = attach(plain);
    const reads = [0x35, 0x36, 0x37, 0x38, 0x39, 0x3a, 0x3b].map((offset) => {
      guest.backend.read = (_region, _offset, data) => void data.fill(offset);
      return guest.device.configRead(offset, 1);
    });
    expect(reads).toEqual([0x35, 0x36, 0x37, 0x38, 0x39, 0x3a, 0x3b]);
    const before = guest.backend.counts.configWrites;
    guest.device.configWrite(0x38, 4, 0x12345678);
    expect(guest.backend.counts.configWrites).toBe(before + 1);
  });

  test("defect 52: a failed read is all ones and an event, a failed write is dropped", () => {
    using guest = attach(plain);
    guest.backend.fails = (call) => (call.kind === "read" && call.size < 4) || call.kind === "write";
    expect([guest.device.configRead(0x06, 2), guest.device.configRead(0x06, 1)]).toEqual([0xffff, 0xff]);
    guest.device.configWrite(0x3c, 1, 5);
    expect(guest.eventsOf("access-failed")).toHaveLength(3);
    guest.backend.fails = () => false;
  });

  test("accesses that no PCI host makes read all ones and change nothing", () => {
    using guest = attach(plain);
    for (const [offset, width] of [
      [2, 4],
      [3, 2],
      [0, 3],
      [0, 8],
      [-4, 4],
      [0x1000, 4],
      [0.5, 1],
      [NaN, 4],
      [0xfff, 2],
    ] as const) {
      expect(guest.device.configRead(offset, width)).toBe(
        width === 2 ? 0xffff : width === 1 ? 0xff : 0xffffffff,
      );
      guest.device.configWrite(offset, width, 0);
    }
    expect(guest.eventsOf("bad-access")).toHaveLength(18);
  });

  test("a value that no guest can write is the VMM's mistake, and told", () => {
    using guest = attach(plain);
    for (const value of [-1, 2 ** 32, 1.5, NaN, Infinity])
      expect(() => guest.device.configWrite(0x3c, 1, value)).toThrow(RangeError);
    for (const value of [5n, "1", undefined])
      expect(() => guest.device.configWrite(0x3c, 1, value as unknown as number)).toThrow(TypeError);
    expect(guest.device.configRead(0x3c, 1)).toBe(0);
  });

  test("bytes in the middle of a dword, as ports 0xCFC to 0xCFF reach them", () => {
    using guest = attach(plain);
    expect(guest.device.configRead(1, 2)).toBe(0x7812);
    expect(guest.device.configRead(3, 1)).toBe(0x56);
  });

  test("registers whose read has a side effect are not read at attach", () => {
    // The window of a virtio device into its BARs: a read of its data reads the BAR.
    const window = 0xc4;
    const mailbox = window + 0x10;
    using guest = attach({
      ...plain,
      vendorId: 0x1af4,
      patch: (config, view) => {
        view.setUint16(0x02, 0x1041, true);
        config[at.pcie + 1] = window;
        config.set([0x09, 0x00, 20, 5], window);
      },
    });
    const touched = guest.backend.calls.filter(
      (call) => call.kind === "read" && call.offset < mailbox + 4 && call.offset + call.size > mailbox,
    );
    expect(touched).toEqual([]);
    const before = reads(guest);
    guest.device.configRead(mailbox, 4);
    expect(reads(guest)).toBe(before + 1);
  });

  test("bytes of no capability are the device's, whatever they held at attach: read each time, written each time", () => {
    const image = syntheticImage({ ...plain, patch: (config) => (config[0xe8] = 0x55) });
    using guest = attach({ ...image, writable: [{ offset: 0x900, size: 4 }] });
    const before = reads(guest);
    for (const offset of [0x900, 0xe8, 0x900]) guest.device.configRead(offset, 1);
    expect(reads(guest)).toBe(before + 3);
    guest.device.configWrite(0x900, 4, 0x1234);
    expect([guest.device.configRead(0x900, 4), reads(guest)]).toEqual([0x1234, before + 4]);
  });

  test("all ones settles nothing: what is static otherwise is asked for again", () => {
    using guest = attach(plain);
    const { read } = guest.backend;
    const control = at.pcie + 8;
    guest.device.configWrite(control, 2, 0x2810);
    guest.backend.read = (_region, _offset, data) => void data.fill(0xff);
    expect(guest.device.configRead(control, 2)).toBe(0xffff);
    guest.backend.read = read;
    expect(guest.device.configRead(control, 2)).toBe(0x2810);
    const before = reads(guest);
    expect([guest.device.configRead(control, 2), reads(guest)]).toEqual([0x2810, before]);
  });

  test("a register that read all ones at attach is asked for again, too", () => {
    let silent = true;
    using guest = attach(plain, {
      prepare(backend) {
        const read = backend.read.bind(backend);
        backend.read = (region, offset, data) => {
          read(region, offset, data);
          // The subsystem's IDs come late.
          const from = 0x2c - offset;
          if (silent && from >= 0 && from < data.length) data.fill(0xff, from, from + 4);
        };
      },
    });
    silent = false;
    expect(guest.device.configRead(0x2c, 4)).not.toBe(0xffffffff);
  });
});

describe("what the guest is shown", () => {
  test("defects 6 and 7: ARI, SR-IOV and the resizable BARs are hidden without PM too, for reads and writes", () => {
    using guest = attach({ bars: plain.bars!, pcie: true, extended: [0x01, 0x0e, 0x10, 0x15, 0x03] });
    expect(extended(guest)).toEqual([0x100, 0x200]);
    const before = guest.backend.counts.configWrites;
    for (const offset of [0x140, 0x180, 0x1c0])
      for (const part of [0, 4]) {
        expect(guest.device.configRead(offset + part, 4)).toBe(0);
        guest.device.configWrite(offset + part, 4, 0xffffffff);
        expect(guest.device.configRead(offset + part, 4)).toBe(0);
      }
    expect(guest.backend.counts.configWrites).toBe(before);
  });

  test("a hidden head of the list stays as an empty one that links on", () => {
    using guest = attach({ ...plain, extended: [0x10, 0x01] });
    expect(guest.device.configRead(0x100, 4)).toBe(0x14000000);
    expect(extended(guest)).toEqual([0x100, 0x140]);
  });

  test("more can be hidden, and what is hidden can be shown", () => {
    using guest = attach(
      { ...plain, extended: [0x01, 0x10, 0x03] },
      { attach: { hide: [0x03], expose: [0x10] } },
    );
    expect(extended(guest)).toEqual([0x100, 0x140]);
  });

  test("the multi-function bit is the guest's: clear, or set where the VMM says so; writes do not change it", () => {
    const multi = { ...plain, patch: (config: Uint8Array) => (config[0x0e] = 0x80) };
    using one = attach(multi);
    using many = attach(plain, { attach: { multiFunction: true } });
    one.device.configWrite(0x0e, 1, 0xff);
    expect([one.device.configRead(0x0e, 1), many.device.configRead(0x0e, 1)]).toEqual([0, 0x80]);
  });

  test("defect 3: no capability is read past the end", () => {
    using guest = attach({
      ...plain,
      patch: (config) => ((config[at.pcie + 1] = 0xfc), (config[0xfc] = 0x11)),
    });
    expect(standard(guest)).toEqual([at.pm, at.pcie]);
    expect(guest.device.describe().msix).toBeUndefined();
  });

  test("defect 4: without the STATUS bit no list is followed", () => {
    using guest = attach({ ...plain, patch: (config) => (config[0x06]! &= ~0x10) });
    expect(guest.device.describe().capabilities).toEqual([]);
  });

  describe("defect 8: the GPUDirect clique", () => {
    const nvidia = { ...plain, vendorId: 0x10de };
    test("is a vendor capability with signature and clique, at the end of the list", () => {
      using guest = attach(nvidia, { attach: { gpuDirectClique: 9 } });
      const offset = standard(guest).at(-1)!;
      expect([guest.device.configRead(offset, 4), guest.device.configRead(offset + 4, 4)]).toEqual([
        0x50080009, 0x00485032,
      ]);
      guest.device.configWrite(offset + 4, 4, 0);
      expect(guest.device.configRead(offset + 4, 4)).toBe(0x00485032);
    });
    test("makes a list where there is none", () => {
      using guest = attach({ vendorId: 0x10de }, { attach: { gpuDirectClique: 0 } });
      expect(standard(guest)).toEqual([0xd4]);
      expect(guest.device.configRead(0x06, 2) & 0x10).toBe(0x10);
      expect(guest.device.configRead(0, 4)).toBe(0x567810de);
    });
    test("takes no byte where the device may have registers of its own", () => {
      const own = { ...nvidia, patch: (config: Uint8Array) => (config[0xd6] = 1) };
      using guest = attach(own, { attach: { gpuDirectClique: 0 } });
      expect(standard(guest)).toEqual([at.pm, at.pcie, 0x78]);
    });
    test.each([16, -1, 1.5, NaN])("refuses %p", (clique) => {
      expect(() => attach(nvidia, { attach: { gpuDirectClique: clique } })).toThrow(RangeError);
    });
    test("refuses another vendor's device, and a space without room", () => {
      expect(() => attach(plain, { attach: { gpuDirectClique: 1 } })).toThrow("NVIDIA");
      const full = { vendorId: 0x10de, patch: (config: Uint8Array) => void config.fill(1, 0x40, 0x100) };
      expect(() => attach(full, { attach: { gpuDirectClique: 1 } })).toThrow("no 8 free bytes");
    });
  });
});

// vfio-pci itself links past what it does not know. Other sources of devices may not: the plan is made for any bytes.
describe("lists as a device has them", () => {
  function shown(device: SyntheticDevice): { tables: ConfigTables; reports: string[] } {
    const image = syntheticImage(device);
    using backend = new RecordedDevice(image);
    const context = { backend, platform: { pageSize: 4096 }, options: {}, vectors: { msi: 1, msix: 1 } };
    const { tables, notes } = planAttach(context, configImageOf(image.config));
    return { tables, reports: notes.map(({ message }) => message) };
  }

  test("defect 6: the resizable BARs of virtual functions are hidden", () => {
    const { tables } = shown({ ...plain, extended: [0x01, 0x24, 0x03] });
    expect(walkExtendedCapabilities(tables.shadow).found.map(({ id }) => id)).toEqual([0x01, 0x03]);
    expect(tables.shadow.slice(0x140, 0x148)).toEqual(new Uint8Array(8));
    expect(tables.write.slice(0x140, 0x148)).toEqual(new Uint8Array(8));
  });

  test("defects 3 and 5: whatever a list's pointers are, the guest finds a proper list", () => {
    const { tables, reports } = shown({
      ...plain,
      extended: [0x01, 0x03],
      patch: (config, view) => {
        config[at.pcie + 1] = at.pm;
        view.setUint32(0x140, 0x10010003, true);
      },
    });
    for (const { found, malformations } of [
      walkCapabilities(tables.shadow),
      walkExtendedCapabilities(tables.shadow),
    ])
      expect([found.length, malformations]).toEqual([2, []]);
    expect(reports.filter((message) => message.includes("goes back"))).toHaveLength(2);
  });
});

describe("resets and power", () => {
  test("a guest's function-level reset turns interrupts and decoding off, and the device is read afresh", () => {
    using guest = attach({ ...plain, msix: { vectors: 2, table: [0, 0], pba: [0, 0x800] } });
    guest.device.configWrite(0x04, 2, memory);
    guest.device.configWrite(at.msix + 2, 2, 0x8000);
    guest.device.configWrite(at.pcie + 8, 2, 0x8000);
    expect(guest.device.describe()).toMatchObject({ command: 0, interrupts: { mode: "INTx" } });
    expect(guest.device.configRead(0x04, 2)).toBe(0);
    expect(guest.platform.state().trapped).toEqual([]);
    expect(guest.device.configRead(at.msix + 2, 2)).toBe(1);
    guest.device.configWrite(0x10, 4, 0xd0000000);
    guest.device.configWrite(0x04, 2, memory);
    expect(guest.platform.state().trapped).toHaveLength(1);
  });

  test("the same through Advanced Features; and no reset where the device does not offer one", () => {
    using guest = attach({ ...plain, af: true });
    guest.device.configWrite(0x04, 2, memory);
    guest.device.configWrite(at.af + 4, 1, 1);
    expect(guest.device.describe().command).toBe(0);
    using not = attach({ ...plain, patch: (config) => (config[at.pcie + 7] = 0) });
    not.device.configWrite(0x04, 2, memory);
    not.device.configWrite(at.pcie + 8, 2, 0x8000);
    expect(not.device.describe().command).toBe(memory);
  });

  test("defect 64: a reset that fails is an event at attach and an error on request", () => {
    using guest = attach(plain, { prepare: (backend) => (backend.fails = (call) => call.kind === "reset") });
    expect(guest.eventsOf("reset-failed")).toHaveLength(1);
    guest.device.configWrite(0x04, 2, memory);
    expect(() => guest.device.reset()).toThrow("reset fails as told");
    expect(guest.platform.state().trapped).toEqual([]);
    guest.backend.fails = () => false;
    guest.device.reset();
  });
});

test("of conventional PCI all of COMMAND, the cache line and the latency timer reach the device, and read as it has them", () => {
  const written: (readonly [offset: number, width: number, value: number])[] = [
    [0x04, 2, 0x03fb],
    [0x0d, 1, 0x40],
    [0x0c, 1, 0x10],
  ];
  for (const pcie of [false, true]) {
    using guest = attach({ pcie, bars: { 0: { size: 0x1000 } } });
    const before = guest.backend.calls.length;
    for (const [offset, width, value] of written) guest.device.configWrite(offset, width, value);
    const arrived = guest.backend.calls.slice(before).filter(({ kind }) => kind === "write");
    const seen = written.map(([offset, width]) => guest.device.configRead(offset, width));
    // PCI Express hardwires memory write and invalidate, stepping and fast back-to-back to 0, and has no latency timer.
    expect([pcie, seen]).toEqual([pcie, pcie ? [0x0143, 0, 0x10] : written.map(([, , value]) => value)]);
    expect(arrived).toHaveLength(pcie ? 2 : 3);
  }
});
