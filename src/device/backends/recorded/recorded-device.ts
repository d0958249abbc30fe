// A recorded device: a function behind whose regions lies what was recorded.
import type { DeviceImage } from "../../../image/image.ts";
import { HostedFunction } from "../../function/hosted-function.ts";
import { RecordedMemory } from "./memory.ts";

export type { RecordedAccesses } from "../../function/accesses.ts";

/**
 * A recorded device that behaves as vfio-pci of Linux 6.12 would with it: config space with the kernel's permissions, BARs
 * and ROM backed by memory, interrupts on real eventfds, resets. What the recording does not know reads 0, and config
 * bytes that neither a register map nor the image describes cannot be written. Mappings stay readable while memory decoding is
 * off, where the kernel's raise SIGBUS.
 */
export class RecordedDevice extends HostedFunction {
  /**
   * A device that is as it was when it was recorded.
   * @param image as `readImage` of `bun-vfio/image` gives it
   */
  constructor(image: DeviceImage) {
    super(image, new RecordedMemory(image));
  }
}
