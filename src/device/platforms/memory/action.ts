import type { AddressSpace, MsiMessage } from "../../seam/platform.ts";

/** The windows of `AddressWindows`. */
export type AddressWindow = "mmio32" | "mmio64" | "io";

/**
 * One thing that the device's model did to the platform, as plain data. Numbers of groups and lines count from 0 in the
 * order of their creation; no file descriptor stands here, so that two runs record the same.
 */
export type PlatformAction =
  | {
      readonly kind: "slot-add";
      readonly slot: number;
      readonly gpa: number;
      readonly size: number;
      readonly hva: number;
      readonly readOnly: boolean;
    }
  | { readonly kind: "slot-remove"; readonly slot: number }
  | { readonly kind: "msi-create"; readonly group: number; readonly vectors: number }
  | { readonly kind: "eventfd-create"; readonly group: number; readonly vector: number }
  | { readonly kind: "eventfd-close"; readonly group: number; readonly vector: number }
  | { readonly kind: "eventfd-signal"; readonly group: number; readonly vector: number }
  | { readonly kind: "irqfd-off"; readonly group: number; readonly vector: number }
  /** The whole table is set at once; `routes` is its length, of all groups together. */
  | { readonly kind: "set-routing"; readonly routes: number }
  | { readonly kind: "irqfd-on"; readonly group: number; readonly vector: number }
  | { readonly kind: "msi-close"; readonly group: number }
  | { readonly kind: "intx-create"; readonly line: number; readonly pin: number }
  | { readonly kind: "intx-connect"; readonly line: number }
  | { readonly kind: "intx-disconnect"; readonly line: number }
  | { readonly kind: "intx-close"; readonly line: number }
  | {
      readonly kind: "dma-map";
      readonly iova: number;
      readonly size: number;
      readonly hva: number;
      readonly readable: boolean;
      readonly writable: boolean;
    }
  | { readonly kind: "dma-unmap"; readonly iova: number; readonly size: number }
  | {
      readonly kind: "bus-insert" | "bus-remove";
      readonly space: AddressSpace;
      readonly base: number;
      readonly size: number;
      readonly region: number;
    }
  | {
      readonly kind: "address-allocate" | "address-reserve" | "address-free";
      readonly window: AddressWindow;
      readonly base: number;
      readonly size: number;
    };

/** The kinds of actions, for tests that let one fail. */
export type PlatformActionKind = PlatformAction["kind"];

/** An MSI or MSI-X interrupt that reached the guest: what KVM would have injected. */
export interface DeliveredInterrupt {
  /** Requester ID of the message's device. */
  readonly requesterId: number;
  /** Of the device's vectors, as the platform counts them. */
  readonly group: number;
  /** In its group, from 0 on. */
  readonly vector: number;
  /** What the guest's interrupt controller was sent. */
  readonly message: MsiMessage;
}
