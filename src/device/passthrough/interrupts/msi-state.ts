// The MSI state machine, over the registers in the shadow: says what must change. It makes no system call.
import type { MsiMessage, VectorChange } from "../../seam/platform.ts";

/** How the registers of one MSI capability lie (PCI Express Base Specification 7.7.1). */
export interface MsiLayout {
  /** Byte offset of the capability. */
  readonly offset: number;
  readonly wide: boolean;
  readonly maskable: boolean;
  /** Vectors that the guest may enable: 1 to 32. */
  readonly vectors: number;
}

export function msiLayout(config: Uint8Array, offset: number, available: number): MsiLayout {
  const control = config[offset + 2]! | (config[offset + 3]! << 8);
  const capable = 2 ** Math.min((control >>> 1) & 7, 5);
  // The host may have fewer vectors than the device can send.
  const vectors = Math.min(capable, 2 ** Math.floor(Math.log2(Math.max(1, available))));
  return { offset, wide: (control & 0x80) !== 0, maskable: (control & 0x100) !== 0, vectors };
}

export const dataOffset = (layout: MsiLayout): number => layout.offset + (layout.wide ? 0x0c : 0x08);
export const maskOffset = (layout: MsiLayout): number => layout.offset + (layout.wide ? 0x10 : 0x0c);
export const pendingOffset = (layout: MsiLayout): number => maskOffset(layout) + 4;
/** Bytes that the capability takes: 10, 14, 20 or 24. */
export const msiLength = (layout: MsiLayout): number =>
  10 + (layout.wide ? 4 : 0) + (layout.maskable ? 10 : 0);

export class MsiState {
  readonly layout: MsiLayout;
  readonly #shadow: DataView;
  readonly #deviceId: number;
  readonly #routed: (MsiMessage | undefined)[];

  /** @param shadow the guest's view of config space, in which the capability's registers live */
  constructor(layout: MsiLayout, shadow: DataView, deviceId: number) {
    this.layout = layout;
    this.#shadow = shadow;
    this.#deviceId = deviceId;
    this.#routed = Array.from({ length: layout.vectors }, () => undefined);
  }

  get #control(): number {
    return this.#shadow.getUint16(this.layout.offset + 2, true);
  }
  get enabled(): boolean {
    return (this.#control & 1) !== 0;
  }
  set enabled(value: boolean) {
    this.#shadow.setUint16(this.layout.offset + 2, (this.#control & ~1) | (value ? 1 : 0), true);
  }
  /** Vectors that the guest enabled: Multiple Message Enable, held to what there is. */
  get enabledVectors(): number {
    return Math.min(2 ** ((this.#control >>> 4) & 7), this.layout.vectors);
  }

  /** As after a function reset. */
  reset(): void {
    const { layout } = this;
    const view = this.#shadow;
    view.setUint16(layout.offset + 2, this.#control & ~0x71, true);
    view.setUint32(layout.offset + 4, 0, true);
    if (layout.wide) view.setUint32(layout.offset + 8, 0, true);
    view.setUint16(dataOffset(layout), 0, true);
    if (layout.maskable) view.setUint32(maskOffset(layout), 0, true);
  }

  isMasked(vector: number): boolean {
    return (
      this.layout.maskable && ((this.#shadow.getUint32(maskOffset(this.layout), true) >>> vector) & 1) === 1
    );
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
    const { layout } = this;
    const data = this.#shadow.getUint16(dataOffset(layout), true);
    return {
      addressLow: (this.#shadow.getUint32(layout.offset + 4, true) & ~3) >>> 0,
      addressHigh: layout.wide ? this.#shadow.getUint32(layout.offset + 8, true) : 0,
      data: (data & ~(this.enabledVectors - 1)) | vector,
      deviceId: this.#deviceId,
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
