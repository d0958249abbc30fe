// machines: intel (none, arm)
// Descriptors that somebody else opened, as a privileged helper does for a process without rights.
import { afterAll, expect, test } from "bun:test";
import { FileDescriptor } from "../../../src/ffi/file-descriptor.ts";
import { getGroupDeviceFd } from "../../../src/ffi/vfio-group.ts";
import { bindIommufd } from "../../../src/ffi/vfio-cdev.ts";
import { AnonymousMemory } from "../../../src/ffi/anonymous-memory.ts";
import { traceSyscalls } from "../../../src/ffi/trace.ts";
import { Container } from "../../../src/device/backends/kernel/container.ts";
import { thisHost } from "../../../src/device/host/sysroot.ts";
import { cdevNode, groupIdOf, groupNode } from "../../../src/device/host/vfio-nodes.ts";
import { openDevice } from "../../../src/device/backends/kernel/open-device.ts";
import { hasIommu, ownDescriptors, take } from "./support/devices.ts";
// Where there is no IOMMU, this allows devices without.
import { openElsewhere } from "./support/apis.ts";
import { page } from "./support/rules.ts";

const before = ownDescriptors();
afterAll(() => expect(ownDescriptors()).toEqual(before));

if (!hasIommu)
  test("without an IOMMU: group and container", () => {
    const bdf = take("edu");
    using group = FileDescriptor.open(groupNode(groupIdOf(thisHost, bdf)!));
    using container = FileDescriptor.open("/dev/vfio/vfio");
    const device = openDevice(bdf, { api: "noiommu", fds: { group: group.fd, container: container.fd } });
    expect(device.api).toBe("noiommu");
    device.reset();
    device[Symbol.dispose]();
  });
else {
  test("group and container that know nothing of each other", () => {
    const bdf = take("edu");
    const group = FileDescriptor.open(groupNode(groupIdOf(thisHost, bdf)!));
    const container = FileDescriptor.open("/dev/vfio/vfio");
    using device = openDevice(bdf, { fds: { group: group.fd, container: container.fd } });
    // They may be closed as soon as the device is open.
    group[Symbol.dispose]();
    container[Symbol.dispose]();
    device.reset();
    expect(device.iommu!.ranges.length).toBeGreaterThan(0);
  });

  test("group in a container that has its IOMMU already", () => {
    const bdf = take("edu");
    using theirs = openElsewhere(bdf);
    using memory = new AnonymousMemory(page);
    using container = Container.open({ fd: theirs.container.fd });
    container.map({ iova: 0, size: page, hva: memory.address, readable: true, writable: true });
    using device = openDevice(bdf, { iommu: container, fds: { group: theirs.group.fd } });
    expect(device.iommu!.unmapAll()).toBe(page);
  });

  test("the device itself, as its group gave it out", () => {
    const bdf = take("edu");
    using theirs = openElsewhere(bdf);
    using given = new FileDescriptor(getGroupDeviceFd(theirs.group.fd, bdf), bdf);
    using device = openDevice(bdf, { fds: { device: given.fd, container: theirs.container.fd } });
    device.reset();
    expect(device.iommu!.pageSize).toBe(page);
  });

  test("the device alone: nothing else is opened, and its address space is with who opened it", () => {
    const bdf = take("edu");
    using theirs = openElsewhere(bdf);
    using given = new FileDescriptor(getGroupDeviceFd(theirs.group.fd, bdf), bdf);
    const opened: string[] = [];
    using _ = traceSyscalls(({ name }) => {
      if (name === "openat") opened.push(name);
    });
    using device = openDevice(bdf, { fds: { device: given.fd } });
    expect([device.api, device.dma, opened]).toEqual(["group", undefined, []]);
    device.reset();
    expect(device.hotResetReport().devices[0]).toMatchObject({ bdf, ours: false });
  });

  test("a bound cdev alone: nothing else is opened, and its address space is with who bound it", () => {
    const bdf = take("edu");
    using cdev = FileDescriptor.open(cdevNode(thisHost, bdf)!);
    using iommufd = FileDescriptor.open("/dev/iommu");
    bindIommufd(cdev.fd, iommufd.fd, undefined);
    const before = ownDescriptors().length;
    using device = openDevice(bdf, { fds: { device: cdev.fd } });
    expect([device.api, device.dma, ownDescriptors().length - before]).toEqual(["iommufd", undefined, 1]);
    device.reset();
  });

  test("a cdev alone that is not bound gets an address space of its own", () => {
    const bdf = take("edu");
    using cdev = FileDescriptor.open(cdevNode(thisHost, bdf)!);
    using device = openDevice(bdf, { fds: { device: cdev.fd } });
    expect([device.api, device.iommu!.ranges.length > 0]).toEqual(["iommufd", true]);
  });

  for (const bound of [false, true])
    test(`cdev and iommufd, ${bound ? "bound already" : "not bound yet"}`, () => {
      const bdf = take("edu");
      using cdev = FileDescriptor.open(cdevNode(thisHost, bdf)!);
      using iommufd = FileDescriptor.open("/dev/iommu");
      if (bound) bindIommufd(cdev.fd, iommufd.fd, undefined);
      using device = openDevice(bdf, { fds: { device: cdev.fd, iommufd: iommufd.fd } });
      device.reset();
      expect(device.iommu!.ranges.length).toBeGreaterThan(0);
    });

  test("iommufd in a container's place", () => {
    const bdf = take("edu");
    using iommufd = FileDescriptor.open("/dev/iommu");
    using device = openDevice(bdf, { api: "iommufd-compat", fds: { iommufd: iommufd.fd } });
    device.reset();
  });
}

test("what is no descriptor", () => {
  expect(() => openDevice(take("edu"), { api: "group", fds: { container: 4000 } })).toThrow(
    expect.objectContaining({ code: "EBADF" }),
  );
  expect(() => openDevice(take("edu"), { api: "group", fds: { container: -1 } })).toThrow(RangeError);
});
