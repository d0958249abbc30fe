import type { IntxLine, MsiGroup, MsiMessage } from "../device/seam/platform.ts";
import { VfioError } from "../ffi/errors.ts";
import type { IrqCalls } from "./irq-calls.ts";
import { KvmIntxLine } from "./intx-line.ts";
import { KvmMsiGroup } from "./msi-group.ts";
import { RoutingTable, type RoutingOptions } from "./routing-table.ts";

/** Vectors of an MSI-X capability: 11 bits of Message Control hold their number (PCIe Base Specification 7.7.2.2). */
const maxVectors = 2048;

/** The interrupts of one virtual machine: MSI groups and INTx lines of all its devices over one routing table. */
export class KvmInterrupts implements Disposable {
  readonly #calls: IrqCalls;
  readonly #table: RoutingTable;
  readonly #intx: { readonly resamples: boolean } | undefined;
  readonly #firstMessage: number;
  readonly #open = new Set<Disposable>();

  /**
   * @param intx undefined where the machine has no IOAPIC in the kernel
   */
  constructor(calls: IrqCalls, routing: RoutingOptions, intx: { readonly resamples: boolean } | undefined) {
    this.#calls = calls;
    this.#table = new RoutingTable(calls, routing);
    this.#intx = intx;
    this.#firstMessage = routing.first;
  }

  /** Messages routed now, of all devices. */
  get routes(): number {
    return this.#table.size;
  }

  /**
   * The messages of one device, which gives them back by disposing of the group.
   * @param vectors 1 to 2048
   * @throws RangeError for another number
   */
  createMsiGroup(vectors: number): MsiGroup {
    if (!Number.isInteger(vectors) || vectors < 1 || vectors > maxVectors)
      throw new RangeError(`vectors must be an integer from 1 to ${maxVectors}, not ${vectors}`);
    const group: KvmMsiGroup = new KvmMsiGroup(this.#calls, this.#table, vectors, () =>
      this.#open.delete(group),
    );
    this.#open.add(group);
    return group;
  }

  /** A line at a GSI, which the machine's firmware tables say; undefined without an IOAPIC in the kernel. @throws VfioError where no descriptor is left */
  createLine(gsi: number): IntxLine | undefined {
    if (!this.#intx) return undefined;
    const line: KvmIntxLine = new KvmIntxLine(this.#calls, this.#table, gsi, this.#intx.resamples, () =>
      this.#open.delete(line),
    );
    this.#open.add(line);
    return line;
  }

  /**
   * What a pin of the VMM's own IOAPIC sends: KVM tells of the end of level-triggered interrupts by these routes (split
   * interrupt chips). @param gsi 0 to 23 @throws VfioError, RangeError
   */
  routePin(gsi: number, message: MsiMessage | undefined): void {
    if (this.#intx) throw new VfioError("the IOAPIC is in the kernel", { code: "ENOTSUP" });
    if (!Number.isInteger(gsi) || gsi < 0 || gsi >= this.#firstMessage)
      throw new RangeError(`the IOAPIC has pins 0 to ${this.#firstMessage - 1}, not ${gsi}`);
    this.#table.apply([{ gsi, message }]);
  }

  /**
   * Closes every group and line that is still open, and all of their eventfds. Safe to call twice.
   * @throws VfioError the first irqfd that KVM keeps, after all was done: it goes with the machine
   */
  [Symbol.dispose](): void {
    const failures: unknown[] = [];
    for (const each of [...this.#open, this.#table])
      try {
        each[Symbol.dispose]();
      } catch (error) {
        failures.push(error);
      }
    if (failures.length > 0) throw failures[0];
  }
}
