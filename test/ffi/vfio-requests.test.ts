// What each typed function of VFIO asks the kernel, and what it makes of the answer.
import { describe, expect, test } from "bun:test";
import * as cdev from "../../src/ffi/vfio-cdev.ts";
import * as container from "../../src/ffi/vfio-container.ts";
import * as feature from "../../src/ffi/vfio-feature.ts";
import * as graphics from "../../src/ffi/vfio-graphics.ts";
import * as group from "../../src/ffi/vfio-group.ts";
import { setIoeventfd } from "../../src/ffi/vfio-ioeventfd.ts";
import { IrqSetBuffer, irqSetText, setIrqs, trySetIrqs, type IrqSet } from "../../src/ffi/vfio-irqs.ts";
import { getPrecopyInfo } from "../../src/ffi/vfio-migration.ts";
import * as type1 from "../../src/ffi/vfio-type1.ts";
import * as uapi from "../../src/regs/ioctl/index.ts";
import { bytesAt, fakeIoctl, type Answer, type Asked } from "../support/fake-ioctl.ts";
import { refusal } from "../support/refusal.ts";

const { vfioRequest, view } = uapi;

/** The only request of a call. */
function asks(call: () => unknown, answer?: Answer): Asked {
  using kernel = fakeIoctl(answer);
  call();
  expect(kernel.asked.length).toBe(1);
  return kernel.asked[0]!;
}

describe("container and group", () => {
  test("requests that take a number", () => {
    expect(asks(() => container.getApiVersion(5))).toMatchObject({
      fd: 5,
      request: vfioRequest.GET_API_VERSION,
    });
    expect(asks(() => container.checkExtension(5, 9))).toMatchObject({
      request: vfioRequest.CHECK_EXTENSION,
      number: 9,
    });
    expect(asks(() => container.setIommu(5, 3))).toMatchObject({ request: vfioRequest.SET_IOMMU, number: 3 });
    expect(asks(() => group.unsetGroupContainer(5)).request).toBe(vfioRequest.GROUP_UNSET_CONTAINER);
    expect(asks(() => type1.enableIommu(5)).request).toBe(vfioRequest.IOMMU_ENABLE);
    expect(asks(() => type1.disableIommu(5)).request).toBe(vfioRequest.IOMMU_DISABLE);
  });

  test("the group's status, container and device", () => {
    using kernel = fakeIoctl(({ request }, memory) => {
      if (request !== vfioRequest.GROUP_GET_STATUS) return 11;
      memory.setUint32(4, 1, true);
      return 0;
    });
    expect(group.getGroupStatus(5)).toEqual({ viable: true, containerSet: false });
    group.setGroupContainer(5, 300);
    expect(group.getGroupDeviceFd(5, "0000:01:00.0")).toBe(11);
    expect(kernel.asked.map(({ bytes }) => [...bytes!])).toEqual([
      [8, 0, 0, 0, 0, 0, 0, 0],
      [44, 1, 0, 0],
      [..."0000:01:00.0\0"].map((one) => one.charCodeAt(0)),
    ]);
  });

  test("a VF token is not in the message", () => {
    using _kernel = fakeIoctl(() => -13);
    const error = refusal(() =>
      group.getGroupDeviceFd(5, "0000:01:00.0 vf_token=00112233-4455-6677-8899-aabbccddeeff"),
    );
    expect(error.message).toBe("VFIO_GROUP_GET_DEVICE_FD 0000:01:00.0 vf_token=... fails with EACCES");
  });
});

describe("cdev", () => {
  test("bind: 16 bytes without a token, 24 with one, which is where the pointer points", () => {
    const plain = asks(() => cdev.bindIommufd(5, 6, undefined));
    expect(view(uapi.VfioDeviceBindIommufd, plain.bytes!)).toMatchObject({ argsz: 16, flags: 0, iommufd: 6 });
    const token = Uint8Array.from({ length: 16 }, (_, i) => i + 1);
    let seen: Uint8Array | undefined;
    const bound = asks(
      () => expect(cdev.bindIommufd(5, 6, token)).toBe(9),
      (_, memory) => {
        seen = bytesAt(memory.getBigUint64(16, true), 16);
        memory.setUint32(12, 9, true);
        return 0;
      },
    );
    expect(view(uapi.VfioDeviceBindIommufd, bound.bytes!)).toMatchObject({ argsz: 24, flags: 1, iommufd: 6 });
    expect(seen).toEqual(token);
    expect(() => cdev.bindIommufd(5, 6, new Uint8Array(4))).toThrow(RangeError);
  });

  test("attach and detach: the sizes that old kernels know, unless there is a PASID", () => {
    const attach = asks(() => cdev.attachIommufdPt(5, 3));
    expect(view(uapi.VfioDeviceAttachIommufdPt, attach.bytes!)).toMatchObject({
      argsz: 12,
      flags: 0,
      pt_id: 3,
    });
    const pasid = asks(() => cdev.attachIommufdPt(5, 3, 77));
    expect(view(uapi.VfioDeviceAttachIommufdPt, pasid.bytes!)).toMatchObject({
      argsz: 16,
      flags: 1,
      pt_id: 3,
      pasid: 77,
    });
    const detach = asks(() => cdev.detachIommufdPt(5));
    expect(view(uapi.VfioDeviceDetachIommufdPt, detach.bytes!)).toMatchObject({ argsz: 8, flags: 0 });
    const detachPasid = asks(() => cdev.detachIommufdPt(5, 77));
    expect(view(uapi.VfioDeviceDetachIommufdPt, detachPasid.bytes!)).toMatchObject({
      argsz: 12,
      flags: 1,
      pasid: 77,
    });
  });
});

describe("SET_IRQS", () => {
  const buffer = new IrqSetBuffer(64);
  const header = ({ bytes }: Asked): object => {
    const { argsz, flags, index, start, count } = view(uapi.VfioIrqSet, bytes!, 0, bytes!.length);
    return { argsz, flags, index, start, count };
  };
  const sets: [set: IrqSet, flags: number, tail: number[], text: string][] = [
    [
      { index: 0, action: "unmask", start: 0, data: { kind: "none", count: 1 } },
      0x11,
      [],
      "VFIO_DEVICE_SET_IRQS INTX unmask none start 0 count 1",
    ],
    [
      { index: 1, action: "mask", start: 2, data: { kind: "bool", values: [true, false, true] } },
      0x0a,
      [1, 0, 1],
      "VFIO_DEVICE_SET_IRQS MSI mask bool start 2 count 3",
    ],
    [
      { index: 2, action: "trigger", start: 4, data: { kind: "eventfd", fds: [7, -1] } },
      0x24,
      [7, 0, 0, 0, 255, 255, 255, 255],
      "VFIO_DEVICE_SET_IRQS MSIX trigger eventfd start 4 count 2",
    ],
    [
      { index: 4, action: "trigger", start: 0, data: { kind: "none", count: 0 } },
      0x21,
      [],
      "VFIO_DEVICE_SET_IRQS REQ trigger none start 0 count 0",
    ],
  ];
  for (const [set, flags, tail, text] of sets)
    test(text, () => {
      expect(irqSetText(set)).toBe(text);
      const asked = asks(() => setIrqs(5, set, buffer));
      const count = set.data.kind === "none" ? set.data.count : set.data.kind === "bool" ? 3 : 2;
      expect(header(asked)).toEqual({
        argsz: 20 + tail.length,
        flags,
        index: set.index,
        start: set.start,
        count,
      });
      expect([...asked.bytes!.subarray(20, 20 + tail.length)]).toEqual(tail);
    });

  test("the memory is the same each time, and of one device", () => {
    const set = sets[0]![0];
    expect(buffer.fill(set)).toBe(buffer.fill(sets[2]![0]));
  });

  test("what does not fit is refused before the kernel sees it", () => {
    using kernel = fakeIoctl();
    const set = (start: number, fds: number[]): IrqSet => ({
      index: 2,
      action: "trigger",
      start,
      data: { kind: "eventfd", fds },
    });
    for (const bad of [
      set(-1, []),
      set(0.5, []),
      set(2 ** 32, []),
      set(0, [1.5]),
      set(0, [-2]),
      set(0, [2 ** 31]),
    ])
      expect(() => setIrqs(5, bad, buffer)).toThrow(RangeError);
    expect(() => setIrqs(5, set(0, new Array<number>(65).fill(-1)), buffer)).toThrow(
      "at most 64 vectors, not 65",
    );
    expect(() => new IrqSetBuffer(65536)).toThrow(RangeError);
    expect(kernel.asked).toEqual([]);
  });

  test("fewer vectors than asked for is a result, not an error; a refusal may be an answer", () => {
    using _kernel = fakeIoctl(() => 3);
    expect(setIrqs(5, sets[2]![0], buffer)).toBe(3);
    using _refusing = fakeIoctl(() => -22);
    expect(trySetIrqs(5, sets[2]![0], buffer)).toBe(-22);
  });
});

describe("DEVICE_FEATURE", () => {
  test("a probe asks for each way without using any; a feature that is not there is undefined", () => {
    using kernel = fakeIoctl((_, memory) => (memory.getUint32(4, true) & 0x20000 ? 0 : -22));
    expect(feature.probeFeature(5, uapi.vfioFeature.PCI_VF_TOKEN)).toEqual({ get: false, set: true });
    expect(kernel.asked.map(({ bytes }) => new DataView(bytes!.buffer).getUint32(4, true))).toEqual([
      0x50000, 0x60000,
    ]);
    using _unknown = fakeIoctl(() => -25);
    expect(feature.probeFeature(5, 0xffff)).toBeUndefined();
    expect(() => feature.probeFeature(5, 0x10000)).toThrow(RangeError);
  });

  test("get and set carry the feature's struct both ways", () => {
    using kernel = fakeIoctl((_, memory) => (memory.setUint8(8, memory.getUint8(8) + 1), 4));
    const data = Uint8Array.of(1, 2, 3, 4);
    expect(feature.getFeature(5, 1, data)).toBe(4);
    expect(feature.setFeature(5, 2, data)).toBe(4);
    expect([...data]).toEqual([3, 2, 3, 4]);
    expect(kernel.asked.map(({ bytes }) => [...bytes!])).toEqual([
      [12, 0, 0, 0, 1, 0, 1, 0, 1, 2, 3, 4],
      [12, 0, 0, 0, 2, 0, 2, 0, 2, 2, 3, 4],
    ]);
    expect(() => feature.setFeature(5, 2, new Uint8Array(2 ** 20 + 1))).toThrow(RangeError);
  });

  test("a refusal names the feature", () => {
    using _kernel = fakeIoctl(() => -25);
    expect(refusal(() => feature.setFeature(5, 5)).request).toBe("VFIO_DEVICE_FEATURE SET LOW_POWER_EXIT");
  });
});

describe("type 1", () => {
  test("map and unmap", () => {
    const map = asks(() => type1.mapDma(5, 3, 0x7f0000001000, 0x1_0000_0000n, 0x2000));
    expect(view(uapi.VfioIommuType1DmaMap, map.bytes!)).toMatchObject({
      argsz: 32,
      flags: 3,
      vaddr: 0x7f0000001000n,
      iova: 0x1_0000_0000n,
      size: 0x2000n,
    });
    const unmap = asks(
      () => expect(type1.unmapDma(5, 2, 0, 0)).toBe(0x5000),
      (_, memory) => (memory.setBigUint64(16, 0x5000n, true), 0),
    );
    expect(view(uapi.VfioIommuType1DmaUnmap, unmap.bytes!)).toMatchObject({ argsz: 24, flags: 2, iova: 0n });
    using _full = fakeIoctl(() => -28);
    expect(refusal(() => type1.mapDma(5, 1, 0x1000, 0x2000, 0x3000)).message).toBe(
      "VFIO_IOMMU_MAP_DMA READ iova 0x2000 size 0x3000 address 0x1000 fails with ENOSPC",
    );
    expect(refusal(() => type1.unmapDma(5, 0, 0x2000, 0x3000)).message).toBe(
      "VFIO_IOMMU_UNMAP_DMA iova 0x2000 size 0x3000 fails with ENOSPC",
    );
  });

  test("the log of dirty pages: on, off, looked at, and at the last moment", () => {
    const range = { iova: 0x1000, size: 0x4000, pageSize: 4096, bitmap: new Uint8Array(new ArrayBuffer(8)) };
    expect(
      [asks(() => type1.setDirtyLog(5, true)), asks(() => type1.setDirtyLog(5, false))].map(
        ({ bytes }) => bytes![4],
      ),
    ).toEqual([1, 2]);
    // Both structs have the bitmap's description at 24.
    const mark: Answer = (_, memory) => {
      expect(memory.getBigUint64(24, true)).toBe(4096n);
      expect(memory.getBigUint64(32, true)).toBe(8n);
      expect([...bytesAt(memory.getBigUint64(40, true), 8)]).toEqual([...range.bitmap]);
      return 0;
    };
    const get = asks(() => type1.getDirtyBitmap(5, range), mark);
    expect(get.bytes!.length).toBe(48);
    expect([...get.bytes!.subarray(0, 8)]).toEqual([48, 0, 0, 0, 4, 0, 0, 0]);
    const unmap = asks(() => type1.unmapDmaDirty(5, range), mark);
    expect([...unmap.bytes!.subarray(0, 8)]).toEqual([48, 0, 0, 0, 1, 0, 0, 0]);
  });

  test("whether a container has its IOMMU", () => {
    using _with = fakeIoctl();
    expect(type1.hasIommu(5)).toBe(true);
    using _without = fakeIoctl(() => -22);
    expect(type1.hasIommu(5)).toBe(false);
  });
});

test("ioeventfd, graphics and migration", () => {
  const write = asks(() => setIoeventfd(5, 4, 0x1_0000_0010, 0xdeadn, -1));
  expect(view(uapi.VfioDeviceIoeventfd, write.bytes!)).toMatchObject({
    argsz: 32,
    flags: 4,
    offset: 0x1_0000_0010n,
    data: 0xdeadn,
    fd: -1,
  });
  const plane = asks(() => graphics.queryGfxPlane(5, 2, 1));
  expect(view(uapi.VfioDeviceGfxPlaneInfo, plane.bytes!)).toMatchObject({
    argsz: 64,
    flags: 2,
    drm_plane_type: 1,
  });
  expect([...asks(() => graphics.getGfxDmabuf(5, 258)).bytes!]).toEqual([2, 1, 0, 0]);
  asks(
    () => expect(getPrecopyInfo(5)).toEqual({ flags: 1, initialBytes: 100, dirtyBytes: 200 }),
    (_, memory) => {
      memory.setUint32(4, 1, true);
      memory.setBigUint64(8, 100n, true);
      memory.setBigUint64(16, 200n, true);
      return 0;
    },
  );
});
