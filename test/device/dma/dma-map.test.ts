import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { DmaMap } from "../../../src/device/dma/dma-map.ts";
import type { DmaRequest } from "../../../src/device/dma/dma-request.ts";
import { intersects } from "../../../src/device/address/range.ts";
import { VfioError } from "../../../src/ffi/errors.ts";
import { MemoryIommu } from "../../support/memory-iommu.ts";
import { refusal } from "../../support/refusal.ts";

const page = 4096;
const hva = 0x7f00_0000_0000;
const ram = (iova: number, size: number): DmaRequest => ({ iova, size, hva: hva + iova, label: "guest RAM" });

describe("what the kernel would refuse is refused before it is asked, and the error says which limit", () => {
  const iommu = new MemoryIommu({ maxMappings: 2 });
  const dma = new DmaMap(iommu, { lockable: () => 16 * page });

  test.each([
    [
      "a size that is no whole page",
      { ...ram(0, page), size: 100 },
      "EINVAL",
      /the size 0x64 is not a multiple of the IOMMU's page of 4 KiB/,
    ],
    [
      "an IOVA within a page",
      { ...ram(page, page), iova: 0x1080 },
      "EINVAL",
      /the IOVA 0x1080 is not a multiple/,
    ],
    [
      "a host address within a page",
      { ...ram(0, page), hva: hva + 8 },
      "EINVAL",
      /the host address 0x7f0000000008/,
    ],
    [
      "no access at all",
      { ...ram(0, page), readable: false, writable: false },
      "EINVAL",
      /neither read nor write/,
    ],
    [
      "the window of the MSIs",
      ram(0xfed0_0000, 0x40_0000),
      "ERANGE",
      /0xfee00000-0xfeefffff cannot be used; the IOMMU allows 0x0-0xfedfffff, 0xfef00000-0x7fffffffff/,
    ],
    [
      "beyond the address width",
      ram(2 ** 39 - page, 2 * page),
      "ERANGE",
      /0x8000000000-0x8000000fff cannot be used/,
    ],
    [
      "more than may be locked",
      ram(0, 17 * page),
      "ENOMEM",
      /guest RAM.*needs 68 KiB of locked memory, the process may lock 64 KiB more \(0 bytes are mapped here\)/,
    ],
  ] as const)("%s", (_, request, code, message) => {
    const error = refusal(() => dma.map(request));
    expect(error).toMatchObject({ code });
    expect(error.message).toMatch(message);
    expect(error.hint).toBeString();
    expect(dma.check(request)?.message).toBe(error.message);
    expect(iommu.calls).toEqual([]);
  });

  test("an overlap names both ranges", () => {
    using own = new DmaMap(new MemoryIommu());
    own.map(ram(0, 4 * page));
    const error = refusal(() => own.map({ ...ram(2 * page, 4 * page), label: "BAR 0" }));
    expect(error).toMatchObject({ code: "EEXIST" });
    expect(error.message).toBe(
      "cannot map BAR 0, IOVA 0x2000-0x5fff (IOMMU in memory): it overlaps guest RAM, IOVA 0x0-0x3fff",
    );
  });

  test("the mapping after the last free entry says how many there are", () => {
    using own = new DmaMap(new MemoryIommu({ maxMappings: 2 }));
    own.mapAll([ram(0, page), ram(page, page)]);
    expect(own.freeMappings).toBe(0);
    const error = refusal(() => own.map(ram(2 * page, page)));
    expect(error).toMatchObject({ code: "ENOSPC", hint: expect.stringContaining("dma_entry_limit") });
    expect(error.message).toContain("2 of 2 mappings are in use");
  });

  test.each([
    ["an empty range", { iova: 0, size: 0, hva }, RangeError],
    ["a range up to 2^53", { iova: 2 ** 53 - page, size: page, hva }, RangeError],
    ["a negative IOVA", { iova: -page, size: page, hva }, RangeError],
    ["a string", { iova: "0" as unknown as number, size: page, hva }, TypeError],
  ] as const)("%s is no request", (_, request, kind) => {
    expect(() => dma.map(request)).toThrow(kind);
  });
});

test("device memory counts against no limit of locked memory", () => {
  using dma = new DmaMap(new MemoryIommu(), { lockable: () => 0 });
  dma.map({ ...ram(0, page), deviceMemory: true });
  expect(dma.lockedBytes).toBe(0);
  expect(refusal(() => dma.map(ram(page, page))).code).toBe("ENOMEM");
});

test("device memory is for who maps it by address, or has a dma-buf of it", () => {
  const bar = { ...ram(0, page), deviceMemory: true, label: "BAR0" };
  const iommufd = new MemoryIommu({ mapsDeviceMemory: false, mapsFiles: true });
  using own = new DmaMap(iommufd);
  const error = refusal(() => own.map(bar));
  expect([error.code, error.hint]).toEqual(["EOPNOTSUPP", expect.stringContaining("Linux 6.19")]);
  expect(iommufd.calls).toEqual([]);
  own.map({ ...bar, file: { fd: 7, offset: 0 } });
  expect(iommufd.mapped.get(0)).toMatchObject({ deviceMemory: true, file: { fd: 7, offset: 0 } });
});

test("a file goes to an IOMMU that maps files, and its address to any other", () => {
  for (const mapsFiles of [true, false]) {
    const iommu = new MemoryIommu({ mapsFiles });
    using dma = new DmaMap(iommu);
    const request = { ...ram(0, page), file: { fd: 7, offset: page } };
    dma.map(request);
    expect(iommu.mapped.get(0)).toMatchObject({ hva, file: mapsFiles ? request.file : undefined });
    // The same again is the same, whichever of them was taken.
    dma.map(request);
    expect(iommu.calls.length).toBe(1);
  }
});

test("a refusal of the kernel keeps its errno and its request, and says what is known", () => {
  const iommu = new MemoryIommu();
  using dma = new DmaMap(iommu);
  const details = { code: "ENOMEM", errno: 12, syscall: "ioctl", request: "VFIO_IOMMU_MAP_DMA" };
  iommu.failNext = new VfioError("ioctl fails with ENOMEM", details);
  const error = refusal(() => dma.map(ram(0, page)));
  expect(error).toMatchObject({ ...details, hint: expect.stringContaining("RLIMIT_MEMLOCK") });
  expect(dma.mappings).toEqual([]);
  dma.map(ram(0, page));
  expect(iommu.mapped.size).toBe(1);
});

test("the same mapping asked for again is counted, and reaches the IOMMU once", () => {
  const iommu = new MemoryIommu();
  using dma = new DmaMap(iommu);
  dma.map(ram(0, page));
  dma.map(ram(0, page));
  expect(dma.unmap(0, page)).toBe(0);
  expect(iommu.mapped.size).toBe(1);
  expect(dma.unmap(0, page)).toBe(page);
  expect(iommu.calls).toEqual(["map 0+1000", "unmap 0+1000"]);
});

test("the same range with other access is no repetition", () => {
  using dma = new DmaMap(new MemoryIommu());
  dma.map({ ...ram(0, page), writable: false });
  expect(refusal(() => dma.map(ram(0, page))).code).toBe("EEXIST");
});

test("a range unmaps all mappings in it, and never cuts one", () => {
  const iommu = new MemoryIommu();
  using dma = new DmaMap(iommu);
  dma.mapAll([ram(0, 2 * page), ram(4 * page, 2 * page), ram(8 * page, page)]);
  const error = refusal(() => dma.unmap(0, 5 * page));
  expect(error.message).toContain("it would cut guest RAM, IOVA 0x4000-0x5fff in two");
  expect(iommu.mapped.size).toBe(3);
  expect(dma.unmap(0, 8 * page)).toBe(4 * page);
  expect(dma.mappings.map(({ iova }) => iova)).toEqual([8 * page]);
  expect(dma.unmap(100 * page, page)).toBe(0);
});

test("what the kernel did not unmap stays in the table, and can be unmapped later", () => {
  const iommu = new MemoryIommu();
  using dma = new DmaMap(iommu);
  dma.map(ram(0, page));
  iommu.failNext = new VfioError("busy", { code: "EBUSY" });
  expect(refusal(() => dma.unmap(0, page)).code).toBe("EBUSY");
  expect(dma.mappings).toHaveLength(1);
  expect(dma.unmap(0, page)).toBe(page);
});

test("with its IOMMU all that it mapped is gone: there is nothing to take back", () => {
  const iommu = new MemoryIommu();
  const dma = new DmaMap(iommu);
  const part = dma.map(ram(0, page));
  dma.forget();
  iommu.unmap = () => {
    throw new Error("there is no IOMMU any more");
  };
  part[Symbol.dispose]();
  dma[Symbol.dispose]();
  expect(dma.mappings).toEqual([]);
});

test("mapAll maps all or none", () => {
  const iommu = new MemoryIommu();
  using dma = new DmaMap(iommu);
  expect(refusal(() => dma.mapAll([ram(0, page), ram(page, page), ram(0xfee0_0000, page)])).code).toBe(
    "ERANGE",
  );
  expect(iommu.mapped.size).toBe(0);
  expect(dma.mappings).toEqual([]);
});

test("findIova gives the lowest free aligned range, below a device's limit", () => {
  using dma = new DmaMap(new MemoryIommu());
  expect(dma.findIova(page)).toBe(0x10000);
  dma.map(ram(0x10000, page));
  expect(dma.findIova(page)).toBe(0x11000);
  expect(dma.findIova(page, 2 ** 20)).toBe(2 ** 20);
  expect(dma.findIova(2 ** 28, page, 2 ** 28)).toBeUndefined();
  expect(dma.findIova(0xfee0_0000)).toBe(0xfef0_0000);
  expect(() => dma.findIova(page, 3)).toThrow(RangeError);
});

test("dispose takes back everything and leaves the IOMMU open", () => {
  const iommu = new MemoryIommu();
  const dma = new DmaMap(iommu);
  dma.map(ram(0, page));
  dma.map(ram(0, page));
  dma[Symbol.dispose]();
  dma[Symbol.dispose]();
  expect(iommu.calls).toEqual(["map 0+1000", "unmap all"]);
});

test("after any requests the table is what the IOMMU holds, and nothing reaches the IOMMU that it refuses", () => {
  const small = fc.integer({ min: 0, max: 24 });
  const action = fc.record({
    kind: fc.constantFrom("map", "unmap"),
    at: small,
    pages: small,
    fail: fc.nat(9),
  });
  fc.assert(
    fc.property(fc.array(action, { maxLength: 60 }), (actions) => {
      const iommu = new MemoryIommu({ maxMappings: 6, ranges: [{ base: page, size: 20 * page }] });
      const dma = new DmaMap(iommu);
      for (const { kind, at, pages, fail } of actions) {
        const injected = new VfioError("injected", { code: "EIO" });
        iommu.failNext = fail === 0 ? injected : undefined;
        try {
          if (kind === "map") dma.map(ram(at * page, pages * page));
          else dma.unmap(at * page, pages * page);
        } catch (error) {
          const expected = error instanceof RangeError && pages === 0;
          const ours = error instanceof VfioError && (!error.cause || error.cause === injected);
          if (!expected && !ours && error !== injected) throw error;
        }
        iommu.failNext = undefined;
        expect(dma.mappings.map(({ iova, size }) => [iova, size])).toEqual(
          [...iommu.mapped.values()].sort((a, b) => a.iova - b.iova).map(({ iova, size }) => [iova, size]),
        );
      }
      const held = dma.mappings;
      expect(held.some((a, i) => held.slice(i + 1).some((b) => intersects(a, b)))).toBe(false);
      dma[Symbol.dispose]();
      expect(iommu.mapped.size).toBe(0);
    }),
    { numRuns: 300 },
  );
});

test("what map returns takes back its own part, once", () => {
  const iommu = new MemoryIommu();
  using dma = new DmaMap(iommu);
  const first = dma.map(ram(0, page));
  const second = dma.map(ram(0, page));
  first[Symbol.dispose]();
  first[Symbol.dispose]();
  expect(iommu.mapped.size).toBe(1);
  second[Symbol.dispose]();
  expect(iommu.mapped.size).toBe(0);
});

test("what mapAll returns takes back all; what failed is tried again", () => {
  const iommu = new MemoryIommu();
  using dma = new DmaMap(iommu);
  const parts = dma.mapAll([ram(0, page), ram(page, page)]);
  iommu.failNext = new VfioError("not now", { code: "EIO" });
  expect(() => parts[Symbol.dispose]()).toThrow("not now");
  expect([...iommu.mapped.keys()]).toEqual([page]);
  parts[Symbol.dispose]();
  expect(iommu.mapped.size).toBe(0);
});

test("mapAll tells of a mapping that could not be taken back", () => {
  const iommu = new MemoryIommu();
  using dma = new DmaMap(iommu);
  const requests = [ram(0, page), ram(0xfee0_0000, page)];
  const map = iommu.map.bind(iommu);
  iommu.map = (mapping) => {
    map(mapping);
    iommu.failNext = new VfioError("not now", { code: "EIO" });
  };
  expect(() => dma.mapAll(requests)).toThrow(AggregateError);
  expect(dma.mappings.length).toBe(1);
});

test("where others map too, only what was mapped here is taken back", () => {
  const iommu = new MemoryIommu({ exclusive: false });
  using dma = new DmaMap(iommu);
  iommu.map({ iova: 2 ** 20, size: page, hva, readable: true, writable: true });
  dma.map(ram(0, page));
  dma.map(ram(0, page));
  expect(dma.unmapAll()).toBe(page);
  expect([...iommu.mapped.keys()]).toEqual([2 ** 20]);
});
