// DEVICE_SET_IRQS and DEVICE_RESET.
import { systemCalls } from "../../../ffi/system-calls.ts";
import { turnOff } from "../../seam/irq-requests.ts";
import { decodeIrqSet } from "../messages/irqs.ts";
import { refusal } from "../refusals.ts";
import type { Handler, SessionContext } from "./context.ts";

/** DEVICE_SET_IRQS. The device takes eventfds of its own; those that came are closed with the message. */
export const setIrqs: Handler = (context, { at, size }) => {
  const { connection, device, irqs } = context;
  const limit = Math.max(...irqs.map(({ count }) => count));
  const request = decodeIrqSet(connection.view, at, size, connection.fds, limit);
  if (!request) return refusal.invalid;
  const { index, start, data } = request;
  const vectors = irqs[index]?.count;
  if (vectors === undefined) return refusal.invalid;
  const count = data.kind === "none" ? data.count : (data.kind === "bool" ? data.values : data.fds).length;
  // Turning off what was never there is no fault: clients do so for every kind of interrupt.
  if (vectors === 0 && data.kind === "none" && count === 0 && request.action === "trigger") return 0;
  if (start > vectors || count > vectors - start) return refusal.invalid;
  // The request outlives the message where the device waits: descriptors that it needs are closed here.
  const fds = connection.fds.splice(0);
  try {
    device.setIrqs(request);
  } finally {
    for (const fd of fds) systemCalls().close(fd);
  }
  return 0;
};

/** DEVICE_RESET. */
export const resetDevice: Handler = ({ device }, { size }) => {
  if (size !== 0) return refusal.invalid;
  if (!device.resettable) return refusal.notSupported;
  device.reset();
  return 0;
};

/** Takes every eventfd away, as when a client goes; a kind that is off already is no failure. */
export function quietIrqs({ device, irqs }: SessionContext): void {
  for (const { index, count } of irqs) {
    if (count === 0) continue;
    try {
      device.setIrqs(turnOff(index));
    } catch {
      // VFIO refuses to turn off what is not on, and nothing tells whether it is.
    }
  }
}
