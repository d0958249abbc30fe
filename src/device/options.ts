import type { DeviceEvent } from "./events.ts";
import type { PatchOptions } from "./patches.ts";

export interface AttachOptions extends PatchOptions {
  /** Requester ID of the device in the guest (bus << 8 | device << 3 | function), for interrupt routes; 0 without it. */
  readonly deviceId?: number | undefined;
  /**
   * `auto` (default) moves the MSI-X table into a half added to its BAR where it shares a host page with other registers,
   * so that this page can be mapped; `never` traps such a page instead.
   */
  readonly msixRelocation?: "auto" | "never" | undefined;
  /** BARs, by region index, that stay trapped although they could be mapped. */
  readonly excludeFromMapping?: readonly number[] | undefined;
  /** Whether other devices reach the BARs by DMA (default true); a failure is an event, never fatal. */
  readonly peerToPeer?: boolean | undefined;
  /** Hears why the model did less than was asked; see `DeviceEvent`. Must not throw. */
  readonly onEvent?: ((event: DeviceEvent) => void) | undefined;
}
