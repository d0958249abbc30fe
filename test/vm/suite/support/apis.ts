// The ways to open a device that this machine has: those with an IOMMU, or the one without.
import { writeFileSync } from "node:fs";
import { Container } from "../../../../src/device/backends/kernel/container.ts";
import { Ioas } from "../../../../src/device/backends/kernel/ioas.ts";
import { openDevice, type OpenOptions } from "../../../../src/device/backends/kernel/open-device.ts";
import type { KernelDevice } from "../../../../src/device/backends/kernel/kernel-device.ts";
import { thisHost } from "../../../../src/device/host/sysroot.ts";
import { groupIdOf, groupNode } from "../../../../src/device/host/vfio-nodes.ts";
import { FileDescriptor } from "../../../../src/ffi/file-descriptor.ts";
import { setIommu } from "../../../../src/ffi/vfio-container.ts";
import { setGroupContainer } from "../../../../src/ffi/vfio-group.ts";
import { vfioIommuType } from "../../../../src/regs/ioctl/vfio-container.ts";
import { hasIommu } from "./devices.ts";
import { hasIommufd } from "./rules.ts";

if (!hasIommu) writeFileSync("/sys/module/vfio/parameters/enable_unsafe_noiommu_mode", "1");

/** A way, and what it makes of a device. */
export interface Way {
  readonly name: string;
  readonly options: OpenOptions;
  readonly api: KernelDevice["api"];
}

const withIommu: readonly Way[] = [
  { name: "type1v2", options: { api: "group", type1: "type1v2" }, api: "group" },
  { name: "type1", options: { api: "group", type1: "type1" }, api: "group" },
  ...(hasIommufd
    ? ([
        { name: "iommufd-compat", options: { api: "iommufd-compat" }, api: "iommufd-compat" },
        { name: "iommufd", options: { api: "iommufd" }, api: "iommufd" },
      ] as const)
    : []),
];
const without: readonly Way[] = [{ name: "noiommu", options: { api: "noiommu" }, api: "noiommu" }];

export const ways: readonly Way[] = hasIommu ? withIommu : without;

export const open = (bdf: string, way: Way): KernelDevice => openDevice(bdf, way.options);

/** The group of a device in a type1v2 container, as another program opens them and passes them on. */
export function openElsewhere(
  bdf: string,
): { readonly group: FileDescriptor; readonly container: FileDescriptor } & Disposable {
  using failed = new DisposableStack();
  const group = failed.use(FileDescriptor.open(groupNode(groupIdOf(thisHost, bdf)!)));
  const container = failed.use(FileDescriptor.open("/dev/vfio/vfio"));
  setGroupContainer(group.fd, container.fd);
  setIommu(container.fd, vfioIommuType.TYPE1v2);
  const opened = failed.move();
  return { group, container, [Symbol.dispose]: () => opened.dispose() };
}

/** What several devices share by this way. */
export const sharedBy = (way: Way): Container | Ioas =>
  way.api === "iommufd"
    ? Ioas.open()
    : Container.open({
        iommu: way.api === "noiommu" ? "noiommu" : way.options.type1,
        node: way.api === "iommufd-compat" ? "iommufd" : "vfio",
      });
