import { Eventfd } from "../../ffi/eventfd.ts";
import { VfioError } from "../../ffi/errors.ts";
import { irqName } from "../../image/image.ts";
import { IrqIndex, type DeviceBackend } from "../backend.ts";

/**
 * The MSI or MSI-X vectors of a device, for a driver: each is armed when it is first asked for, and no other. Where the
 * kernel cannot add vectors while others are on (NORESIZE, and MSI always), all are turned off and on again, and each is
 * then signalled once: its handler may find nothing to do, but no event is lost.
 * `dispose` turns them off and closes their eventfds; it goes before the device.
 */
export class Vectors implements Disposable {
  /** Vectors that there are. */
  readonly count: number;
  readonly #device: DeviceBackend;
  readonly #index: number;
  readonly #grows: boolean;
  readonly #armed = new Map<number, Eventfd>();
  /** Vectors that the host has allocated; 0: off. */
  #allocated = 0;
  #closed = false;

  /** @param index `IrqIndex.msi` or `IrqIndex.msix` @throws VfioError for a device that has none */
  constructor(device: DeviceBackend, index: number) {
    if (index !== IrqIndex.msi && index !== IrqIndex.msix)
      throw new RangeError(`vectors are MSI's or MSI-X's, not ${irqName(index)}'s`);
    const info = device.irqs[index];
    this.count = info?.count ?? 0;
    if (this.count === 0)
      throw new VfioError(`${device.name}: has no ${irqName(index)} vectors`, {
        code: "EOPNOTSUPP",
        device: device.name,
      });
    this.#device = device;
    this.#index = index;
    this.#grows = index === IrqIndex.msix && info?.noResize === false;
  }

  /**
   * The eventfd that a vector signals; armed now, if it is not yet. It stays these vectors' own.
   * @param vector from 0 @throws VfioError where the host has no vector left; the others are as before
   */
  arm(vector: number): Eventfd {
    this.#check();
    if (!Number.isInteger(vector) || vector < 0 || vector >= this.count)
      throw new RangeError(`vector must be an integer from 0 to ${this.count - 1}, not ${vector}`);
    const there = this.#armed.get(vector);
    if (there) return there;
    using failed = new DisposableStack();
    const eventfd = failed.use(new Eventfd());
    if (this.#allocated === 0 || this.#grows || vector < this.#allocated) {
      this.#request(vector, [eventfd.fd]);
      this.#allocated = Math.max(this.#allocated, vector + 1);
    } else this.#enlarge(vector, eventfd);
    failed.move();
    this.#armed.set(vector, eventfd);
    return eventfd;
  }

  /** Takes a vector's eventfd away, and closes it. Nothing happens to one that is not armed. */
  disarm(vector: number): void {
    this.#check();
    const eventfd = this.#armed.get(vector);
    if (!eventfd) return;
    this.#request(vector, [-1]);
    this.#armed.delete(vector);
    eventfd[Symbol.dispose]();
  }

  #enlarge(vector: number, eventfd: Eventfd): void {
    const before = this.#fds(this.#allocated);
    const after = this.#fds(vector + 1);
    after[vector] = eventfd.fd;
    this.#off();
    try {
      this.#request(0, after);
      this.#allocated = after.length;
    } catch (error) {
      this.#request(0, before);
      this.#allocated = before.length;
      throw error;
    } finally {
      for (const armed of this.#armed.values()) armed.signal();
    }
  }

  #fds(length: number): number[] {
    return Array.from({ length }, (_, vector) => this.#armed.get(vector)?.fd ?? -1);
  }

  #request(start: number, fds: readonly number[]): void {
    this.#device.setIrqs({ index: this.#index, action: "trigger", start, data: { kind: "eventfd", fds } });
  }

  #off(): void {
    if (this.#allocated === 0) return;
    this.#device.setIrqs({
      index: this.#index,
      action: "trigger",
      start: 0,
      data: { kind: "none", count: 0 },
    });
    this.#allocated = 0;
  }

  #check(): void {
    if (this.#closed)
      throw new VfioError(`${this.#device.name}: the vectors are closed`, {
        code: "ECLOSED",
        device: this.#device.name,
      });
  }

  /** Turns the vectors off and closes their eventfds. Safe to call twice. */
  [Symbol.dispose](): void {
    if (this.#closed) return;
    this.#closed = true;
    using order = new DisposableStack();
    for (const eventfd of this.#armed.values()) order.use(eventfd);
    order.defer(() => this.#off());
  }
}
