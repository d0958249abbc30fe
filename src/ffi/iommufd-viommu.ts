// Virtual IOMMUs of an iommufd, their devices, events and queues (linux/iommufd.h).
import { bytesOf, create } from "../regs/ioctl/struct.ts";
import {
  IommuHwQueueAlloc,
  IommuVdeviceAlloc,
  IommuVeventqAlloc,
  IommuViommuAlloc,
} from "../regs/ioctl/iommufd-viommu.ts";
import { iommufdRequest } from "../regs/ioctl/iommufd-requests.ts";
import { addressOf, ioctl, type IoctlContext } from "./ioctl.ts";
import { still } from "./iommufd-hwpt.ts";

/** Bytes of `struct iommu_viommu_alloc` that every kernel with vIOMMUs knows: without data. */
const viommuSize = 24;

/**
 * IOMMU_VIOMMU_ALLOC. Linux 6.13.
 * @param type of `iommuViommuType` @param device its id in the iommufd @param hwpt a nesting parent
 * @param data what the type takes; wants Linux 6.17
 * @returns the vIOMMU's id
 */
export function allocViommu(
  iommufd: number,
  type: number,
  device: number,
  hwpt: number,
  data?: Uint8Array,
  context: IoctlContext = {},
): number {
  const memory = still(data ?? new Uint8Array(new ArrayBuffer(0)));
  const alloc = create(IommuViommuAlloc);
  alloc.size = data ? IommuViommuAlloc.baseSize : viommuSize;
  alloc.type = type;
  alloc.dev_id = device;
  alloc.hwpt_id = hwpt;
  alloc.data_len = memory.byteLength;
  alloc.data_uptr = addressOf(memory);
  ioctl(iommufd, iommufdRequest.VIOMMU_ALLOC, bytesOf(alloc), {
    ...context,
    request: `IOMMU_VIOMMU_ALLOC type ${type} device ${device} hwpt ${hwpt}`,
  });
  return alloc.out_viommu_id;
}

/** IOMMU_VDEVICE_ALLOC. Linux 6.13. @param virtualId as the guest knows the device @returns the vDEVICE's id */
export function allocVdevice(
  iommufd: number,
  viommu: number,
  device: number,
  virtualId: bigint,
  context: IoctlContext = {},
): number {
  const alloc = create(IommuVdeviceAlloc);
  alloc.size = IommuVdeviceAlloc.baseSize;
  alloc.viommu_id = viommu;
  alloc.dev_id = device;
  alloc.virt_id = virtualId;
  ioctl(iommufd, iommufdRequest.VDEVICE_ALLOC, bytesOf(alloc), {
    ...context,
    request: `IOMMU_VDEVICE_ALLOC viommu ${viommu} device ${device} virtual id ${virtualId}`,
  });
  return alloc.out_vdevice_id;
}

/**
 * IOMMU_VEVENTQ_ALLOC. Linux 6.15.
 * @param type of `iommuVeventqType` @param depth events
 * @returns its id, and a descriptor that the caller closes: events are read from it
 */
export function allocEventQueue(
  iommufd: number,
  viommu: number,
  type: number,
  depth: number,
  context: IoctlContext = {},
): { readonly id: number; readonly fd: number } {
  const alloc = create(IommuVeventqAlloc);
  alloc.size = IommuVeventqAlloc.baseSize;
  alloc.viommu_id = viommu;
  alloc.type = type;
  alloc.veventq_depth = depth;
  ioctl(iommufd, iommufdRequest.VEVENTQ_ALLOC, bytesOf(alloc), {
    ...context,
    request: `IOMMU_VEVENTQ_ALLOC viommu ${viommu} type ${type} depth ${depth}`,
  });
  return { id: alloc.out_veventq_id, fd: alloc.out_veventq_fd };
}

/**
 * IOMMU_HW_QUEUE_ALLOC: a hardware queue that the guest owns. Linux 6.17.
 * @param queue its `address` is a GPA, its `size` in bytes
 * @returns its id
 */
export function allocHardwareQueue(
  iommufd: number,
  viommu: number,
  queue: { readonly type: number; readonly index: number; readonly address: bigint; readonly size: bigint },
  context: IoctlContext = {},
): number {
  const alloc = create(IommuHwQueueAlloc);
  alloc.size = IommuHwQueueAlloc.baseSize;
  alloc.viommu_id = viommu;
  alloc.type = queue.type;
  alloc.index = queue.index;
  alloc.nesting_parent_iova = queue.address;
  alloc.length = queue.size;
  ioctl(iommufd, iommufdRequest.HW_QUEUE_ALLOC, bytesOf(alloc), {
    ...context,
    request: `IOMMU_HW_QUEUE_ALLOC viommu ${viommu} index ${queue.index}`,
  });
  return alloc.out_hw_queue_id;
}
