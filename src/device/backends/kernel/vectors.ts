import { Eventfd } from "../../../ffi/eventfd.ts";
import { VfioError } from "../../../ffi/errors.ts";
import { irqName } from "../../../regs/vfio/irqs.ts";
import { IrqIndex } from "../../../regs/vfio/irqs.ts";
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
    this.#add([vector]);
    return this.#armed.get(vector)!;
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
    return vectors.map((vector) => this.#armed.get(vector)!);
  }

  /** Arms those of some vectors that are not armed. @param vectors ascending */
  #add(vectors: readonly number[]): void {
    const missing = vectors.filter((vector) => !this.#armed.has(vector));
    const last = missing.at(-1);
    if (last === undefined) return;
    using failed = new DisposableStack();
    const added = new Map(missing.map((vector) => [vector, failed.use(new Eventfd())]));
    if (this.#allocated === 0 || this.#grows || last < this.#allocated) {
      // A vector that is armed would lose what comes while it is set again: those between are left alone.
      for (const run of runsOf(missing)) {
        this.#request(
          run[0]!,
          run.map((vector) => added.get(vector)!.fd),
        );
        failed.defer(() =>
          this.#request(
            run[0]!,
            run.map(() => -1),
          ),
        );
        this.#allocated = Math.max(this.#allocated, run.at(-1)! + 1);
      }
    } else this.#enlarge(last + 1, added);
    failed.move();
    for (const [vector, eventfd] of added) this.#armed.set(vector, eventfd);
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

  #enlarge(length: number, added: ReadonlyMap<number, Eventfd>): void {
    const before = this.#fds(this.#allocated);
    const after = this.#fds(length, added);
    this.#off();
    try {
      this.#request(0, after);
      this.#allocated = length;
    } catch (error) {
      this.#request(0, before);
      this.#allocated = before.length;
      throw error;
    } finally {
      for (const armed of this.#armed.values()) armed.signal();
    }
  }

  #fds(length: number, added?: ReadonlyMap<number, Eventfd>): number[] {
    return Array.from({ length }, (_, vector) => (this.#armed.get(vector) ?? added?.get(vector))?.fd ?? -1);
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

/** Ascending numbers, as runs of neighbours. */
function runsOf(numbers: readonly number[]): number[][] {
  const runs: number[][] = [];
  for (const number of numbers) {
    const run = runs.at(-1);
    if (run?.at(-1) === number - 1) run.push(number);
    else runs.push([number]);
  }
  return runs;
}
