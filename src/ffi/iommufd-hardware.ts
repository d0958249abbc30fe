// What the IOMMU behind a device can do, and the queue of its page faults (linux/iommufd.h).
import { bytesOf, create } from "../regs/ioctl/struct.ts";
import { IommuFaultAlloc } from "../regs/ioctl/iommufd-fault.ts";
import { IommuHwInfo, iommuHwInfoFlag, iommuHwInfoType } from "../regs/ioctl/iommufd-hardware.ts";
import { iommufdRequest } from "../regs/ioctl/iommufd-requests.ts";
import { addressOf, ioctl, valueName, type IoctlContext } from "./ioctl.ts";

/** Room for what an IOMMU's driver says of it, in bytes. */
const dataRoom = 4096;

/** What the IOMMU before a device says of itself (IOMMU_GET_HW_INFO). */
export interface HardwareInfo {
  /** Of `iommuHwInfoType`. */
  readonly type: number;
  /** The struct of that type: `IommuHwInfoVtd`, `IommuHwInfoArmSmmuv3`. */
  readonly data: Uint8Array;
  /** Of `iommuHwCapability`; 0 before Linux 6.7. */
  readonly capabilities: bigint;
  /** Bits of a PASID; 0 where there is none, or before Linux 6.15. */
  readonly pasidBits: number;
}

/** IOMMU_GET_HW_INFO. @param device its id in the iommufd @param type asks for this type; wants Linux 6.17 */
export function getHardwareInfo(
  iommufd: number,
  device: number,
  type?: number,
  context: IoctlContext = {},
): HardwareInfo {
  const memory = new Uint8Array(new ArrayBuffer(dataRoom));
  const info = create(IommuHwInfo);
  info.size = IommuHwInfo.baseSize;
  info.dev_id = device;
  info.data_len = dataRoom;
  info.data_uptr = addressOf(memory);
  if (type !== undefined) {
    info.flags = iommuHwInfoFlag.INPUT_TYPE;
    info.in_data_type = type;
  }
  ioctl(iommufd, iommufdRequest.GET_HW_INFO, bytesOf(info), {
    ...context,
    request: () =>
      `IOMMU_GET_HW_INFO ${device}${type === undefined ? "" : ` ${valueName(iommuHwInfoType, type)}`}`,
  });
  return {
    type: info.out_data_type,
    data: memory.slice(0, Math.min(info.data_len, dataRoom)),
    capabilities: info.out_capabilities,
    pasidBits: info.out_max_pasid_log2,
  };
}

/** IOMMU_FAULT_QUEUE_ALLOC. @returns its id, and a descriptor that the caller closes: faults are read from it, responses written to it */
export function allocFaultQueue(
  iommufd: number,
  context: IoctlContext = {},
): { readonly id: number; readonly fd: number } {
  const alloc = create(IommuFaultAlloc);
  alloc.size = IommuFaultAlloc.baseSize;
  ioctl(iommufd, iommufdRequest.FAULT_QUEUE_ALLOC, bytesOf(alloc), {
    ...context,
    request: "IOMMU_FAULT_QUEUE_ALLOC",
  });
  return { id: alloc.out_fault_id, fd: alloc.out_fault_fd };
}
