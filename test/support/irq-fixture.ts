// Interrupt requests in a few words, and a device with the eventfds that go with it.
import { Eventfd } from "../../src/ffi/eventfd.ts";
import type { IrqRequest } from "../../src/regs/vfio/irqs.ts";
import { codeOf, ConfigProbe } from "./config-probe.ts";
import type { SyntheticDevice } from "./synthetic-image.ts";

type Action = IrqRequest["action"];
export const none = (index: number, action: Action, count = 1, start = 0): IrqRequest => ({
  index,
  action,
  start,
  data: { kind: "none", count },
});
export const bool = (index: number, action: Action, values: boolean[], start = 0): IrqRequest => ({
  index,
  action,
  start,
  data: { kind: "bool", values },
});
export const fds = (index: number, action: Action, list: (number | Eventfd)[], start = 0): IrqRequest => ({
  index,
  action,
  start,
  data: { kind: "eventfd", fds: list.map((one) => (typeof one === "number" ? one : one.fd)) },
});

export const shape: SyntheticDevice = {
  bars: { 0: { size: 0x4000 } },
  msi: { log2: 2, wide: true, maskable: true },
  msix: { vectors: 8, table: [0, 0x2000], pba: [0, 0x3000] },
  pcie: true,
};
export const intx = 0;
export const msi = 1;
export const msix = 2;
export const error = 3;
export const request = 4;

/** A device, and eventfds that go with it. */
export class IrqFixture implements Disposable {
  readonly device: ConfigProbe;
  readonly #eventfds: Eventfd[] = [];
  constructor(device: SyntheticDevice = shape) {
    this.device = new ConfigProbe(device);
  }
  eventfds(count: number): Eventfd[] {
    const made = Array.from({ length: count }, () => new Eventfd());
    this.#eventfds.push(...made);
    return made;
  }
  eventfd(): Eventfd {
    return this.eventfds(1)[0]!;
  }
  set(irqs: IrqRequest): unknown {
    return codeOf(() => this.device.setIrqs(irqs));
  }
  [Symbol.dispose](): void {
    this.device[Symbol.dispose]();
    for (const eventfd of this.#eventfds) eventfd[Symbol.dispose]();
  }
}
export const drained = (eventfds: readonly Eventfd[]): number[] => eventfds.map((eventfd) => eventfd.drain());
export const noError = "no error";
