// Faults of a device that a test asks for: calls that fail once, and the device that is pulled out.
import { VfioError } from "../../../ffi/errors.ts";

/** Calls of a backend that can be made to fail. */
export type FailingCall = "read" | "write" | "map" | "setIrqs" | "reset";
const failingCalls: readonly FailingCall[] = ["read", "write", "map", "setIrqs", "reset"];

/** Calls that are to fail, each once, in the order in which that was asked for. */
export class DeviceFaults {
  readonly #device: string;
  readonly #next: { readonly call: FailingCall; readonly error: Error }[] = [];
  /** Whether the device was pulled out: nothing of it answers any more. */
  gone = false;

  constructor(device: string) {
    this.#device = device;
  }

  /** @throws RangeError for a call that there is not */
  failNext(call: FailingCall, error?: Error): void {
    if (!failingCalls.includes(call))
      throw new RangeError(
        `what fails must be one of ${failingCalls.join(", ")}, not ${JSON.stringify(call)}`,
      );
    const message = `${this.#device}: ${call} fails with EIO: fault injected by the test`;
    this.#next.push({
      call,
      error: error ?? new VfioError(message, { code: "EIO", errno: 5, device: this.#device }),
    });
  }

  /** @throws the error that was asked for, once */
  check(call: FailingCall): void {
    const index = this.#next.findIndex((fault) => fault.call === call);
    if (index >= 0) throw this.#next.splice(index, 1)[0]!.error;
  }

  /** As the kernel answers for a device that does not (`pcibios_err_to_errno` of PCIBIOS_DEVICE_NOT_FOUND). */
  noDevice(what: string): VfioError {
    return new VfioError(`${this.#device}: ${what} fails with ENODEV: the device was pulled out`, {
      code: "ENODEV",
      errno: 19,
      device: this.#device,
    });
  }
}
