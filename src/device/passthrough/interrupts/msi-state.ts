// The MSI state machine, over the registers in the shadow: says what must change. It makes no system call.
import { msi32, msi32Masked, msi64, msi64Masked } from "../../../regs/maps/msi.ts";
import { offsetOf, type Located } from "../../pci/config-offset.ts";
import { emulateRegister, Source, type ConfigTables, type NumberRegister } from "../config/config-tables.ts";
import type { MsiMessage, VectorChange } from "../../seam/platform.ts";

/** A message's address is a multiple of so many bytes (PCI Express Base Specification 7.7.1.3, 7.7.2.5). */
export const messageAlignment = 4;

// Every layout begins with these.
const control = msi32.register("control");
const enable = msi32.field("control.enable");
const capable = msi32.field("control.multipleMessageCapable");
const enabledCount = msi32.field("control.multipleMessageEnable");
const address64Bit = msi32.field("control.address64Bit");
const perVectorMasking = msi32.field("control.perVectorMasking");
const address = msi32.register("address");
const extendedCapable = msi32.field("control.extendedDataCapable");

/** Whether a capability's first dword has it on. */
export const isMsiOn = (first: number): boolean => enable.of(first >>> (8 * control.at));

/** What one of the four layouts has besides. */
const registersOf = (wide: boolean, maskable: boolean) => {
  const masked = wide ? msi64Masked : msi32Masked;
  return {
    upperAddress: wide ? msi64.register("upperAddress") : undefined,
    data: wide ? msi64.register("data") : msi32.register("data"),
    // Without mask bits behind it the register is there only where the device has extended data.
    extendedData: (maskable ? masked : wide ? msi64 : msi32).register("extendedData"),
    maskable,
    mask: maskable ? masked.register("mask") : undefined,
    pending: maskable ? masked.register("pending") : undefined,
  };
};
type MsiRegisters = ReturnType<typeof registersOf>;

/** 32 vectors: what the counts say above that is reserved. */
const maxExponent = 5;
/** Of the control register. */
const guestBits = enable.mask | enabledCount.mask | msi32.field("control.extendedDataEnable").mask;

/** How the registers of one MSI capability lie (PCI Express Base Specification 7.7.1). */
export interface MsiLayout extends MsiRegisters, Located {
  /** Vectors that the guest may enable: 1 to 32. */
  readonly vectors: number;
  /** Bytes that the capability takes: 10, 14, 20 or 24. */
  readonly length: number;
}

/** @param available vectors that the host has, which may be fewer than the device can send */
export function msiLayout(config: DataView, { offset }: Located, available: number): MsiLayout {
  const flags = control.read(config, offset);
  const wanted = 2 ** Math.min(capable.bits(flags), maxExponent);
  const vectors = Math.min(wanted, 2 ** Math.floor(Math.log2(Math.max(1, available))));
  const registers = registersOf(address64Bit.of(flags), perVectorMasking.of(flags));
  const last = registers.pending ?? registers.data;
  return { ...registers, offset, vectors, length: last.at + last.size };
}

/** Makes all of a capability the model's own: the host programs the device's registers (VFIO_DEVICE_SET_IRQS). */
export function emulateMsi(tables: ConfigTables, layout: MsiLayout): void {
  const { upperAddress, data, extendedData, maskable, mask, pending, vectors } = layout;
  const own = (register: NumberRegister | undefined, writable: number, value = 0): void => {
    if (register) emulateRegister(tables, register, { value, writable }, layout);
  };
  const before = control.read(tables.view, layout.offset);
  // Routes have 16 bits of data: extended message data is hidden, register and all.
  const flags = before & ~(guestBits | capable.mask | extendedCapable.mask);
  own(control, enable.mask | enabledCount.mask, flags | (Math.log2(vectors) << capable.lo));
  own(address, address.writeMask & ~(messageAlignment - 1));
  own(upperAddress, address.writeMask);
  own(data, data.writeMask);
  if (maskable || extendedCapable.of(before)) own(extendedData, 0);
  own(mask, vectors === 32 ? address.writeMask : 2 ** vectors - 1);
  own(pending, 0);
  if (pending) {
    const at = offsetOf(pending, layout);
    tables.source.fill(Source.computed, at, at + pending.size);
  }
}

export class MsiState {
  readonly layout: MsiLayout;
  readonly #shadow: DataView;
  readonly #requesterId: number;
  readonly #routed: (MsiMessage | undefined)[];

  /** @param shadow the guest's view of config space, in which the capability's registers live */
  constructor(layout: MsiLayout, shadow: DataView, requesterId: number) {
    this.layout = layout;
    this.#shadow = shadow;
    this.#requesterId = requesterId;
    this.#routed = Array.from({ length: layout.vectors }, () => undefined);
  }

  get #control(): number {
    return control.read(this.#shadow, this.layout.offset);
  }
  get enabled(): boolean {
    return enable.of(this.#control);
  }
  set enabled(value: boolean) {
    enable.write(this.#shadow, value, this.layout.offset);
  }
  /** Vectors that the guest enabled: Multiple Message Enable, held to what there is. */
  get enabledVectors(): number {
    return Math.min(2 ** enabledCount.bits(this.#control), this.layout.vectors);
  }

  /** As after a function reset. */
  reset(): void {
    const { offset, upperAddress, data, mask } = this.layout;
    control.write(this.#shadow, this.#control & ~guestBits, offset);
    for (const register of [address, upperAddress, data, mask]) register?.write(this.#shadow, 0, offset);
  }

  isMasked(vector: number): boolean {
    const { mask, offset } = this.layout;
    return mask !== undefined && ((mask.read(this.#shadow, offset) >>> vector) & 1) === 1;
  }
  /** Stores the pending bits, for the guest to read. */
  set pending(bits: number) {
    this.layout.pending?.write(this.#shadow, bits, this.layout.offset);
  }
  wanted(vector: number): boolean {
    return this.enabled && vector < this.enabledVectors && !this.isMasked(vector);
  }
  /** Vectors whose events go to the guest now. */
  wantedVectors(): number[] {
    return Array.from({ length: this.layout.vectors }, (_, vector) => vector).filter((vector) =>
      this.wanted(vector),
    );
  }

  isRouted(vector: number): boolean {
    return this.#routed[vector] !== undefined;
  }

  /** The function replaces the low bits of the data by the vector's number (7.7.1.4). */
  message(vector: number): MsiMessage {
    const { offset, upperAddress, data } = this.layout;
    return {
      addressLow: address.read(this.#shadow, offset),
      addressHigh: upperAddress?.read(this.#shadow, offset) ?? 0,
      data: (data.read(this.#shadow, offset) & ~(this.enabledVectors - 1)) | vector,
      requesterId: this.#requesterId,
    };
  }

  pendingChanges(): VectorChange[] {
    const changes: VectorChange[] = [];
    for (let vector = 0; vector < this.layout.vectors; vector++) {
      const known = this.#routed[vector];
      if (!this.wanted(vector)) {
        if (known) changes.push({ vector, message: undefined });
        continue;
      }
      const message = this.message(vector);
      const same =
        known?.addressLow === message.addressLow &&
        known.addressHigh === message.addressHigh &&
        known.data === message.data;
      if (!same) changes.push({ vector, message });
    }
    return changes;
  }

  applied(changes: readonly VectorChange[]): void {
    for (const { vector, message } of changes) this.#routed[vector] = message;
  }
}
