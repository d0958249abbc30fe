// A kernel, or who answers for one, that fills the INFO structs with anything.
import { expect } from "bun:test";
import fc from "fast-check";
import { mappableAreas } from "../../src/device/pci/mappable-areas.ts";
import { VfioError } from "../../src/ffi/errors.ts";
import { getDeviceInfo, getIrqInfo } from "../../src/ffi/vfio-device.ts";
import { getRegionInfo } from "../../src/ffi/vfio-region.ts";
import { getHotResetInfo } from "../../src/ffi/vfio-reset.ts";
import { getIommuInfo } from "../../src/ffi/vfio-type1.ts";
import { fakeIoctl } from "../support/fake-ioctl.ts";
import { property } from "./property.ts";

const requests = {
  device: () => getDeviceInfo(5),
  region: () => getRegionInfo(5, 0),
  irq: () => getIrqInfo(5, 2),
  hotReset: () => getHotResetInfo(5),
  iommu: () => getIommuInfo(5),
} as const;
type RequestName = keyof typeof requests;

const word = fc.oneof(
  fc.nat(8).map((n) => 4096 * n),
  fc.nat(40),
  fc.constantFrom(0xffffffff, 0x80000000),
);
/** Capabilities of a region as the kernel lays them down, more or less: id, version, next, and a body of words. */
const anyCapability = fc.oneof(
  fc.record({ id: fc.nat(6), body: fc.array(word, { maxLength: 8 }) }),
  // Areas of pages, as many as it says, or not.
  fc
    .record({
      count: fc.nat(3),
      areas: fc.array(fc.tuple(fc.nat(8), fc.nat(8)), { maxLength: 3 }),
      exact: fc.boolean(),
    })
    .map(({ count, areas, exact }) => ({
      id: 1,
      body: [
        exact ? areas.length : count,
        0,
        ...areas.flatMap(([at, pages]) => [4096 * at, 0, 4096 * pages, 0]),
      ],
    })),
);
const anyChain = fc
  .array(fc.tuple(anyCapability, fc.option(fc.nat(160), { freq: 6, nil: undefined })), { maxLength: 4 })
  .map((entries) => {
    const bytes: number[] = [];
    const put = (width: number, value: number): void => {
      for (let i = 0; i < width; i++) bytes.push(Math.floor(value / 2 ** (8 * i)) % 256);
    };
    entries.forEach(([{ id, body }, wrong], index) => {
      const end = 32 + bytes.length + 8 + 4 * body.length;
      put(2, id);
      put(2, 1);
      put(4, wrong ?? (index < entries.length - 1 ? end : 0));
      for (const one of body) put(4, one);
    });
    return Uint8Array.from(bytes);
  });

const anyAnswer = fc.record({
  /** 0, or minus an errno. */
  result: fc.oneof(
    { weight: 8, arbitrary: fc.constant(0) },
    { weight: 1, arbitrary: fc.constantFrom(-22, -25, -28, -12) },
  ),
  /** What the struct's size is said to be; undefined: what it is. */
  argsz: fc.oneof(
    fc.constant(undefined),
    fc.nat(200),
    fc.constantFrom(0, 1, 0xffff, 0x10000, 0x7fffffff, 0xffffffff),
  ),
  flags: fc.oneof(
    fc.nat(0xf).map((bits) => bits | 8),
    fc.nat(0x1f),
    fc.nat(0xffffffff),
  ),
  /** Of the fixed part, behind argsz and flags. */
  fixed: fc.uint8Array({ maxLength: 24 }),
  capOffset: fc.oneof(fc.constant(32), fc.nat(200), fc.constantFrom(0, 0xffffffff)),
  chain: anyChain,
});

/** Within the struct, a kernel writes no further than it was told that there is room. */
function fill(
  memory: DataView,
  { argsz, flags, fixed, capOffset, chain }: typeof anyAnswer extends fc.Arbitrary<infer T> ? T : never,
): void {
  const room = memory.byteLength;
  const size = argsz ?? 32 + chain.length;
  const put = (at: number, byte: number): void => {
    if (at < room) memory.setUint8(at, byte);
  };
  fixed.forEach((byte, i) => put(8 + i, byte));
  chain.forEach((byte, i) => put(32 + i, byte));
  for (let i = 0; i < 4; i++) {
    put(i, (size >>> (8 * i)) & 0xff);
    put(4 + i, (flags >>> (8 * i)) & 0xff);
    put(12 + i, (capOffset >>> (8 * i)) & 0xff);
  }
}

export const lyingKernels = property({
  name: "lyingKernels",
  file: "lying-kernels.ts",
  says: "whatever a kernel says of a device: few requests, with room for what they say, and an answer that can be, or words",
  runs: 1000,
  input: fc.record({
    what: fc.constantFrom(...(Object.keys(requests) as RequestName[])),
    answers: fc.array(anyAnswer, { minLength: 1, maxLength: 4 }),
  }),
  reaches: ["answered", "refused", "region", "sparse", "iommu"],
  check({ what, answers }, effects) {
    let asked = 0;
    using kernel = fakeIoctl((_, memory) => {
      const answer = answers[Math.min(asked++, answers.length - 1)]!;
      if (answer.result === 0 || what === "hotReset") fill(memory, answer);
      return answer.result;
    });
    let answer: ReturnType<(typeof requests)[RequestName]>;
    try {
      answer = requests[what]();
    } catch (error) {
      if (!(error instanceof VfioError)) throw error;
      expect(error.message).not.toBe("");
      effects.count("refused");
      return;
    } finally {
      expect(kernel.asked.length).toBeLessThanOrEqual(8);
      for (const { bytes } of kernel.asked)
        expect(new DataView(bytes!.buffer).getUint32(0, true)).toBeLessThanOrEqual(bytes!.length);
    }
    effects.count("answered");
    effects.count(what);
    if (what !== "region") return;
    const info = answer as ReturnType<typeof getRegionInfo>;
    effects.count("sparse", info.sparse !== undefined);
    expect(Number.isSafeInteger(info.size) && Number.isSafeInteger(info.offset)).toBe(true);
    for (const { offset, size } of mappableAreas(info, [], 4096)) {
      expect([offset % 4096, size % 4096]).toEqual([0, 0]);
      expect(offset + size).toBeLessThanOrEqual(Math.max(4096, info.size));
    }
  },
});
