// What a client is told, and what it tells.

/** What happens to a device at the other end of a socket. */
export type ClientEvent =
  /** Once: from now on every call fails. */
  | { readonly kind: "device-gone"; readonly message: string }
  /** It is there again, after a reset: unplug it from the guest and plug it in again. Only with `reconnect`. */
  | { readonly kind: "device-was-reset"; readonly message: string };

/** How a client connects. Times in milliseconds. */
export interface ConnectOptions {
  /** For messages; `vfio-user:PATH` without. */
  readonly name?: string | undefined;
  /** What each call may take; the device is gone when that is over. 1,000 without. */
  readonly timeout?: number | undefined;
  /**
   * How long a server may be late: a call fails after `timeout`, but the device is gone only if nothing at all comes for so
   * much longer. An answer that comes late is dropped. 0 without.
   */
  readonly grace?: number | undefined;
  /**
   * BAR writes are sent without waiting for an answer, as QEMU does where no region is mapped: faster, and nothing tells
   * that one was refused.
   */
  readonly postedWrites?: boolean | undefined;
  /** Whether a socket for the server's own requests is asked for; it is unless `false`. */
  readonly twinSocket?: boolean | undefined;
  /** Refuses memory of the server's that could be taken away, and end this process with it. */
  readonly sealedOnly?: boolean | undefined;
  /**
   * Tries to connect again to a device that has gone, every `interval` for `limit` at most. Without it, it stays gone. What
   * is mapped, interrupts, COMMAND and BARs are as before then; everything else of the device is as after a reset.
   */
  readonly reconnect?: { readonly interval?: number; readonly limit?: number } | undefined;
  /**
   * Whether the process lives on for the sake of the device; it does not without. `true` needs no thread to wait for the
   * server's end.
   */
  readonly keepAlive?: boolean | undefined;
  /** Hears what happens; on the event loop, or inside of the call that finds out. */
  readonly onEvent?: ((event: ClientEvent) => void) | undefined;
}

export const defaultTimeout = 1000;
