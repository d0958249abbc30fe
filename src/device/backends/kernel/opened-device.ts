import type { FileDescriptor } from "../../../ffi/file-descriptor.ts";
import type { DmaMap } from "../../dma/dma-map.ts";
import type { Sysroot } from "../../host/sysroot.ts";
import type { DeviceApi } from "./choose-api.ts";
import type { Container } from "./container.ts";
import type { PhysicalMemory } from "./physical-memory.ts";

/** A device that has been opened, and how; see `openDevice`. */
export interface OpenedDevice {
  readonly bdf: string;
  readonly api: DeviceApi;
  readonly explain: readonly string[];
  readonly descriptor: FileDescriptor;
  /** What is mapped for the device; undefined without IOMMU. */
  readonly dma: DmaMap | undefined;
  /** Memory by its true addresses, for a device without IOMMU that was opened through its cdev. */
  readonly physical?: PhysicalMemory | undefined;
  /** Of a device that was opened through a group. */
  readonly container: Container | undefined;
  /** Id in the iommufd of a device that was opened through its cdev. */
  readonly iommufdDevice: number | undefined;
  readonly host: Sysroot;
  /** In ms; see `reset`. */
  readonly resetTimeout?: number | undefined;
  /** What ends before its descriptor is closed, which may be open elsewhere too: its part in an address space. */
  readonly detach?: (() => void) | undefined;
  /** What ends after it: its hold on a group or an address space. */
  readonly release: () => void;
}
