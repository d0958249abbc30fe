// machines: intel (virtio, none, arm-16k) [intel-old]
// Devices that share an address space, what it maps, and every order of closing.
import { describe, expect, test } from "bun:test";
import { AnonymousMemory } from "../../../src/ffi/anonymous-memory.ts";
import { Container } from "../../../src/device/backends/kernel/container.ts";
import { Iommufd, Ioas } from "../../../src/device/backends/kernel/ioas.ts";
import { openDevice } from "../../../src/device/backends/kernel/open-device.ts";
import { hasIommu, ownDescriptors, take } from "./support/devices.ts";
import { sharedBy, ways } from "./support/apis.ts";
import { hasIommufd, mapsFiles, messageWindow, page } from "./support/rules.ts";

const code = (value: string): unknown => expect.objectContaining({ code: value });
const mapping = (iova: number, size: number, hva: number) => ({
  iova,
  size,
  hva,
  readable: true,
  writable: true,
});

for (const way of ways)
  describe(way.name, () => {
    test("several devices share it; it outlives its owner's hold until the last device leaves", () => {
      const before = ownDescriptors();
      const shared = sharedBy(way);
      const edu = openDevice(take("edu"), { iommu: shared });
      const nvme = openDevice(take("nvme"), { iommu: shared });
      expect(edu.api).toBe(way.api);
      if (hasIommu) expect(edu.iommu).toBe(nvme.iommu!);
      else expect(edu.iommu).toBeUndefined();
      shared[Symbol.dispose]();
      expect(() => openDevice(take("xhci"), { iommu: shared })).toThrow(code("ECLOSED"));
      edu[Symbol.dispose]();
      nvme.reset();
      nvme[Symbol.dispose]();
      nvme[Symbol.dispose]();
      expect(ownDescriptors()).toEqual(before);
    });

    test("it may be used again after its last device has left", () => {
      const before = ownDescriptors();
      {
        using shared = sharedBy(way);
        openDevice(take("edu"), { iommu: shared })[Symbol.dispose]();
        using nvme = openDevice(take("nvme"), { iommu: shared });
        using edu = openDevice(take("edu"), { iommu: shared });
        edu.reset();
        nvme.reset();
      }
      expect(ownDescriptors()).toEqual(before);
    });

    test("a mapped BAR goes with its device", () => {
      const device = openDevice(take("edu"), way.options);
      const bar = device.map(0, { offset: 0, size: page });
      device[Symbol.dispose]();
      expect(() => bar.hva).toThrow(code("ECLOSED"));
      expect(() => bar.registers.read32(0)).toThrow(code("ECLOSED"));
      // Had the mapping stayed, the group could not be opened again.
      openDevice(take("edu"), way.options)[Symbol.dispose]();
    });
  });

if (hasIommu) {
  for (const way of ways)
    test(`${way.name}: an address space maps, refuses what is there, and unmaps`, () => {
      using device = openDevice(take("edu"), way.options);
      using memory = new AnonymousMemory(0x10000);
      const iommu = device.iommu!;
      expect(iommu.pageSize).toBe(page);
      const ranges = iommu.ranges;
      expect(ranges.length).toBeGreaterThan(0);
      // The window of MSI messages is nobody's to map.
      const msi = messageWindow.base;
      expect(ranges.some(({ base, size }) => msi >= base && msi < base + size)).toBe(false);
      iommu.map(mapping(0x100000, 0x10000, memory.address));
      expect(() => iommu.map(mapping(0x108000, page, memory.address))).toThrow(code("EEXIST"));
      expect(() => iommu.map(mapping(msi, page, memory.address))).toThrow(code("EINVAL"));
      iommu.map(mapping(0x200000, page, memory.address));
      expect(iommu.unmap(0x200000, page)).toBe(page);
      // A part of a mapping: each has its own answer, and takes nothing away.
      if (way.name === "type1") expect(iommu.unmap(0x104000, page)).toBe(0);
      else
        expect(() => iommu.unmap(0x104000, page)).toThrow(code(way.name === "type1v2" ? "EINVAL" : "ENOENT"));
      expect(iommu.unmapAll()).toBe(0x10000);
      expect(iommu.unmapAll()).toBe(0);
      iommu.map(mapping(0x100000, 0x10000, memory.address));
      if (way.name === "type1") expect(iommu.unmap(0x100000, page)).toBe(0x10000);
      expect(iommu.mapsFiles).toBe(way.api === "iommufd" && mapsFiles);
      if (way.api === "group") expect(iommu.maxMappings).toBe(65535);
      else expect(iommu.maxMappings).toBeUndefined();
    });

  test("a container maps nothing before a device is in it", () => {
    using container = Container.open();
    expect(container.name).toBe("type1v2 container");
    expect(() => container.map(mapping(0, page, 0))).toThrow("maps nothing before a device is in it");
    expect(() => container.ranges).toThrow(code("EINVAL"));
  });

  if (hasIommufd) {
    test("an IOAS maps before a device joins, and its mappings stay when the device leaves", () => {
      using memory = new AnonymousMemory(page);
      using ioas = Ioas.open();
      ioas.map(mapping(0x100000, page, memory.address));
      openDevice(take("edu"), { iommu: ioas })[Symbol.dispose]();
      expect(ioas.unmap(0x100000, page)).toBe(page);
    });

    test("IOVAs that must stay usable keep a device out that reserves them", () => {
      using ioas = Ioas.open();
      ioas.allow([{ base: messageWindow.base, size: page }]);
      expect(() => openDevice(take("edu"), { iommu: ioas })).toThrow(code("EADDRINUSE"));
    });

    test("two address spaces in one iommufd, and what its hardware can do", () => {
      const before = ownDescriptors();
      const iommufd = Iommufd.open();
      using first = Ioas.alloc(iommufd);
      using second = Ioas.alloc(iommufd);
      iommufd[Symbol.dispose]();
      expect(first.id).not.toBe(second.id);
      using device = openDevice(take("edu"), { iommu: first });
      const info = first.iommufd.hardwareInfo(device.iommufdDevice!);
      expect([0, 1]).toContain(info.type);
      device[Symbol.dispose]();
      first[Symbol.dispose]();
      second[Symbol.dispose]();
      expect(() => second.map(mapping(0, page, 0))).toThrow(code("ECLOSED"));
      expect(ownDescriptors()).toEqual(before);
    });
  }
}
