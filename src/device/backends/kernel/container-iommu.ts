// How a container maps, and which way is chosen.
import { VfioError } from "../../../ffi/errors.ts";
import { checkExtension } from "../../../ffi/vfio-container.ts";
import { vfioIommuType } from "../../../regs/ioctl/vfio-container.ts";
import type { GroupId } from "../../host/vfio-nodes.ts";

/** How a container maps: version 2 refuses to unmap a part of a mapping; version 1 unmaps the whole
 * of one whose start lies in the range, and nothing of others; noiommu does not map. */
export type ContainerIommu = "type1v2" | "type1" | "noiommu";

/** The kernel's number of each. */
export const iommuTypes = {
  type1v2: vfioIommuType.TYPE1v2,
  type1: vfioIommuType.TYPE1,
  noiommu: vfioIommuType.NOIOMMU,
} as const;

/** The best that the kernel has, unless one is asked for. */
export function chooseIommu(fd: number, wanted: ContainerIommu | undefined): ContainerIommu {
  const candidates: readonly ContainerIommu[] = wanted ? [wanted] : ["type1v2", "type1"];
  const context = { device: "container" };
  const found = candidates.find((one) => checkExtension(fd, iommuTypes[one], context) > 0);
  if (found) return found;
  throw new VfioError(`container: this kernel does not map as ${candidates.join(" or ")}`, {
    code: "EOPNOTSUPP",
    request: `VFIO_CHECK_EXTENSION ${candidates.join(" ")}`,
    device: "container",
    hint:
      wanted === "noiommu"
        ? "Allow devices without IOMMU: echo 1 > /sys/module/vfio/parameters/enable_unsafe_noiommu_mode"
        : "Load the module: modprobe vfio_iommu_type1",
  });
}

/** A group that the container does not take: one has an IOMMU, and the other none. */
export function wrongKind(bdf: string, id: GroupId, name: string): VfioError {
  return new VfioError(`${bdf}: group ${id.number} does not go into a ${name}`, {
    code: "EINVAL",
    device: bdf,
    hint: id.noiommu
      ? 'The device has no IOMMU: open it with api "noiommu", and mind that it can then write all memory.'
      : "The device has an IOMMU: open it without noiommu.",
  });
}
