// The MSI-X state machine: takes the guest's writes, says what must change. It makes no system call; vector-routing.ts does what it
// says on the host.
import { msixCapability, msixTableEntry } from "../../../regs/maps/msix.ts";
import type { Located } from "../../pci/config-offset.ts";
import { entrySize, showGeometry, type MsixGeometry } from "../../pci/msix-geometry.ts";
import { emulateRegister, type ConfigTables } from "../config/config-tables.ts";
import { messageAlignment } from "./msi-state.ts";
import type { MsiMessage, VectorChange } from "../../seam/platform.ts";

const addressLow = msixTableEntry.register("addressLow");
const addressHigh = msixTableEntry.register("addressHigh");
const messageData = msixTableEntry.register("data");
// Numbers of their own: they are read at each trapped write of the table.
const lowAt = addressLow.at;
const highAt = addressHigh.at;
const dataAt = messageData.at;
const masked = msixTableEntry.field("vectorControl.masked");
const { at: maskByte, mask: maskBit } = masked.byte;

/** Message addresses are multiples of 4; of the vector control only the mask bit is kept (7.7.2.2). */
/** Of an offset in the table: an entry has a power of two of bytes, and a trap divides nothing. */
const inEntry = entrySize - 1;
const writable = new Uint8Array(entrySize);
for (const register of [addressLow, addressHigh, messageData])
  writable.fill(0xff, register.at, register.at + register.size);
writable[addressLow.at]! &= ~(messageAlignment - 1);
writable[maskByte] = maskBit;

const guestBits =
  msixCapability.field("control.functionMask").mask | msixCapability.field("control.enable").mask;

/** Makes the capability the model's own: off, unmasked, and pointing at where the guest finds table and PBA. */
export function emulateMsix(tables: ConfigTables, guest: MsixGeometry, capability: Located): void {
  for (const name of ["control", "table", "pba"] as const) {
    const writable = name === "control" ? guestBits : 0;
    emulateRegister(tables, msixCapability.register(name), { value: 0, writable }, capability);
  }
  showGeometry(guest, tables.view, capability);
}

export class MsixState {
  readonly vectors: number;
  /** The table as the guest sees it. */
  readonly table: Uint8Array;
  readonly #words: DataView;
  readonly #requesterId: number;
  /** What the platform was last told: 1 where a vector is routed, and with which message. */
  readonly #routed: Uint8Array;
  readonly #messages: Uint32Array;
  enabled = false;
  masked = false;

  constructor(vectors: number, requesterId: number) {
    this.vectors = vectors;
    this.#requesterId = requesterId;
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
    for (let at = maskByte; at < this.table.length; at += entrySize) this.table[at] = maskBit;
  }

  /** Whether events of the vector go to the guest now. */
  wanted(vector: number): boolean {
    return this.enabled && !this.masked && !(this.table[vector * entrySize + maskByte]! & maskBit);
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
      addressLow: this.#words.getUint32(at + lowAt, true),
      addressHigh: this.#words.getUint32(at + highAt, true),
      data: this.#words.getUint32(at + dataAt, true),
      requesterId: this.#requesterId,
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
      const mask = writable[at & inEntry]!;
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
      this.#words.getUint32(at + lowAt, true) === this.#messages[known] &&
      this.#words.getUint32(at + highAt, true) === this.#messages[known + 1] &&
      this.#words.getUint32(at + dataAt, true) === this.#messages[known + 2]
    );
  }
}
