import { IrqIndex, type DeviceBackend } from "bun-vfio";
import { Eventfd, waitReadable } from "bun-vfio/ffi";

/**
 * A device's INTx line. It is a level: as long as a device asserts it, the interrupt would come again and again. So the kernel
 * masks the line each time it passes an interrupt on, and the driver unmasks it when it has dealt with the cause.
 * An eventfd does that at the price of one write, and a hypervisor's interrupt controller could signal it by itself.
 */
export class IntxLine implements Disposable {
  readonly #device: DeviceBackend;
  readonly #arrived = new Eventfd();
  readonly #unmask = new Eventfd();

  constructor(device: DeviceBackend) {
    this.#device = device;
    using failed = new DisposableStack();
    failed.use(this);
    this.#set("trigger", this.#arrived.fd);
    // After the trigger: there is nothing to unmask before.
    this.#set("unmask", this.#unmask.fd);
    failed.move();
  }

  /** Waits for an interrupt. @returns how many came: 1, since the line is masked then, or 0 after `milliseconds` */
  wait(milliseconds: number): number {
    waitReadable(this.#arrived.fd, milliseconds);
    return this.#arrived.drain();
  }

  /** Call this once the device asserts the line no longer. If it does again by then, the next interrupt comes at once. */
  unmask(): void {
    this.#unmask.signal();
  }

  #set(action: "trigger" | "unmask", fd: number): void {
    this.#device.setIrqs({ index: IrqIndex.intx, action, start: 0, data: { kind: "eventfd", fds: [fd] } });
  }

  /** First the kernel forgets the eventfds, then they are closed. */
  [Symbol.dispose](): void {
    using order = new DisposableStack();
    order.use(this.#arrived);
    order.use(this.#unmask);
    order.defer(() =>
      this.#device.setIrqs({
        index: IrqIndex.intx,
        action: "trigger",
        start: 0,
        data: { kind: "none", count: 0 },
      }),
    );
  }
}
