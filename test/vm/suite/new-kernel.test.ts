// machines: (intel-new)
// takes: 20 s
// What VFIO and iommufd have from Linux 6.14 on: memory of files, its move to another process, dma-bufs of BARs, tokens at the cdev,
// and what a migration's data is told of.
import { afterAll, describe, expect, test } from "bun:test";
import { openDevice } from "../../../src/device/backends/kernel/open-device.ts";
import { Ioas } from "../../../src/device/backends/kernel/ioas.ts";
import { FileDescriptor } from "../../../src/ffi/file-descriptor.ts";
import { changeIoasProcess } from "../../../src/ffi/iommufd-ioas.ts";
import { mapIoasFile } from "../../../src/ffi/iommufd-map.ts";
import { MemoryFile } from "../../../src/ffi/memory-file.ts";
import { exportDmaBuf } from "../../../src/ffi/vfio-dma-buf.ts";
import { iommuIoasMapFlag } from "../../../src/regs/ioctl/iommufd-ioas.ts";
import { vfioFeature } from "../../../src/regs/ioctl/vfio-feature.ts";
import { refusal } from "../../support/refusal.ts";
import { ownDescriptors, take } from "./support/devices.ts";
import { addressLimit, Edu, ownBufferSize } from "./support/edu.ts";
import { hasDmaBufs, mapsFiles, page, takesTokenByCdev } from "./support/rules.ts";
import { token, virtualFunction } from "./support/virtual-function.ts";

const before = ownDescriptors();
afterAll(() => expect(ownDescriptors()).toEqual(before));
const pattern = (seed: number): Uint8Array<ArrayBuffer> =>
  Uint8Array.from({ length: ownBufferSize }, (_, i) => (i * 7 + seed) & 0xff);
const both = iommuIoasMapFlag.FIXED_IOVA | iommuIoasMapFlag.READABLE | iommuIoasMapFlag.WRITEABLE;

test("this kernel has what is tried here", () => {
  expect({ mapsFiles, hasDmaBufs, takesTokenByCdev }).toEqual({
    ...{ mapsFiles: true, hasDmaBufs: true, takesTokenByCdev: true },
  });
});

describe("memory of a file", () => {
  test("is mapped by its descriptor, and the device reads and writes the file", () => {
    using device = openDevice(take("edu"), { api: "iommufd" });
    using edu = new Edu(device);
    using file = new MemoryFile({ size: 4 * page, name: "guest RAM" });
    using memory = file.map();
    expect(device.iommu!.mapsFiles).toBe(true);
    const hva = memory.address;
    using _ = device.dma!.map({ iova: 0x20_0000, size: 4 * page, hva, file: { fd: file.fd, offset: 0 } });
    const at = (number: number): Uint8Array => memory.view(number * page, ownBufferSize);
    at(0).set(pattern(1));
    edu.load(0x20_0000, ownBufferSize);
    edu.store(0x20_0000 + 3 * page, ownBufferSize);
    expect(at(3)).toEqual(pattern(1));
  });

  test("stays mapped when this process has no mapping of it any more", () => {
    using device = openDevice(take("edu"), { api: "iommufd" });
    using edu = new Edu(device);
    using file = new MemoryFile({ size: page, name: "guest RAM" });
    const first = file.map();
    first.view(0, ownBufferSize).set(pattern(2));
    using _ = device.dma!.map({
      iova: 0x20_0000,
      size: page,
      hva: first.address,
      file: { fd: file.fd, offset: 0 },
    });
    first[Symbol.dispose]();
    edu.load(0x20_0000, ownBufferSize);
    using second = file.map();
    second.view(0, ownBufferSize).fill(0);
    edu.store(0x20_0000, ownBufferSize);
    expect(second.view(0, ownBufferSize)).toEqual(pattern(2));
  });

  test("can be charged to another process, memory of a process cannot", () => {
    using device = openDevice(take("edu"), { api: "iommufd" });
    const ioas = device.iommu as Ioas;
    using file = new MemoryFile({ size: page, name: "guest RAM" });
    using memory = file.map();
    const ask = { iova: 0x20_0000, size: page, hva: memory.address };
    {
      using _ = device.dma!.map({ ...ask, file: { fd: file.fd, offset: 0 } });
      changeIoasProcess(ioas.iommufd.fd);
    }
    using _ = device.dma!.map(ask);
    // iommufd_ioas_change_process of drivers/iommu/iommufd/ioas.c: all of it has to be of files.
    expect(refusal(() => changeIoasProcess(ioas.iommufd.fd)).code).toBe("EINVAL");
  });
});

describe("a BAR as a dma-buf", () => {
  test("is what a peer reads, through an IOVA of its own, until decoding is turned off, and when it is mapped anew", () => {
    using space = Ioas.open();
    using nvme = openDevice(take("nvme"), { iommu: space });
    using device = openDevice(take("edu"), { iommu: space });
    using edu = new Edu(device);
    using buffer = space.dma.allocate(page, { below: addressLimit });
    nvme.write(7, 4, Uint8Array.of(6, 0));
    const version = 8;
    const bar = 0x400_0000;
    const mapBar = (): void => {
      using dmaBuf = new FileDescriptor(
        exportDmaBuf(nvme.fd, 0, { offset: 0, size: 0x4000 }, { device: nvme.name }),
        "dma-buf",
      );
      mapIoasFile(space.iommufd.fd, space.id, both, dmaBuf.fd, 0, 0x4000, bar);
    };
    mapBar();
    const ask = (): number => {
      buffer.bytes.fill(0xee);
      edu.load(buffer.iova, 16);
      edu.load(bar + version, 4);
      edu.store(buffer.iova, 4);
      return buffer.view.getUint32(0, true);
    };
    expect(ask()).toBe(0x0001_0400);
    nvme.write(7, 4, Uint8Array.of(4, 0));
    expect(ask()).not.toBe(0x0001_0400);
    // An iommufd takes the memory out, and does not put it back (drivers/iommu/iommufd/pages.c): who maps does.
    nvme.write(7, 4, Uint8Array.of(6, 0));
    expect(ask()).not.toBe(0x0001_0400);
    space.unmap(bar, 0x4000);
    mapBar();
    expect(ask()).toBe(0x0001_0400);
    space.unmap(bar, 0x4000);
    expect(ask()).not.toBe(0x0001_0400);
  });

  test("is none where the area is not the device's", () => {
    using nvme = openDevice(take("nvme"), { api: "iommufd" });
    for (const area of [
      { offset: 0, size: 0x8000 },
      { offset: 0x4000, size: 0x1000 },
    ])
      expect(refusal(() => exportDmaBuf(nvme.fd, 0, area, { device: nvme.name })).code).toBe("EINVAL");
  });
});

test("a virtual function's cdev wants the token that its physical function has set", () => {
  using made = virtualFunction();
  const wrong = token.replace(/..$/, "00");
  const open = (vfToken?: string): void =>
    openDevice(made.bdf, { api: "iommufd", vfToken })[Symbol.dispose]();
  expect(refusal(() => open()).code).toBe("EACCES");
  expect(refusal(() => open(wrong)).code).toBe("EACCES");
  open(token);
});

test("a device that does not migrate is told from one whose state is told in another way", () => {
  using device = openDevice(take("edu"), { api: "iommufd" });
  // vfio_pci_core knows neither: the ioctl is of the devices that migrate.
  expect(device.probeFeature(vfioFeature.MIGRATION)).toBeUndefined();
  expect(device.probeFeature(vfioFeature.MIG_PRECOPY_INFOv2)).toBeUndefined();
});
