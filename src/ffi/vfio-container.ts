// Requests on a container (linux/vfio.h): `/dev/vfio/vfio`, or an iommufd in its place.
import { checked, uint32 } from "../regs/ioctl/integer.ts";
import { vfioRequest } from "../regs/ioctl/vfio-requests.ts";
import { vfioExtension, vfioIommuType } from "../regs/ioctl/vfio-container.ts";
import { ioctl, valueName, type IoctlContext } from "./ioctl.ts";

/** VFIO_GET_API_VERSION. @returns the version; `vfioApi.VERSION` is the one that there is */
export const getApiVersion = (container: number, context: IoctlContext = {}): number =>
  ioctl(container, vfioRequest.GET_API_VERSION, 0, { ...context, request: "VFIO_GET_API_VERSION" });

/** VFIO_CHECK_EXTENSION. @param extension of `vfioIommuType` or `vfioExtension` @returns 0 for no, else more */
export const checkExtension = (container: number, extension: number, context: IoctlContext = {}): number =>
  ioctl(container, vfioRequest.CHECK_EXTENSION, checked(extension, uint32("an extension")), {
    ...context,
    request: () => `VFIO_CHECK_EXTENSION ${valueName({ ...vfioIommuType, ...vfioExtension }, extension)}`,
  });

/** VFIO_SET_IOMMU. @param type of `vfioIommuType` @throws VfioError EINVAL before a group is in the container */
export function setIommu(container: number, type: number, context: IoctlContext = {}): void {
  ioctl(container, vfioRequest.SET_IOMMU, checked(type, uint32("an IOMMU type")), {
    ...context,
    request: () => `VFIO_SET_IOMMU ${valueName(vfioIommuType, type)}`,
  });
}
