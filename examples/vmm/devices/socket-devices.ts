// Devices at the other end of a socket (vfio-user), beside those of the host.
import { connectDevice } from "bun-vfio/vfio-user";
import { HostDevices, type Api, type DeviceSource, type HostDevice } from "./host-devices.ts";

const prefix = "vfio-user:";

/** The path of a device's socket; undefined for a device that has an address. */
export const socketOf = (name: string): string | undefined =>
  name.startsWith(prefix) && name.length > prefix.length ? name.slice(prefix.length) : undefined;

/** Devices by address, and by `vfio-user:PATH`. */
export class AnyDevices implements DeviceSource {
  readonly #host: HostDevices;

  constructor(api: Api) {
    this.#host = new HostDevices(api);
  }

  open(name: string): HostDevice {
    const path = socketOf(name);
    if (path === undefined) return this.#host.open(name);
    let lost = (): void => {};
    const device = connectDevice(path, { name, onEvent: () => lost() });
    // KVM has nothing to know of it, and nobody asks for it back.
    const onLost = (act: () => void): void => void (lost = act);
    return Object.assign(device, { fd: undefined, on: (): void => {}, onLost });
  }

  [Symbol.dispose](): void {
    this.#host[Symbol.dispose]();
  }
}
