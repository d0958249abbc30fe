// Regions and mappings through RecordedDevice, against facts of vfio_pci_rdwr.c and vfio_pci_core.c of Linux 6.12.
import { describe, expect, test } from "bun:test";
import { read as peek, toArrayBuffer, type Pointer } from "bun:ffi";
import { RecordedDevice } from "../../../../src/device/backends/recorded/recorded-device.ts";
import type { DeviceImage } from "../../../../src/image/index.ts";
import { codeOf, ConfigProbe } from "../../../support/config-probe.ts";
import { at, syntheticImage, type SyntheticDevice } from "../../../support/synthetic-image.ts";

const get = (device: RecordedDevice, region: number, offset: number, size: number): string => {
  const data = new Uint8Array(new ArrayBuffer(size));
  device.read(region, offset, data);
  return data.toHex();
};
const put = (device: RecordedDevice, region: number, offset: number, hex: string): void =>
  device.write(region, offset, Uint8Array.fromHex(hex));
/** A made-up image whose BAR0 and ROM have recorded contents. */
function withContents(device: SyntheticDevice): DeviceImage {
  const image = syntheticImage(device);
  const contents = [{ offset: 0x20, bytes: Uint8Array.of(1, 2, 3, 4) }];
  return {
    ...image,
    regions: image.regions.map((region) =>
      region.index === 0 || region.index === 6 ? { ...region, contents } : region,
    ),
  };
}
const shape: SyntheticDevice = {
  bars: { 0: { size: 0x4000 }, 2: { size: 0x20, kind: "io" }, 3: { size: 0x100 } },
  romSize: 0x800,
};

describe("reads and writes", () => {
  test("of memory hold what is written, begin as recorded, and are zeros elsewhere", () => {
    using device = new RecordedDevice(withContents(shape));
    expect(get(device, 0, 0x1e, 8)).toBe("0000010203040000");
    put(device, 0, 0x3ff9, "aabbccddeeff11");
    expect(get(device, 0, 0x3ff8, 8)).toBe("00aabbccddeeff11");
    expect(get(device, 6, 0x20, 4)).toBe("01020304");
    expect(get(device, 3, 0xff, 1)).toBe("00");
  });

  test("of memory need memory enable, whichever byte of COMMAND is written", () => {
    using device = new ConfigProbe(shape);
    device.put(4, 2, 0x0001);
    for (const region of [0, 3, 6]) expect(codeOf(() => get(device, region, 0, 4))).toBe("EIO");
    expect(codeOf(() => put(device, 0, 0, "01"))).toBe("EIO");
    device.put(5, 1, 0x04);
    expect(codeOf(() => get(device, 0, 0, 4))).toBe("EIO");
    device.put(4, 1, 0x02);
    expect(get(device, 0, 0, 4)).toBe("00000000");
  });

  test("of I/O ports are let through by the host; without I/O enable the device does not answer", () => {
    using device = new ConfigProbe(shape);
    put(device, 2, 4, "12345678");
    device.put(4, 2, 0x0002);
    expect(get(device, 2, 4, 4)).toBe("ffffffff");
    put(device, 2, 4, "00");
    device.put(4, 2, 0x0003);
    expect(get(device, 2, 4, 4)).toBe("12345678");
  });

  test("outside of a region, and of one that is not there, fail and change nothing", () => {
    using device = new ConfigProbe(shape);
    for (const [region, offset, size] of [
      [0, 0x4000, 1],
      [0, 0x3fff, 2],
      [0, -1, 1],
      [0, 0.5, 1],
      [1, 0, 1],
      [8, 0, 1],
      [99, 0, 1],
    ] as const) {
      expect(codeOf(() => get(device, region, offset, size))).toBe("EINVAL");
      expect(codeOf(() => device.write(region, offset, new Uint8Array(size).fill(1)))).toBe("EINVAL");
    }
    expect(get(device, 0, 0x3fff, 1)).toBe("00");
    expect(device.accesses.writes).toEqual([0, 0, 0, 0, 0, 0, 0, 0, 0]);
  });

  test("follow the region's flags: a ROM is not written", () => {
    using device = new ConfigProbe({ bars: { 0: { size: 0x1000, writable: false } }, romSize: 0x800 });
    for (const region of [0, 6]) {
      expect(codeOf(() => put(device, region, 0, "01"))).toBe("EINVAL");
      expect(get(device, region, 0, 1)).toBe("00");
    }
    const image = syntheticImage(shape);
    using blind = new RecordedDevice({
      ...image,
      regions: image.regions.map((region) => ({ ...region, readable: region.index === 7 })),
    });
    expect(codeOf(() => get(blind, 0, 0, 1))).toBe("EINVAL");
  });

  test("of the MSI-X table give ones and nothing; the bytes beside it, and the PBA, are the device's", () => {
    using device = new ConfigProbe({
      bars: { 0: { size: 0x4000 } },
      msix: { vectors: 3, table: [0, 0x2000], pba: [0, 0x3000] },
    });
    put(device, 0, 0x1ffe, "11".repeat(0x34));
    expect(get(device, 0, 0x1ffc, 0x38)).toBe(`00001111${"ff".repeat(0x30)}11110000`);
    expect(get(device, 0, 0x2004, 8)).toBe("ff".repeat(8));
    put(device, 0, 0x2010, "00000000");
    const mapping = device.map(0, { offset: 0x2000, size: 0x1000 });
    expect(peek.u64(mapping.hva as Pointer, 0x10)).toBe(0n);
    expect(get(device, 0, 0x3000, 8)).toBe("00".repeat(8));
  });

  test("inside of the MSI-X table do not ask whether the device answers; those that leave it do", () => {
    // The table is kept away from the user even where the rest of MSI-X makes no sense, as a PBA over it.
    using device = new ConfigProbe({
      bars: { 0: { size: 0x4000 } },
      msix: { vectors: 3, table: [0, 0x2000], pba: [0, 0x2000] },
    });
    device.put(4, 2, 0);
    expect(get(device, 0, 0x2000, 0x30)).toBe("ff".repeat(0x30));
    expect(codeOf(() => put(device, 0, 0x202c, "01020304"))).toBe("no error");
    expect(codeOf(() => get(device, 0, 0x1fff, 2))).toBe("EIO");
    expect(codeOf(() => put(device, 0, 0x202f, "0102"))).toBe("EIO");
    expect(get(device, 0, 0, 0)).toBe("");
  });

  test("to a ROM are refused for what they are before memory enable is looked at", () => {
    using device = new ConfigProbe(shape);
    device.put(4, 2, 0);
    expect([codeOf(() => put(device, 6, 0, "01")), codeOf(() => get(device, 6, 0, 1))]).toEqual([
      "EINVAL",
      "EIO",
    ]);
  });

  test("are counted, refused ones not", () => {
    using device = new ConfigProbe(shape);
    get(device, 0, 0, 4);
    get(device, 7, 0, 4);
    put(device, 0, 0, "01");
    codeOf(() => get(device, 1, 0, 4));
    expect(device.accesses).toEqual({
      reads: [1, 0, 0, 0, 0, 0, 0, 1, 0],
      writes: [1, 0, 0, 0, 0, 0, 0, 0, 0],
      setIrqs: 0,
      resets: 0,
    });
  });

  test("of a huge BAR cost what is touched", () => {
    using device = new ConfigProbe({ bars: { 0: { size: 2 ** 37, kind: "memory64" } } });
    put(device, 0, 2 ** 36 + 5, "0102");
    put(device, 0, 2 ** 37 - 1, "03");
    expect(get(device, 0, 2 ** 36 + 4, 4)).toBe("00010200");
    device.reset();
    expect(get(device, 0, 2 ** 37 - 1, 1)).toBe("00");
  });

  test("of a BAR that this process has no room for fail", () => {
    using device = new ConfigProbe({ bars: { 0: { size: 2 ** 52, kind: "memory64" } } });
    expect(codeOf(() => get(device, 0, 0, 1))).toBe("ENOMEM");
  });
});

describe("mappings", () => {
  test("are the memory that reads and writes see, both ways", () => {
    using device = new RecordedDevice(withContents(shape));
    using mapping = device.map(0, { offset: 0x1000, size: 0x2000 });
    using again = device.map(0, { offset: 0, size: 0x1000 });
    expect([mapping.size, mapping.hva % 4096, mapping.hva - again.hva]).toEqual([0x2000, 0, 0x1000]);
    const memory = new Uint32Array(toArrayBuffer(mapping.hva as Pointer, 0, mapping.size));
    memory[0] = 0xdeadbeef;
    expect(get(device, 0, 0x1000, 4)).toBe("efbeadde");
    put(device, 0, 0x2ffc, "78563412");
    expect(memory[0x7ff]).toBe(0x12345678);
    expect(peek.u32(again.hva as Pointer, 0x20)).toBe(0x04030201);
  });

  test("need whole pages, inside of a region that can be mapped; a small BAR has its page", () => {
    using device = new ConfigProbe({
      ...shape,
      bars: { ...shape.bars, 4: { size: 0x1000, mappable: false } },
    });
    for (const [region, offset, size] of [
      [0, 0x10, 0x1000],
      [0, 0, 0x800],
      [0, 0, 0],
      [0, 0x3000, 0x2000],
      [0, -0x1000, 0x1000],
      [1, 0, 0x1000],
      [2, 0, 0x1000],
      [4, 0, 0x1000],
      [6, 0, 0x1000],
      [7, 0, 0x1000],
      [99, 0, 0x1000],
    ] as const)
      expect(codeOf(() => device.map(region, { offset, size }))).toBe("EINVAL");
    expect(device.map(3, { offset: 0, size: 0x1000 }).size).toBe(0x1000);
  });

  test("stay in the sparse areas, and off the MSI-X table where the host wants that", () => {
    using device = new ConfigProbe({
      bars: {
        0: { size: 0x10000, sparse: [{ offset: 0x1000, size: 0x4000 }] },
        1: { size: 0x4000, msixMappable: false },
        2: { size: 0x4000 },
      },
      msix: { vectors: 4, table: [1, 0x2000], pba: [1, 0x3000] },
    });
    expect(codeOf(() => device.map(0, { offset: 0, size: 0x2000 }))).toBe("EINVAL");
    expect(codeOf(() => device.map(0, { offset: 0x4000, size: 0x2000 }))).toBe("EINVAL");
    expect(device.map(0, { offset: 0x1000, size: 0x4000 }).size).toBe(0x4000);
    expect(codeOf(() => device.map(1, { offset: 0, size: 0x4000 }))).toBe("EINVAL");
    expect(device.map(1, { offset: 0, size: 0x2000 }).size).toBe(0x2000);
    expect(device.map(1, { offset: 0x3000, size: 0x1000 }).size).toBe(0x1000);
  });

  test("outlive the device, like the kernel's", () => {
    const device = new ConfigProbe(shape);
    put(device, 0, 0, "2a");
    const mapping = device.map(0, { offset: 0, size: 0x1000 });
    device[Symbol.dispose]();
    expect(peek.u8(mapping.hva as Pointer, 0)).toBe(0x2a);
    mapping[Symbol.dispose]();
    mapping[Symbol.dispose]();
  });
});

describe("reset", () => {
  test("gives contents as recorded at the same addresses, and config space as it was", () => {
    using device = new RecordedDevice(withContents({ ...shape, pm: true }));
    using mapping = device.map(0, { offset: 0, size: 0x1000 });
    put(device, 0, 0x20, "ffff");
    put(device, 0, 0x30, "ffff");
    put(device, 7, 0x04, "0600");
    put(device, 7, 0x10, "00c0ffee");
    device.reset();
    expect(get(device, 0, 0x20, 0x12)).toBe(`01020304${"00".repeat(14)}`);
    expect(peek.u32(mapping.hva as Pointer, 0x20)).toBe(0x04030201);
    expect([get(device, 7, 0x04, 2), get(device, 7, 0x10, 4)]).toEqual(["0600", "00c0ffee"]);
    expect(device.accesses.resets).toBe(1);
  });

  test("clears what the host does not save, and what it saves comes back", () => {
    using device = new ConfigProbe({ pcie: true, extended: [0x01], pm: true });
    const state = (): number[] => [
      device.get(at.pm + 4, 2),
      device.get(at.pcie + 8, 2),
      device.get(0x108) & 0x1000,
    ];
    // The data select of PM; device control; an AER mask bit.
    device.put(at.pm + 4, 2, 0x1e00);
    device.put(at.pcie + 8, 2, 0x000f);
    device.put(0x108, 4, 0x00001000);
    expect(state()).toEqual([0x1e00, 0x000f, 0x1000]);
    device.reset();
    expect(state()).toEqual([0, 0x000f, 0x1000]);
  });

  test("in D3hot wakes the function first: what it keeps over resets of its power register is gone then", () => {
    const image = syntheticImage({ pm: true });
    for (const [state, left] of [
      [0, 0x0e00],
      [3, 0],
    ] as const) {
      using device = new RecordedDevice({ ...image, keptByReset: [{ offset: at.pm + 4, mask: 0x0e00 }] });
      put(device, 7, at.pm + 4, `0${state}0e`);
      device.reset();
      expect(Number.parseInt(get(device, 7, at.pm + 5, 1), 16) << 8).toBe(left);
    }
  });

  test("is refused where the host could not", () => {
    using device = new RecordedDevice({ ...syntheticImage(shape), resettable: false });
    expect(codeOf(() => device.reset())).toBe("EINVAL");
    expect(device.accesses.resets).toBe(0);
  });

  test("leaving D3hot is none: the host restores what it saved on the way down, unless the device keeps it anyway", () => {
    for (const [noSoftReset, left] of [
      [0x00, 0x10],
      [0x08, 0x20],
    ] as const) {
      using device = new ConfigProbe({
        bars: { 0: { size: 0x1000 } },
        pm: true,
        patch: (config) => void (config[at.pm + 4] = noSoftReset),
      });
      put(device, 0, 0, "77");
      device.put(0x0c, 1, 0x10);
      device.put(at.pm + 4, 1, 3);
      device.put(0x0c, 1, 0x20);
      device.put(at.pm + 4, 1, 0);
      expect(device.get(0x0c, 1)).toBe(left);
      expect(get(device, 0, 0, 1)).toBe("77");
      expect(device.accesses.resets).toBe(0);
    }
  });

  test("clears MSI's mask bits, unless MSI is on: only then the host restores them", () => {
    for (const on of [false, true]) {
      using device = new ConfigProbe({ msi: { log2: 2, maskable: true } });
      if (on) device.setIrqs({ index: 1, action: "trigger", start: 0, data: { kind: "eventfd", fds: [-1] } });
      device.put(at.msi + 12, 4, 0b1010);
      device.reset();
      expect(device.get(at.msi + 12, 4)).toBe(on ? 0b1010 : 0);
    }
  });
});

test("features are those of vfio-pci itself: low power, and the token of a function that has virtual ones", () => {
  const known = (device: RecordedDevice): number[] =>
    Array.from({ length: 12 }, (_, feature) => feature).filter((feature) => device.probeFeature(feature));
  using plain = new ConfigProbe({ pcie: true });
  using physical = new ConfigProbe({ pcie: true, extended: [0x10] });
  expect([known(plain), known(physical)]).toEqual([
    [3, 4, 5],
    [0, 3, 4, 5],
  ]);
  expect(plain.probeFeature(3)).toEqual({ get: false, set: true });
});

test("a closed device refuses everything, and is closed once", () => {
  const device = new ConfigProbe(shape);
  get(device, 0, 0, 1);
  device[Symbol.dispose]();
  device[Symbol.dispose]();
  for (const use of [
    () => get(device, 7, 0, 1),
    () => put(device, 0, 0, "01"),
    () => device.map(0, { offset: 0, size: 0x1000 }),
    () => device.setIrqs({ index: 0, action: "trigger", start: 0, data: { kind: "none", count: 0 } }),
    () => device.reset(),
    () => device.probeFeature(0),
    () => device.raise(0, 0),
    () => device.poll(),
  ])
    expect(codeOf(use)).toBe("ECLOSED");
});
