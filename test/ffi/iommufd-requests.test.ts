// What each typed function of iommufd asks the kernel, and what it makes of the answer.
import { describe, expect, test } from "bun:test";
import * as hardware from "../../src/ffi/iommufd-hardware.ts";
import * as hwpt from "../../src/ffi/iommufd-hwpt.ts";
import * as ioas from "../../src/ffi/iommufd-ioas.ts";
import * as map from "../../src/ffi/iommufd-map.ts";
import * as option from "../../src/ffi/iommufd-option.ts";
import * as viommu from "../../src/ffi/iommufd-viommu.ts";
import * as uapi from "../../src/regs/ioctl/index.ts";
import { bytesAt, fakeIoctl, type Answer, type Asked } from "../support/fake-ioctl.ts";

const { iommufdRequest, view } = uapi;

/** The only request of a call. */
function asks(call: () => unknown, answer?: Answer): Asked {
  using kernel = fakeIoctl(answer);
  call();
  expect(kernel.asked.length).toBe(1);
  expect(new DataView(kernel.asked[0]!.bytes!.buffer).getUint32(0, true)).toBeLessThanOrEqual(
    kernel.asked[0]!.bytes!.length,
  );
  return kernel.asked[0]!;
}
/** Writes a 32-bit result at an offset. */
const gives =
  (offset: number, value: number): Answer =>
  (_, memory) => (memory.setUint32(offset, value, true), 0);

const nothing = new Uint8Array(0);

describe("address spaces", () => {
  test("made, destroyed", () => {
    const alloc = asks(() => expect(ioas.allocIoas(5)).toBe(7), gives(8, 7));
    expect(view(uapi.IommuIoasAlloc, alloc.bytes!)).toMatchObject({ size: 12, flags: 0 });
    const destroy = asks(() => ioas.destroyObject(5, 7));
    expect([destroy.request, ...destroy.bytes!]).toEqual([iommufdRequest.DESTROY, 8, 0, 0, 0, 7, 0, 0, 0]);
    using _kernel = fakeIoctl(() => -16);
    expect(() => ioas.destroyObject(5, 7, { device: "IOAS 7" })).toThrow(
      "IOAS 7: IOMMU_DESTROY 7 fails with EBUSY",
    );
  });

  test("ranges: asked for again where there are more than expected, and not forever", () => {
    const ranges =
      (count: number): Answer =>
      (_, memory) => {
        const room = memory.getUint32(8, true);
        memory.setUint32(8, count, true);
        memory.setBigUint64(24, 4096n, true);
        return room < count ? -90 : 0;
      };
    {
      using kernel = fakeIoctl(ranges(40));
      const { ranges: found, alignment } = ioas.getIovaRanges(5, 7);
      expect([found.length, alignment]).toEqual([40, 4096]);
      expect(kernel.asked.map(({ bytes }) => view(uapi.IommuIoasIovaRanges, bytes!).num_iovas)).toEqual([
        32, 40,
      ]);
    }
    using _many = fakeIoctl(ranges(5000));
    expect(() => ioas.getIovaRanges(5, 7)).toThrow("asks for room for 5000 ranges");
    using _lies = fakeIoctl((_, memory) => (memory.setUint32(8, 33, true), 0));
    expect(() => ioas.getIovaRanges(5, 7)).toThrow("has 33 ranges in room for 32");
    using _gone = fakeIoctl(() => -2);
    expect(() => ioas.getIovaRanges(5, 7)).toThrow("IOMMU_IOAS_IOVA_RANGES 7 fails with ENOENT");
  });

  test("allowed IOVAs lie where the pointer points", () => {
    let seen: Uint8Array = nothing;
    const allow = asks(
      () => ioas.allowIovas(5, 7, [{ first: 0x1000n, last: 2n ** 64n - 1n }]),
      (_, memory) => ((seen = bytesAt(memory.getBigUint64(16, true), 16)), 0),
    );
    expect(view(uapi.IommuIoasAllowIovas, allow.bytes!)).toMatchObject({
      size: 24,
      ioas_id: 7,
      num_iovas: 1,
    });
    expect(view(uapi.IommuIovaRange, seen)).toMatchObject({ start: 0x1000n, last: 2n ** 64n - 1n });
  });

  test("copy, change of process, physical address", () => {
    const copy = asks(() =>
      ioas.copyIoas(5, { from: 1, fromIova: 0x1000, to: 2, toIova: 0x2000, length: 0x3000, flags: 7 }),
    );
    expect(view(uapi.IommuIoasCopy, copy.bytes!)).toMatchObject({
      size: 40,
      flags: 7,
      dst_ioas_id: 2,
      src_ioas_id: 1,
      length: 0x3000n,
      dst_iova: 0x2000n,
      src_iova: 0x1000n,
    });
    expect([...asks(() => ioas.changeIoasProcess(5)).bytes!]).toEqual([8, 0, 0, 0, 0, 0, 0, 0]);
    const physical = asks(
      () =>
        expect(ioas.getPhysicalAddress(5, 7, 0x1000, 0x2000)).toEqual({ address: 0x9000n, length: 0x1000n }),
      (_, memory) => {
        memory.setBigUint64(24, 0x1000n, true);
        memory.setBigUint64(32, 0x9000n, true);
        return 0;
      },
    );
    expect(view(uapi.IommuIoasNoiommuGetPa, physical.bytes!)).toMatchObject({
      size: 40,
      ioas_id: 7,
      iova: 0x1000n,
      length: 0x2000n,
    });
  });
});

describe("mappings", () => {
  test("of memory, of files, and back", () => {
    const memory = asks(() =>
      expect(map.mapIoas(5, 7, 7, 0x7f0000000000, 0x2000, 0x1_0000_0000)).toBe(0x1_0000_0000n),
    );
    expect(view(uapi.IommuIoasMap, memory.bytes!)).toMatchObject({
      size: 40,
      flags: 7,
      ioas_id: 7,
      user_va: 0x7f0000000000n,
      length: 0x2000n,
      iova: 0x1_0000_0000n,
    });
    const file = asks(() => map.mapIoasFile(5, 7, 3, 9, 0x1000, 0x2000, 0x3000));
    expect(view(uapi.IommuIoasMapFile, file.bytes!)).toMatchObject({
      size: 40,
      flags: 3,
      ioas_id: 7,
      fd: 9,
      start: 0x1000n,
      length: 0x2000n,
      iova: 0x3000n,
    });
    const unmap = asks(() => expect(map.unmapIoas(5, 7, 0, 2n ** 64n - 1n)).toBe(2n ** 64n - 1n));
    expect(view(uapi.IommuIoasUnmap, unmap.bytes!)).toMatchObject({
      size: 24,
      ioas_id: 7,
      iova: 0n,
      length: 2n ** 64n - 1n,
    });
    using _kernel = fakeIoctl(() => -14);
    expect(() => map.mapIoas(5, 7, 5, 0x1000, 0x2000, 0x3000)).toThrow(
      "IOMMU_IOAS_MAP 7 FIXED_IOVA+READABLE iova 0x3000 size 0x2000 address 0x1000 fails with EFAULT",
    );
  });

  test("whether files can be mapped is found without mapping any: the struct is too short", () => {
    const known = asks(
      () => expect(map.knowsMapFile(5)).toBe(true),
      () => -22,
    );
    expect([known.request, known.bytes![0]]).toEqual([iommufdRequest.IOAS_MAP_FILE, 4]);
    asks(
      () => expect(map.knowsMapFile(5)).toBe(false),
      () => -25,
    );
  });
});

describe("options, and the IOAS behind a container", () => {
  test("options", () => {
    const get = asks(
      () => expect(option.getIommuOption(5, uapi.iommuOption.HUGE_PAGES, 7)).toBe(1n),
      (_, memory) => (memory.setBigUint64(16, 1n, true), 0),
    );
    expect(view(uapi.IommuOption, get.bytes!)).toMatchObject({ size: 24, option_id: 1, op: 1, object_id: 7 });
    const set = asks(() => option.setIommuOption(5, 0, 0, 1n));
    expect(view(uapi.IommuOption, set.bytes!)).toMatchObject({ option_id: 0, op: 0, val64: 1n });
    using _kernel = fakeIoctl(() => -1);
    expect(() => option.setIommuOption(5, 0, 0, 1n)).toThrow(
      "IOMMU_OPTION SET RLIMIT_MODE of 0 to 1 fails with EPERM",
    );
  });

  test("the IOAS: got, set, cleared; and whether a descriptor is an iommufd's at all", () => {
    expect(
      view(uapi.IommuVfioIoas, asks(() => expect(option.getVfioIoas(5)).toBe(3), gives(4, 3)).bytes!),
    ).toMatchObject({ size: 12, op: 0 });
    asks(
      () => expect(option.getVfioIoas(5)).toBeUndefined(),
      () => -19,
    );
    expect(view(uapi.IommuVfioIoas, asks(() => option.setVfioIoas(5, 4)).bytes!)).toMatchObject({
      op: 1,
      ioas_id: 4,
    });
    expect(view(uapi.IommuVfioIoas, asks(() => option.clearVfioIoas(5)).bytes!)).toMatchObject({ op: 2 });
    for (const [result, is] of [
      [0, true],
      [-19, true],
      [-22, false],
      [-25, false],
    ] as const)
      asks(
        () => expect(option.answersAsIommufd(5)).toBe(is),
        () => result,
      );
  });
});

describe("page tables and hardware", () => {
  test("a HWPT: 40 bytes for every kernel, 48 with a fault queue, data where the pointer points", () => {
    const plain = asks(() => expect(hwpt.allocHwpt(5, { device: 2, parent: 7 })).toBe(8), gives(16, 8));
    expect(view(uapi.IommuHwptAlloc, plain.bytes!)).toMatchObject({
      size: 40,
      flags: 0,
      dev_id: 2,
      pt_id: 7,
      data_len: 0,
      data_uptr: 0n,
    });
    let seen: Uint8Array = nothing;
    const full = asks(
      () =>
        hwpt.allocHwpt(5, {
          device: 2,
          parent: 7,
          flags: 1,
          dataType: 1,
          data: Uint8Array.of(9, 8, 7),
          fault: 6,
        }),
      (_, memory) => ((seen = bytesAt(memory.getBigUint64(32, true), 3)), 0),
    );
    expect(view(uapi.IommuHwptAlloc, full.bytes!)).toMatchObject({
      size: 48,
      flags: 5,
      data_type: 1,
      data_len: 3,
      fault_id: 6,
    });
    expect([...seen]).toEqual([9, 8, 7]);
  });

  test("invalidation says how many entries were done, in the error too", () => {
    const target = { id: 8, dataType: 0, entrySize: 24 };
    const done = asks(() => expect(hwpt.invalidateHwpt(5, target, new Uint8Array(48))).toBe(2));
    expect(view(uapi.IommuHwptInvalidate, done.bytes!)).toMatchObject({
      size: 32,
      hwpt_id: 8,
      entry_len: 24,
      entry_num: 2,
    });
    using _kernel = fakeIoctl((_, memory) => (memory.setUint32(24, 1, true), -5));
    expect(() => hwpt.invalidateHwpt(5, target, new Uint8Array(48))).toThrow(
      "IOMMU_HWPT_INVALIDATE 8, 1 of 2 done fails with EIO",
    );
    expect(() => hwpt.invalidateHwpt(5, target, new Uint8Array(30))).toThrow(RangeError);
  });

  test("dirty tracking", () => {
    expect(
      [true, false].map(
        (on) =>
          view(uapi.IommuHwptSetDirtyTracking, asks(() => hwpt.setHwptDirtyTracking(5, 8, on)).bytes!).flags,
      ),
    ).toEqual([1, 0]);
    const bitmap = new Uint8Array(new ArrayBuffer(8)).fill(5);
    let seen: Uint8Array = nothing;
    const get = asks(
      () => hwpt.getHwptDirtyBitmap(5, 8, { iova: 0x1000, size: 0x2000 }, 4096, bitmap, 1),
      (_, memory) => ((seen = bytesAt(memory.getBigUint64(40, true), 8)), 0),
    );
    expect(view(uapi.IommuHwptGetDirtyBitmap, get.bytes!)).toMatchObject({
      size: 48,
      hwpt_id: 8,
      flags: 1,
      iova: 0x1000n,
      length: 0x2000n,
      page_size: 4096n,
    });
    expect(seen).toEqual(bitmap);
  });

  test("what the IOMMU is", () => {
    const asked = asks(
      () =>
        expect(hardware.getHardwareInfo(5, 2)).toEqual({
          type: 1,
          data: new Uint8Array(24),
          capabilities: 3n,
          pasidBits: 20,
        }),
      (_, memory) => {
        memory.setUint32(12, 24, true);
        memory.setUint32(24, 1, true);
        memory.setUint8(28, 20);
        memory.setBigUint64(32, 3n, true);
        return 0;
      },
    );
    expect(view(uapi.IommuHwInfo, asked.bytes!)).toMatchObject({
      size: 40,
      flags: 0,
      dev_id: 2,
      data_len: 4096,
    });
    const typed = asks(() => hardware.getHardwareInfo(5, 2, 2));
    expect(view(uapi.IommuHwInfo, typed.bytes!)).toMatchObject({ flags: 1, in_data_type: 2 });
  });

  test("fault queues, vIOMMUs, and what is in them", () => {
    const fault = asks(
      () => expect(hardware.allocFaultQueue(5)).toEqual({ id: 3, fd: 44 }),
      (_, memory) => (memory.setUint32(8, 3, true), memory.setUint32(12, 44, true), 0),
    );
    expect(fault.bytes!.length).toBe(16);
    const plain = asks(() => expect(viommu.allocViommu(5, 1, 2, 8)).toBe(9), gives(20, 9));
    expect(view(uapi.IommuViommuAlloc, plain.bytes!)).toMatchObject({
      size: 24,
      type: 1,
      dev_id: 2,
      hwpt_id: 8,
    });
    const data = asks(() => viommu.allocViommu(5, 1, 2, 8, Uint8Array.of(1, 2)));
    expect(view(uapi.IommuViommuAlloc, data.bytes!)).toMatchObject({ size: 40, data_len: 2 });
    const vdevice = asks(() => expect(viommu.allocVdevice(5, 9, 2, 0x108n)).toBe(10), gives(12, 10));
    expect(view(uapi.IommuVdeviceAlloc, vdevice.bytes!)).toMatchObject({
      size: 24,
      viommu_id: 9,
      dev_id: 2,
      virt_id: 0x108n,
    });
    const events = asks(
      () => expect(viommu.allocEventQueue(5, 9, 1, 16)).toEqual({ id: 11, fd: 45 }),
      (_, memory) => (memory.setUint32(20, 11, true), memory.setUint32(24, 45, true), 0),
    );
    expect(view(uapi.IommuVeventqAlloc, events.bytes!)).toMatchObject({
      size: 32,
      viommu_id: 9,
      type: 1,
      veventq_depth: 16,
    });
    const queue = asks(
      () =>
        expect(viommu.allocHardwareQueue(5, 9, { type: 0, index: 2, address: 0x4000n, size: 0x1000n })).toBe(
          12,
        ),
      gives(20, 12),
    );
    expect(view(uapi.IommuHwQueueAlloc, queue.bytes!)).toMatchObject({
      size: 40,
      viommu_id: 9,
      index: 2,
      nesting_parent_iova: 0x4000n,
      length: 0x1000n,
    });
  });
});
