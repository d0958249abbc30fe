// The INFO requests: as much room as the kernel asks for, chains of capabilities, and what is malformed.
import { describe, expect, test } from "bun:test";
import { getDeviceInfo, getIrqInfo } from "../../src/ffi/vfio-device.ts";
import { getRegionInfo } from "../../src/ffi/vfio-region.ts";
import { getHotResetInfo, hotReset, resetDevice } from "../../src/ffi/vfio-reset.ts";
import { getIommuInfo } from "../../src/ffi/vfio-type1.ts";
import { vfioRequest } from "../../src/regs/ioctl/index.ts";
import { fakeIoctl, type Answer } from "../support/fake-ioctl.ts";

const ebad = (text: string): unknown =>
  expect.objectContaining({ code: "EBADINFO", message: expect.stringContaining(text) });

/** A kernel whose INFO struct has these bytes: it fills what there is room for, and says how much it wants. */
function says(reply: Uint8Array, fixed: number): Answer {
  return (_, memory) => {
    const room = memory.getUint32(0, true);
    const fits = room >= reply.length;
    for (let i = 4; i < (fits ? reply.length : fixed); i++) memory.setUint8(i, reply[i]!);
    memory.setUint32(0, reply.length, true);
    return 0;
  };
}

/** Little-endian parts: [width in bytes, value]. */
function pack(...parts: [width: 2 | 4 | 8, value: number][]): Uint8Array {
  return Uint8Array.from(
    parts.flatMap(([width, value]) =>
      Array.from({ length: width }, (_, i) => Number((BigInt(value) >> BigInt(8 * i)) & 0xffn)),
    ),
  );
}

/** A region info of 32 bytes and what follows. */
const region = (flags: number, capOffset: number, tail: Uint8Array = new Uint8Array()): Uint8Array =>
  Uint8Array.from([...pack([4, 0], [4, flags], [4, 2], [4, capOffset], [8, 0x4000], [8, 2 ** 41]), ...tail]);

describe("a region", () => {
  test("without capabilities: one request", () => {
    using kernel = fakeIoctl(says(region(7, 0), 32));
    expect(getRegionInfo(5, 2)).toEqual({
      index: 2,
      size: 0x4000,
      offset: 2 ** 41,
      readable: true,
      writable: true,
      mappable: true,
      sparse: undefined,
      msixMappable: false,
      type: undefined,
      nvlinkTarget: undefined,
      nvlinkSpeed: undefined,
      capabilities: [],
    });
    expect(kernel.asked.map(({ request, bytes }) => [request, bytes!.length, bytes![8]])).toEqual([
      [vfioRequest.DEVICE_GET_REGION_INFO, 32, 2],
    ]);
  });

  test("with every capability there is: asked again with room", () => {
    const tail = [
      ...pack([2, 1], [2, 1], [4, 80], [4, 2], [4, 0], [8, 0], [8, 0x1000], [8, 0x3000], [8, 0x1000]), // 32: sparse
      ...pack([2, 2], [2, 1], [4, 96], [4, 0x8000_8086], [4, 3]), // 80: type
      ...pack([2, 3], [2, 1], [4, 104]), // 96: MSI-X mappable
      ...pack([2, 4], [2, 1], [4, 120], [8, 0x123456789]), // 104
      ...pack([2, 5], [2, 1], [4, 136], [4, 25], [4, 0]), // 120
      ...pack([2, 99], [2, 7], [4, 0], [8, 42]), // 136: one of a newer kernel
    ];
    using kernel = fakeIoctl(says(region(0xf, 32, Uint8Array.from(tail)), 32));
    const info = getRegionInfo(5, 2);
    expect(info).toMatchObject({
      sparse: [
        { offset: 0, size: 0x1000 },
        { offset: 0x3000, size: 0x1000 },
      ],
      type: { type: 0x8000_8086, subtype: 3 },
      msixMappable: true,
      nvlinkTarget: 0x123456789n,
      nvlinkSpeed: 25,
    });
    expect(info.capabilities.map(({ id, version }) => [id, version])).toEqual([
      [1, 1],
      [2, 1],
      [3, 1],
      [4, 1],
      [5, 1],
      [99, 7],
    ]);
    expect(kernel.asked.map(({ bytes }) => bytes!.length)).toEqual([32, 152]);
  });

  test("a chain that turns back, leaves the struct, or begins inside of it is an error, not a loop", () => {
    for (const [first, next] of [
      [32, 32],
      [32, 16],
      [32, 4000],
      [32, 37],
      [8, 0],
      [4000, 0],
    ] as const) {
      using _kernel = fakeIoctl(says(region(0xf, first, pack([2, 99], [2, 1], [4, next])), 32));
      expect(() => getRegionInfo(5, 2, { device: "0000:01:00.0" })).toThrow(
        ebad("0000:01:00.0: VFIO_DEVICE_GET_REGION_INFO BAR2 has a capability at"),
      );
    }
  });

  test("more sparse areas than there is room for", () => {
    using _kernel = fakeIoctl(says(region(0xf, 32, pack([2, 1], [2, 1], [4, 0], [4, 9], [4, 0])), 32));
    expect(() => getRegionInfo(5, 2)).toThrow(ebad("has 9 sparse areas in 16 bytes"));
  });

  test.each([
    [1, "vfio_region_info_cap_sparse_mmap, which has 16"],
    [2, "vfio_region_info_cap_type, which has 16"],
    [4, "vfio_region_info_cap_nvlink2_ssatgt, which has 16"],
    [5, "vfio_region_info_cap_nvlink2_lnkspd, which has 16"],
  ])("a capability %i that is cut off", (id, text) => {
    using _kernel = fakeIoctl(says(region(0xf, 32, pack([2, id], [2, 1], [4, 0])), 32));
    expect(() => getRegionInfo(5, 2)).toThrow(ebad(`has 8 bytes of a ${text}`));
  });

  test("a kernel that always wants more, or far too much, is not followed", () => {
    using kernel = fakeIoctl((_, memory) => (memory.setUint32(0, memory.getUint32(0, true) + 8, true), 0));
    expect(() => getRegionInfo(5, 2)).toThrow(ebad("asks for"));
    expect(kernel.asked.length).toBe(4);
    using _huge = fakeIoctl((_, memory) => (memory.setUint32(0, 0xffff_ffff, true), 0));
    expect(() => getRegionInfo(5, 2)).toThrow(ebad("asks for 4294967295 bytes"));
  });
});

test("the device: flags, counts, and the AtomicOps that the host completes", () => {
  const tail = pack([2, 5], [2, 1], [4, 0], [4, 5], [4, 0]);
  const reply = Uint8Array.from([...pack([4, 0], [4, 0x83], [4, 9], [4, 5], [4, 24], [4, 0]), ...tail]);
  using _kernel = fakeIoctl(says(reply, 24));
  expect(getDeviceInfo(5)).toMatchObject({
    flags: 0x83,
    isPci: true,
    resettable: true,
    regions: 9,
    irqs: 5,
    atomicCompletion: [32, 128],
  });
});

test("an interrupt index", () => {
  using _kernel = fakeIoctl((_, memory) => {
    expect(memory.getUint32(8, true)).toBe(2);
    memory.setUint32(4, 0b1011, true);
    memory.setUint32(12, 65, true);
    return 0;
  });
  expect(getIrqInfo(5, 2)).toEqual({
    index: 2,
    count: 65,
    eventfd: true,
    maskable: true,
    automasked: false,
    noResize: true,
  });
});

describe("the IOMMU of a container", () => {
  test("with ranges up to the last address, the log and the room for mappings", () => {
    const head = pack([4, 0], [4, 3], [8, 0x40201000], [4, 24], [4, 0]);
    const reply = Uint8Array.from([
      ...head,
      ...pack([2, 1], [2, 1], [4, 72], [4, 2], [4, 0], [8, 0], [8, 0xfedfffff], [8, 0xfef00000]),
      ...new Array<number>(8).fill(0xff),
      ...pack([2, 2], [2, 1], [4, 104], [4, 0], [4, 0], [8, 4096], [8, 2 ** 28]),
      ...pack([2, 3], [2, 1], [4, 0], [4, 65535]),
    ]);
    using _kernel = fakeIoctl(says(reply, 24));
    const info = getIommuInfo(5);
    expect(info).toMatchObject({
      pageSizes: 0x40201000n,
      ranges: [
        { first: 0n, last: 0xfedfffffn },
        { first: 0xfef00000n, last: 2n ** 64n - 1n },
      ],
      available: 65535,
      dirtyLog: { pageSizes: 4096n, maxBitmap: 2 ** 28 },
    });
  });

  test("of an old kernel, which says nothing", () => {
    using _kernel = fakeIoctl(says(pack([4, 0], [4, 0], [8, 0], [4, 0], [4, 0]), 24));
    expect(getIommuInfo(5)).toMatchObject({
      pageSizes: 4096n,
      ranges: undefined,
      available: undefined,
      dirtyLog: undefined,
    });
  });

  test("with more ranges than there is room for", () => {
    const reply = Uint8Array.from([
      ...pack([4, 0], [4, 3], [8, 4096], [4, 24], [4, 0]),
      ...pack([2, 1], [2, 1], [4, 0], [4, 0xffffffff], [4, 0]),
    ]);
    using _kernel = fakeIoctl(says(reply, 24));
    expect(() => getIommuInfo(5)).toThrow(ebad("has 4294967295 IOVA ranges"));
  });
});

describe("resets", () => {
  const device = (id: number, bus: number): Uint8Array => pack([4, id], [2, 0], [2, bus | (8 << 8)]);
  const hot =
    (flags: number, ...devices: Uint8Array[]): Answer =>
    (_, memory) => {
      const room = (memory.getUint32(0, true) - 12) / 8;
      memory.setUint32(4, flags, true);
      memory.setUint32(8, devices.length, true);
      if (room < devices.length) return -28;
      devices.flatMap((one) => [...one]).forEach((byte, i) => memory.setUint8(12 + i, byte));
      return 0;
    };

  test("of the function", () => {
    using _kernel = fakeIoctl(() => -22);
    expect(() => resetDevice(5, { device: "0000:01:00.0" })).toThrow(
      "0000:01:00.0: VFIO_DEVICE_RESET fails with EINVAL",
    );
  });

  test("hot: by groups, and by ids in an iommufd", () => {
    {
      using _kernel = fakeIoctl(hot(0, device(12, 1)));
      expect(getHotResetInfo(5)).toEqual({
        devices: [{ segment: 0, bus: 1, devfn: 8, group: 12, devid: undefined, owned: undefined }],
        allOwned: undefined,
      });
    }
    using _kernel = fakeIoctl(hot(3, device(7, 1), device(0, 2), device(0xffffffff, 3)));
    expect(getHotResetInfo(5)).toEqual({
      devices: [
        { segment: 0, bus: 1, devfn: 8, group: undefined, devid: 7, owned: true },
        { segment: 0, bus: 2, devfn: 8, group: undefined, devid: undefined, owned: true },
        { segment: 0, bus: 3, devfn: 8, group: undefined, devid: undefined, owned: false },
      ],
      allOwned: true,
    });
  });

  test("hot: more functions than expected are asked for again; too many are refused", () => {
    const many = Array.from({ length: 100 }, (_, i) => device(i, i));
    using kernel = fakeIoctl(hot(0, ...many));
    expect(getHotResetInfo(5).devices.length).toBe(100);
    expect(kernel.asked.map(({ bytes }) => bytes!.length)).toEqual([12 + 8 * 32, 12 + 8 * 100]);
    using _huge = fakeIoctl((_, memory) => (memory.setUint32(8, 0xffff_ffff, true), -28));
    expect(() => getHotResetInfo(5)).toThrow(ebad("asks for room"));
    using _lying = fakeIoctl((_, memory) => (memory.setUint32(8, 1000, true), 0));
    expect(() => getHotResetInfo(5)).toThrow(ebad("has 1000 devices in room for 32"));
  });

  test("hot: the reset itself names every group", () => {
    using kernel = fakeIoctl();
    hotReset(5, [7, 300]);
    expect([...kernel.asked[0]!.bytes!]).toEqual([...pack([4, 20], [4, 0], [4, 2], [4, 7], [4, 300])]);
  });
});
