import { describe, expect, test } from "bun:test";
import { Struct as TypedStruct } from "typed-struct";
import {
  KvmIrqRouting,
  KvmIrqRoutingEntry,
  VfioDeviceFeature,
  VfioDeviceFeatureMigState,
  VfioInfoCapHeader,
  VfioIrqSet,
  VfioRegionInfo,
  Struct,
  VfioRegionInfoCapSparseMmap,
  allStructs,
  bytesOf,
  constants,
  create,
  kvmIrqRoutingType,
  uapiName,
  view,
  vfioIrqSetFlag,
  vfioPciIrq,
} from "../../../src/regs/ioctl/index.ts";

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString("hex");

describe("create", () => {
  test("makes a zeroed struct of the C size, in memory of its own that cannot move", () => {
    const info = create(VfioRegionInfo);
    expect(bytesOf(info)).toEqual(Buffer.alloc(32));
    expect(bytesOf(info).buffer.byteLength).toBe(32);
    expect(bytesOf(info).byteOffset).toBe(0);
  });

  test("puts file descriptors behind vfio_irq_set, byte for byte", () => {
    const fds = [7, -1];
    const set = create(VfioIrqSet, 4 * fds.length);
    set.argsz = bytesOf(set).byteLength;
    set.flags = vfioIrqSetFlag.DATA_EVENTFD | vfioIrqSetFlag.ACTION_TRIGGER;
    set.index = vfioPciIrq.MSIX;
    set.start = 1;
    set.count = fds.length;
    fds.forEach((fd, index) => set.data.writeInt32LE(fd, 4 * index));
    expect(hex(bytesOf(set))).toBe("1c00000024000000020000000100000002000000" + "07000000ffffffff");
  });

  test("puts entries behind kvm_irq_routing, byte for byte", () => {
    const routing = create(KvmIrqRouting, KvmIrqRoutingEntry.baseSize);
    routing.nr = 1;
    const [entry] = routing.entries;
    entry!.gsi = 24;
    entry!.type = kvmIrqRoutingType.MSI;
    entry!.u.msi.address_lo = 0xfee0_1000;
    entry!.u.msi.data = 0x4041;
    expect(hex(bytesOf(routing))).toBe(
      `0100000000000000180000000200000000000000000000000010e0fe0000000041400000${"00".repeat(20)}`,
    );
  });

  test("has no tail unless asked", () => {
    expect(create(VfioIrqSet).data.byteLength).toBe(0);
    expect(create(KvmIrqRouting).entries).toHaveLength(0);
  });

  test.each([-1, 1.5, NaN, 2 ** 32])("refuses a tail of %p bytes", (tail) => {
    expect(() => create(VfioIrqSet, tail)).toThrow(RangeError);
    expect(() => create(VfioIrqSet, tail)).toThrow("the tail of vfio_irq_set");
  });
});

describe("view", () => {
  test("shares the tail of a feature with the feature's own struct", () => {
    const feature = create(VfioDeviceFeature, VfioDeviceFeatureMigState.baseSize);
    const state = view(VfioDeviceFeatureMigState, feature.data);
    state.data_fd = -1;
    expect(hex(bytesOf(feature))).toBe("0000000000000000" + "00000000ffffffff");
  });

  test("reads a capability out of what the kernel returned, areas included", () => {
    const reply = new Uint8Array(new ArrayBuffer(32 + 48));
    const at = new DataView(reply.buffer);
    at.setUint16(32, 1, true); // SPARSE_MMAP
    at.setUint16(34, 1, true);
    at.setUint32(40, 2, true);
    at.setBigUint64(48, 0x1000n, true);
    at.setBigUint64(56, 0x3000n, true);
    at.setBigUint64(72, 0x4000n, true);
    const header = view(VfioInfoCapHeader, reply, 32);
    expect([header.id, header.version, header.next]).toEqual([1, 1, 0]);
    const sparse = view(VfioRegionInfoCapSparseMmap, reply, 32, 16 + 16 * 2);
    expect(sparse.areas.map(({ offset, size }) => [offset, size])).toEqual([
      [0x1000n, 0x3000n],
      [0n, 0x4000n],
    ]);
    sparse.nr_areas = 1;
    expect(at.getUint32(40, true)).toBe(1);
  });

  test.each([
    [25, 8],
    [-1, 8],
    [0.5, 8],
    [0, 7],
    [0, 33],
    [NaN, 8],
  ])("refuses offset %p and length %p of 32 bytes", (offset, length) => {
    expect(() => view(VfioInfoCapHeader, new Uint8Array(32), offset, length)).toThrow(RangeError);
  });
});

describe("members", () => {
  test("are typed: what the struct has, with the right type", () => {
    const info = create(VfioRegionInfo);
    // @ts-expect-error: no such member
    void info.sizes;
    // @ts-expect-error: 64 bits are a bigint
    void ((): void => void (info.size = 1));
    // @ts-expect-error: 32 bits are a number
    void ((): void => void (info.index = 1n));
    // @ts-expect-error: not a constant of this table
    expect(vfioPciIrq.MSIXX).toBeUndefined();
    info.size = 2n ** 64n - 1n;
    expect(info.size).toBe(0xffff_ffff_ffff_ffffn);
    expect(() => (info.size = 2n ** 64n)).toThrow(RangeError);
  });
});

describe("constants", () => {
  test("are frozen and know their C names", () => {
    const table = constants("A_", { B: 1 }, "_C");
    expect(Object.isFrozen(table)).toBe(true);
    expect(uapiName(table)).toEqual({ prefix: "A_", suffix: "_C" });
    expect(uapiName({ B: 1 })).toBeUndefined();
    // The type is the value, not `number`.
    const one: 1 = table.B;
    expect(one).toBe(1);
  });
});

describe("a declaration", () => {
  test("has the size and the offsets that typed-struct gives the class", () => {
    for (const type of allStructs) {
      const { constructor: compiled } = new type(Buffer.alloc(type.baseSize));
      const { baseSize, getOffsets } = compiled as unknown as typeof type;
      expect({ name: type.name, size: type.baseSize, offsets: type.getOffsets() }).toEqual({
        name: compiled.name,
        size: baseSize,
        offsets: getOffsets(),
      });
    }
    expect(allStructs.length).toBeGreaterThan(100);
  });

  test("takes members that typed-struct alone knows", () => {
    const declare = (Builder: typeof TypedStruct) =>
      new Builder("named").UInt32LE("id").String("text", 8).seek(4).UInt8("end").compile();
    const [ours, theirs] = [declare(Struct), declare(TypedStruct)];
    expect([ours.name, ours.baseSize, ours.getOffsets()]).toEqual(["named", 17, theirs.getOffsets()]);
    expect(new ours(Buffer.alloc(17))).toBeInstanceOf(ours);
  });

  test("is refused where it is first used, if typed-struct has no such member", () => {
    const wrong = (new Struct("wrong") as unknown as { Nothing(name: string): typeof TypedStruct.prototype })
      .Nothing("x")
      .compile();
    expect(() => wrong.baseSize).toThrow(TypeError);
  });
});
