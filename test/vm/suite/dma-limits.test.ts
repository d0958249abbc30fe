// machines: intel (virtio) [arm]
// takes: 20 s
// Every limit of DMA mappings, reached for real: what `DmaMap` says before it asks is what the kernel would refuse.
import { afterAll, describe, expect, test } from "bun:test";
import { readFileSync, writeFileSync } from "node:fs";
import type { DmaRequest } from "../../../src/device/dma/dma-request.ts";
import { AnonymousMemory } from "../../../src/ffi/anonymous-memory.ts";
import type { VfioError } from "../../../src/ffi/errors.ts";
import { lockedMemory } from "../../../src/ffi/limits.ts";
import { MemoryFile } from "../../../src/ffi/memory-file.ts";
import { refusal } from "../../support/refusal.ts";
import { ownDescriptors, take } from "./support/devices.ts";
import { open, ways } from "./support/apis.ts";
import { withLockedLimit } from "./support/memlock.ts";
import { hex } from "../../../src/regs/hex-text.ts";
import { mapsFiles, messageWindow, page } from "./support/rules.ts";

const state = () => {
  const { soft, locked, pinned, exempt } = lockedMemory();
  return { descriptors: ownDescriptors(), soft, locked, pinned, exempt };
};
const before = state();
afterAll(() => expect(state()).toEqual(before));

for (const way of ways)
  describe(way.name, () => {
    test("locked memory: exactly the limit can be mapped, and no page more", () => {
      using device = open(take("edu"), way);
      const dma = device.dma!;
      const limit = 16 * page;
      using memory = new AnonymousMemory(64 * page);
      const ask = (iova: number, size: number): DmaRequest => ({
        iova,
        size,
        hva: memory.address + iova - 0x100000,
        label: "guest RAM",
      });
      withLockedLimit(limit, () => {
        const all = refusal(() => dma.map(ask(0x100000, 64 * page)));
        expect(all.code).toBe("ENOMEM");
        expect(all.message).toBe(
          `cannot map guest RAM, IOVA 0x100000-0x13ffff (${device.iommu!.name}): it needs 256 KiB of locked memory, the process may lock 64 KiB more (0 bytes are mapped here)`,
        );
        expect(all.hint).toContain("ulimit -l unlimited");
        // Nothing of it went to the kernel; the kernel, asked by itself, says the same of the first page too many.
        const raw = { iova: 0x200000, size: page, hva: memory.address, readable: true, writable: true };
        using most = dma.map(ask(0x100000, limit));
        const next = refusal(() => dma.map(ask(0x100000 + limit, page)));
        expect(next.message).toContain("the process may lock 0 bytes more (64 KiB are mapped here)");
        const kernels = refusal(() => device.iommu!.map(raw));
        expect([kernels.code, kernels.hint]).toEqual(["ENOMEM", expect.stringContaining("RLIMIT_MEMLOCK")]);
        most[Symbol.dispose]();
        using _ = dma.map(ask(0x100000, page));
      });
      // With the right to lock, no limit holds.
      withLockedLimit(0, () => expect(refusal(() => dma.allocate(page)).code).toBe("ENOMEM"));
      using _ = dma.map(ask(0x100000, 64 * page));
    });

    test("reserved IOVAs, beyond the width, unaligned, overlapping: each names the limit, as the kernel would not", () => {
      using device = open(take("edu"), way);
      const dma = device.dma!;
      using memory = new AnonymousMemory(4 * page);
      const ask = (iova: number, size = page, shift = 0): DmaRequest => ({
        iova,
        size,
        hva: memory.address + shift,
      });
      const last = device.iommu!.ranges.at(-1)!;
      using _ = dma.map({ ...ask(0x100000, 2 * page), label: "queue" });
      const cases: [DmaRequest, string, RegExp][] = [
        [
          ask(messageWindow.base),
          "ERANGE",
          new RegExp(
            `${hex(messageWindow.base)}-${hex(messageWindow.base + page - 1)} cannot be used; the IOMMU allows 0x0-${hex(messageWindow.base - 1)}, `,
          ),
        ],
        [ask(last.base + last.size), "ERANGE", /cannot be used; the IOMMU allows/],
        [ask(0x100800), "EINVAL", /the IOVA 0x100800 is not a multiple of the IOMMU's page of 4 KiB/],
        [ask(0x200000, 100), "EINVAL", /the size 0x64 is not a multiple/],
        [ask(0x200000, page, 8), "EINVAL", /the host address 0x[0-9a-f]+8 is not a multiple/],
        [ask(0x101000), "EEXIST", /it overlaps queue, IOVA 0x100000-0x101fff/],
      ];
      for (const [request, code, message] of cases) {
        const error = refusal(() => dma.map(request));
        expect([error.code, error.message]).toEqual([code, expect.stringMatching(message)]);
        expect(error.hint).toBeString();
        // What was refused before it was asked, the kernel refuses too, with no more than an errno.
        const { iova, size, hva } = request as { iova: number; size: number; hva: number };
        const kernels = refusal(() => device.iommu!.map({ iova, size, hva, readable: true, writable: true }));
        expect(["EINVAL", "EEXIST", "EADDRINUSE"]).toContain(kernels.code);
      }
      expect(dma.mappings.length).toBe(1);
    });

    test("a part of a mapping is not unmapped: nothing of it goes, whatever the kernel would do", () => {
      using device = open(take("edu"), way);
      const dma = device.dma!;
      using memory = new AnonymousMemory(4 * page);
      using _ = dma.map({ iova: 0x100000, size: 4 * page, hva: memory.address });
      for (const [iova, size] of [
        [0x100000, page],
        [0x101000, page],
        [0xff000, 2 * page],
      ] as const)
        expect(refusal(() => dma.unmap(iova, size)).message).toContain(
          "it would cut IOVA 0x100000-0x103fff in two",
        );
      expect(dma.unmap(0, 2 ** 30)).toBe(4 * page);
      expect(dma.unmap(0, 2 ** 30)).toBe(0);
    });

    test("unmap-all takes back everything in one call, and IOVAs are free again", () => {
      using device = open(take("edu"), way);
      const dma = device.dma!;
      using memory = new AnonymousMemory(16 * page);
      const first = dma.findIova(page);
      for (let i = 0; i < 16; i++)
        dma.map({ iova: 0x100000 + 2 * i * page, size: page, hva: memory.address + i * page });
      expect(lockedMemory().locked + lockedMemory().pinned).toBeGreaterThan(before.locked + before.pinned);
      expect(dma.unmapAll()).toBe(16 * page);
      expect(dma.unmapAll()).toBe(0);
      expect([dma.findIova(page), lockedMemory().locked, lockedMemory().pinned]).toEqual([
        first,
        before.locked,
        before.pinned,
      ]);
    });

    const byFile = mapsFiles && way.api === "iommufd";
    test("memory of a file is mapped by its address where this kernel maps no files: through the table, that is", () => {
      using device = open(take("edu"), way);
      const dma = device.dma!;
      using own = new MemoryFile({ size: page, name: "guest RAM" });
      using memory = own.map();
      const request = { iova: 0x100000, size: page, hva: memory.address, file: { fd: own.fd, offset: 0 } };
      const raw = { ...request, readable: true, writable: true };
      expect(device.iommu!.mapsFiles).toBe(byFile);
      if (!byFile) {
        const refused = refusal(() => device.iommu!.map(raw)).code;
        expect(refused).toBe(way.api === "iommufd" ? "ENOTTY" : "EOPNOTSUPP");
      }
      using mapped = dma.map(request);
      const file = byFile ? { fd: own.fd, offset: 0 } : undefined;
      expect(dma.mappings).toMatchObject([{ iova: 0x100000, hva: memory.address, file }]);
      // Really there: the kernel refuses it a second time.
      expect(refusal(() => device.iommu!.map({ ...raw, file: undefined })).code).toBe("EEXIST");
      mapped[Symbol.dispose]();
      using buffer = dma.allocate(page);
      const ofBuffer = byFile ? expect.objectContaining({ offset: 0 }) : undefined;
      expect(dma.mappings).toMatchObject([{ hva: buffer.hva, file: ofBuffer }]);
    });

    test("memory that is not there cannot be pinned", () => {
      using device = open(take("edu"), way);
      const memory = new AnonymousMemory(page);
      const { address } = memory;
      memory[Symbol.dispose]();
      const error: VfioError = refusal(() => device.dma!.map({ iova: 0x100000, size: page, hva: address }));
      expect([error.code, error.hint]).toEqual([
        "EFAULT",
        expect.stringContaining("not mapped in this process"),
      ]);
      expect(device.dma!.mappings).toEqual([]);
    });
  });

test("entries of a container: the one too many is refused with the limit and its fix", () => {
  const parameter = "/sys/module/vfio_iommu_type1/parameters/dma_entry_limit";
  const usual = readFileSync(parameter, "utf8").trim();
  writeFileSync(parameter, "3");
  try {
    for (const type1 of ["type1v2", "type1"] as const) {
      const way = ways.find(({ name }) => name === type1)!;
      using device = open(take("edu"), way);
      const dma = device.dma!;
      expect([dma.freeMappings, device.iommu!.maxMappings]).toEqual([3, 3]);
      using buffers = new DisposableStack();
      for (let i = 0; i < 3; i++) buffers.use(dma.allocate(page));
      const error = refusal(() => dma.allocate(page));
      expect([error.code, error.message]).toEqual([
        "ENOSPC",
        expect.stringMatching(/3 of 3 mappings are in use$/),
      ]);
      expect(error.hint).toContain("dma_entry_limit of the module vfio_iommu_type1");
      const raw = { iova: 2 ** 27, size: page, hva: 0, readable: true, writable: true };
      expect(refusal(() => device.iommu!.map(raw)).code).toBe("ENOSPC");
      buffers[Symbol.dispose]();
      expect(dma.freeMappings).toBe(3);
    }
  } finally {
    writeFileSync(parameter, usual);
  }
});
