import { Eventfd } from "../../../ffi/eventfd.ts";
import { VfioError } from "../../../ffi/errors.ts";
import { irqName } from "../../../regs/vfio/irqs.ts";
import { IrqIndex } from "../../../regs/vfio/irqs.ts";
import { ArmedVectors } from "../../seam/armed-vectors.ts";
import type { DeviceBackend } from "../../seam/backend.ts";

/**
 * The MSI or MSI-X vectors of a device, for a driver: each is armed when it is first asked for, and no other. Where the
 * kernel cannot add vectors while others are on (NORESIZE, and MSI always), all are turned off and on again, and each is
 * then signalled once: its handler may find nothing to do, but no event is lost. `armAll` spares that.
 * `dispose` turns them off and closes their eventfds; it goes before the device.
 */
export class Vectors implements Disposable {
  /** Vectors that there are. */
  readonly count: number;
  readonly #device: DeviceBackend;
  readonly #eventfds = new Map<number, Eventfd>();
  readonly #armed: ArmedVectors;
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
    this.#armed = new ArmedVectors(device, index, this.count, {
      eventfd: (vector) => this.#eventfds.get(vector)!.fd,
      interrupted: (vectors) => {
        for (const vector of vectors) this.#eventfds.get(vector)!.signal();
      },
    });
  }

  /**
   * The eventfd that a vector signals; armed now, if it is not yet. It stays these vectors' own.
   * @param vector from 0 @throws VfioError where the host has no vector left; the others are as before
   */
  arm(vector: number): Eventfd {
    this.#check();
    if (!Number.isInteger(vector) || vector < 0 || vector >= this.count)
      throw new RangeError(`vector must be an integer from 0 to ${this.count - 1}, not ${vector}`);
    this.#add([vector]);
    return this.#eventfds.get(vector)!;
  }

  /**
   * The eventfds of the first `count` vectors, by number. While none is armed, this is one request to the host for all of them,
   * and none is signalled for having been turned off: the way to start where it is known how many are needed.
   * @param count 1 to `this.count`; all without
   * @throws VfioError as `arm`, and EMFILE where this process may not have so many descriptors; all is as before then
   */
  armAll(count = this.count): readonly Eventfd[] {
    this.#check();
    if (!Number.isInteger(count) || count < 1 || count > this.count)
      throw new RangeError(`count must be an integer from 1 to ${this.count}, not ${count}`);
    const vectors = Array.from({ length: count }, (_, vector) => vector);
    this.#add(vectors);
    return vectors.map((vector) => this.#eventfds.get(vector)!);
  }

  /** Arms those of some vectors that are not armed, all or none. @param vectors ascending */
  #add(vectors: readonly number[]): void {
    const missing = vectors.filter((vector) => !this.#eventfds.has(vector));
    if (missing.length === 0) return;
    using failed = new DisposableStack();
    for (const vector of missing) {
      this.#eventfds.set(vector, failed.use(new Eventfd()));
      failed.defer(() => this.#eventfds.delete(vector));
    }
    failed.defer(() => this.#armed.disarm(missing));
    if (!this.#armed.on) this.#armed.start(missing);
    this.#armed.arm(missing.filter((vector) => !this.#armed.has(vector)));
    failed.move();
  }

  /** Takes a vector's eventfd away, and closes it. Nothing happens to one that is not armed. */
  disarm(vector: number): void {
    this.#check();
    this.#armed.disarm([vector]);
    this.#eventfds.get(vector)?.[Symbol.dispose]();
    this.#eventfds.delete(vector);
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
    for (const eventfd of this.#eventfds.values()) order.use(eventfd);
    order.defer(() => this.#armed.stop());
  }
}
