// What a device tells by itself, as events: an error that it could not correct, and the host's wish to have it back.
import { Eventfd } from "../../../ffi/eventfd.ts";
import { EventfdListener, type ListenOptions } from "../../../ffi/eventfd-listener.ts";
import { VfioError } from "../../../ffi/errors.ts";
import { IrqIndex } from "../../../regs/vfio/irqs.ts";
import { trigger, turnOff } from "../../seam/irq-requests.ts";
import type { DeviceBackend } from "../../seam/backend.ts";

/**
 * `error`: an uncorrectable error (AER); what the device did since is not to be trusted: reset it or close it.
 * `remove-requested`: the host wants the device back (a driver change, an unplug) and waits until it is closed. It asks again
 * every 10 s (vfio_unregister_group_dev of drivers/vfio/vfio_main.c).
 */
export type DeviceNotice = "error" | "remove-requested";

const indexes = { error: IrqIndex.error, "remove-requested": IrqIndex.request } as const;

interface Armed {
  readonly eventfd: Eventfd;
  readonly listener: EventfdListener;
  readonly callbacks: Set<() => void>;
}

/** The notices of one device. `dispose` ends them all. */
export class DeviceNotices implements Disposable {
  readonly #device: DeviceBackend;
  readonly #armed = new Map<DeviceNotice, Armed>();

  constructor(device: DeviceBackend) {
    this.#device = device;
  }

  /** @returns what ends it; safe to dispose of twice @throws VfioError for a device that does not tell */
  on(notice: DeviceNotice, callback: () => void, options: ListenOptions): Disposable {
    const index = indexes[notice];
    if (index === undefined) throw new RangeError(`no such notice: ${String(notice)}`);
    if ((this.#device.irqs[index]?.count ?? 0) === 0)
      throw new VfioError(`${this.#device.name}: does not tell of "${notice}"`, {
        code: "EOPNOTSUPP",
        device: this.#device.name,
        hint:
          notice === "error"
            ? "Before Linux 7.3 only a PCI Express device does; the kernel offers no ERR interrupt here."
            : undefined,
      });
    const armed = this.#armed.get(notice) ?? this.#arm(notice, options);
    // Its own object: the same function may listen twice.
    const own = (): void => callback();
    armed.callbacks.add(own);
    return {
      [Symbol.dispose]: () => {
        if (armed.callbacks.delete(own) && armed.callbacks.size === 0) this.#disarm(notice);
      },
    };
  }

  #arm(notice: DeviceNotice, options: ListenOptions): Armed {
    using failed = new DisposableStack();
    const eventfd = failed.use(new Eventfd());
    const callbacks = new Set<() => void>();
    const tell = (): void => {
      for (const callback of [...callbacks]) callback();
    };
    const listener = failed.use(new EventfdListener(eventfd.fd, tell, options));
    this.#request(notice, eventfd.fd);
    failed.move();
    const armed = { eventfd, listener, callbacks };
    this.#armed.set(notice, armed);
    return armed;
  }

  #request(notice: DeviceNotice, fd: number | undefined): void {
    const index = indexes[notice];
    this.#device.setIrqs(fd === undefined ? turnOff(index) : trigger(index, 0, [fd]));
  }

  #disarm(notice: DeviceNotice): void {
    const armed = this.#armed.get(notice);
    if (!armed) return;
    this.#armed.delete(notice);
    using _eventfd = armed.eventfd;
    using _listener = armed.listener;
    this.#request(notice, undefined);
  }

  /** Asks the device again for what is listened to, after something else used the same interrupts. */
  rearm(): void {
    for (const [notice, { eventfd }] of this.#armed) this.#request(notice, eventfd.fd);
  }

  [Symbol.dispose](): void {
    for (const notice of [...this.#armed.keys()]) this.#disarm(notice);
  }
}
