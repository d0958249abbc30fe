// What a client says of a server that has gone, is silent, or is no server.
import { VfioError } from "../../../ffi/errors.ts";
import { messageOf } from "../../../regs/message-of.ts";

const hint = "The server has ended, or hangs. Unplug the device; start the server again, and connect again.";

/** Every call after the end. */
export const goneError = (device: string, cause: VfioError): VfioError =>
  new VfioError(`${device} is gone: ${cause.message}`, { code: "ENODEV", errno: 19, device, cause, hint });

/** The server has closed its end. */
export const closedError = (device: string): VfioError =>
  new VfioError(`${device} has closed the connection`, { code: "EPIPE", errno: 32, device, hint });

/** @param milliseconds for how long nothing has come */
export const silentError = (device: string, milliseconds: number): VfioError =>
  new VfioError(`${device} has been silent for ${Math.round(milliseconds)} ms`, {
    code: "ETIMEDOUT",
    errno: 110,
    device,
    hint,
  });

/** @param request what was asked @param timeout in milliseconds */
export const lateError = (device: string, request: string, timeout: number): VfioError =>
  new VfioError(`${device} does not answer ${request} within ${timeout} ms`, {
    code: "ETIMEDOUT",
    errno: 110,
    request,
    device,
    hint,
  });

/** Any failure as one of the connection. */
export const asVfioError = (device: string, cause: unknown): VfioError =>
  cause instanceof VfioError
    ? cause
    : new VfioError(`${device}: ${messageOf(cause)}`, {
        code: "EPROTO",
        errno: 71,
        device,
        cause,
      });
