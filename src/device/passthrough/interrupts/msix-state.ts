// The MSI-X state machine: takes the guest's writes, says what must change. It makes no system call.
import { entrySize } from "../../pci/msix-geometry.ts";
import type { MsiMessage, VectorChange } from "../../seam/platform.ts";

const maskBit = 1;
/** Message address bits 1:0 are read-only zero; of the vector control only the mask bit is kept (7.7.2.2). */
const writable = Uint8Array.of(0xfc, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, maskBit, 0, 0, 0);

export class MsixState {
  readonly vectors: number;
  /** The table as the guest sees it. */
  readonly table: Uint8Array;
  readonly #words: DataView;
  readonly #deviceId: number;
  /** What the platform was last told: 1 where a vector is routed, and with which message. */
  readonly #routed: Uint8Array;
  readonly #messages: Uint32Array;
  enabled = false;
  masked = false;

  constructor(vectors: number, deviceId: number) {
    this.vectors = vectors;
    this.#deviceId = deviceId;
    this.table = new Uint8Array(new ArrayBuffer(vectors * entrySize));
    this.#words = new DataView(this.table.buffer);
    this.#routed = new Uint8Array(vectors);
    this.#messages = new Uint32Array(vectors * 3);
    this.reset();
  }

  /** As after a function reset: off, every vector masked. The platform still holds what `pendingChanges` then takes back. */
  reset(): void {
    this.enabled = false;
    this.masked = false;
    this.table.fill(0);
    for (let vector = 0; vector < this.vectors; vector++)
      this.#words.setUint32(vector * entrySize + 12, maskBit, true);
  }

  /** Whether events of the vector go to the guest now. */
  wanted(vector: number): boolean {
    return this.enabled && !this.masked && !(this.table[vector * entrySize + 12]! & maskBit);
  }

  /** Vectors whose events go to the guest now. */
  wantedVectors(): number[] {
    return Array.from({ length: this.vectors }, (_, vector) => vector).filter((vector) =>
      this.wanted(vector),
    );
  }

  isRouted(vector: number): boolean {
    return this.#routed[vector] === 1;
  }

  message(vector: number): MsiMessage {
    const at = vector * entrySize;
    return {
      addressLow: this.#words.getUint32(at, true),
      addressHigh: this.#words.getUint32(at + 4, true),
      data: this.#words.getUint32(at + 8, true),
      deviceId: this.#deviceId,
    };
  }

  /**
   * Stores guest bytes, of any width and alignment, at byte `offset` of the table.
   * @returns whether any bit changed
   */
  write(offset: number, data: Uint8Array, from: number, count: number): boolean {
    let changed = false;
    for (let i = 0; i < count; i++) {
      const at = offset + i;
      const mask = writable[at & 15]!;
      const old = this.table[at]!;
      const value = (old & ~mask) | (data[from + i]! & mask);
      if (value !== old) {
        this.table[at] = value;
        changed = true;
      }
    }
    return changed;
  }

  /** What the platform must be told of one vector; undefined if nothing. */
  change(vector: number): VectorChange | undefined {
    const wanted = this.wanted(vector);
    if (!wanted) return this.#routed[vector] ? { vector, message: undefined } : undefined;
    if (this.#routed[vector] && this.#sameMessage(vector)) return undefined;
    return { vector, message: this.message(vector) };
  }

  /** What the platform must be told of all vectors, in one batch. */
  pendingChanges(first = 0, last = this.vectors - 1): VectorChange[] {
    const changes: VectorChange[] = [];
    for (let vector = first; vector <= last; vector++) {
      const change = this.change(vector);
      if (change) changes.push(change);
    }
    return changes;
  }

  /** Notes that the platform has been told. */
  applied(changes: readonly VectorChange[]): void {
    for (const { vector, message } of changes) {
      this.#routed[vector] = message ? 1 : 0;
      if (message) this.#messages.set([message.addressLow, message.addressHigh, message.data], vector * 3);
    }
  }

  #sameMessage(vector: number): boolean {
    const at = vector * entrySize;
    const known = vector * 3;
    return (
      this.#words.getUint32(at, true) === this.#messages[known] &&
      this.#words.getUint32(at + 4, true) === this.#messages[known + 1] &&
      this.#words.getUint32(at + 8, true) === this.#messages[known + 2]
    );
  }
}
