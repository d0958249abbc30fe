// A recorded device: a function behind whose regions lies what was recorded.
import type { DeviceImage } from "../../../image/image.ts";
import { IrqIndex, type IrqRequest } from "../../../regs/vfio/irqs.ts";
import { RegionIndex, type RegionArea } from "../../../regs/vfio/regions.ts";
import { HostedFunction } from "../../function/hosted-function.ts";
import type { RegionMapping } from "../../seam/backend.ts";
import { DeviceFaults, type FailingCall } from "./device-faults.ts";
import { RecordedMemory } from "./memory.ts";

export type { RecordedAccesses } from "../../function/accesses.ts";
export type { FailingCall } from "./device-faults.ts";

/**
 * A recorded device that behaves as vfio-pci of Linux 6.12 would with it: config space with the kernel's permissions, BARs
 * and ROM backed by memory, interrupts on real eventfds, resets. What the recording does not know reads 0, and config
 * bytes that neither a register map nor the image describes cannot be written. Mappings stay readable while memory decoding is
 * off, where the kernel's raise SIGBUS. `failNext`, `requestRemoval` and `unplug` are for tests of what stands on it.
 */
export class RecordedDevice extends HostedFunction {
  readonly #faults: DeviceFaults;

  /**
   * A device that is as it was when it was recorded.
   * @param image as `readImage` of `bun-vfio/image` gives it
   */
  constructor(image: DeviceImage) {
    super(image, new RecordedMemory(image));
    this.#faults = new DeviceFaults(this.name);
  }

  /**
   * Lets the next call of a kind fail before it takes effect, once. Several queue up.
   * @param error to throw; a VfioError with code EIO without it
   * @example
   * device.failNext("reset");
   */
  failNext(call: FailingCall, error?: Error): void {
    this.#faults.failNext(call, error);
  }

  /**
   * Asks for the device back, as the kernel does when it is to be unbound: signals the request interrupt (REQ).
   * @returns whether somebody hears of it
   */
  requestRemoval(): boolean {
    return this.raise(IrqIndex.request, 0);
  }

  /**
   * Pulls the device out, as a surprise removal does: config space fails with ENODEV, a reset too, BARs read all ones and
   * take no write, and the request interrupt is signalled. Mappings keep their memory. Nothing brings the device back.
   */
  unplug(): void {
    this.#faults.gone = true;
    this.requestRemoval();
  }

  override read(region: number, offset: number, data: Uint8Array): void {
    this.#faults.check("read");
    if (!this.#faults.gone) return super.read(region, offset, data);
    if (region === RegionIndex.config) throw this.#faults.noDevice("read of config space");
    data.fill(0xff);
  }

  override write(region: number, offset: number, data: Uint8Array): void {
    this.#faults.check("write");
    if (!this.#faults.gone) return super.write(region, offset, data);
    if (region === RegionIndex.config) throw this.#faults.noDevice("write to config space");
  }

  /** As the kernel maps an area. @throws VfioError EINVAL for what the host does not let be mapped */
  override map(region: number, area: RegionArea): RegionMapping {
    this.#faults.check("map");
    return super.map(region, area);
  }

  /** As VFIO_DEVICE_SET_IRQS. @throws VfioError EINVAL for what the kernel refuses */
  override setIrqs(request: IrqRequest): void {
    this.#faults.check("setIrqs");
    super.setIrqs(request);
  }

  /** Resets the function. @throws VfioError EINVAL where it cannot be reset alone, ENODEV where it was pulled out */
  override reset(): void {
    this.#faults.check("reset");
    if (this.#faults.gone) throw this.#faults.noDevice("VFIO_DEVICE_RESET");
    super.reset();
  }
}
