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
// Dwords of an entry, as numbers of their own: they are read at each trapped write of the table.
const entryDwords = entrySize / 4;
const lowAt = addressLow.at / 4;
const highAt = addressHigh.at / 4;
const dataAt = messageData.at / 4;
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
/** The same by dwords. */
const writableDwords = new Int32Array(writable.buffer);
const inEntryDwords = entryDwords - 1;

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
  /** The same by dwords, signed: the machines that this runs on have the byte order of the bus. */
  readonly #dwords: Int32Array;
  readonly #requesterId: number;
  /** What the platform was last told: 1 where a vector is routed, and with which message. */
  readonly #routed: Uint8Array;
  readonly #messages: Int32Array;
  enabled = false;
  masked = false;

  constructor(vectors: number, requesterId: number) {
    this.vectors = vectors;
    this.#requesterId = requesterId;
    this.table = new Uint8Array(new ArrayBuffer(vectors * entrySize));
    this.#dwords = new Int32Array(this.table.buffer);
    this.#routed = new Uint8Array(vectors);
    this.#messages = new Int32Array(vectors * 3);
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
    const at = vector * entryDwords;
    return {
      addressLow: this.#dwords[at + lowAt]! >>> 0,
      addressHigh: this.#dwords[at + highAt]! >>> 0,
      data: this.#dwords[at + dataAt]! >>> 0,
      requesterId: this.#requesterId,
    };
  }

  /**
   * Stores guest bytes, of any width and alignment, at byte `offset` of the table.
   * @returns whether any bit changed
   */
  write(offset: number, data: Uint8Array, from: number, count: number): boolean {
    if (count === 4 && (offset & 3) === 0) return this.#writeDword(offset, data, from);
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

  /** As `write` of one aligned dword, which is how drivers do it. */
  #writeDword(offset: number, data: Uint8Array, from: number): boolean {
    const value = data[from]! | (data[from + 1]! << 8) | (data[from + 2]! << 16) | (data[from + 3]! << 24);
    const at = offset >>> 2;
    const mask = writableDwords[at & inEntryDwords]!;
    const old = this.#dwords[at]!;
    const next = (old & ~mask) | (value & mask);
    this.#dwords[at] = next;
    return next !== old;
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
    for (const change of changes) this.appliedOne(change);
  }
  appliedOne({ vector, message }: VectorChange): void {
    this.#routed[vector] = message ? 1 : 0;
    if (!message) return;
    this.#messages[vector * 3] = message.addressLow;
    this.#messages[vector * 3 + 1] = message.addressHigh;
    this.#messages[vector * 3 + 2] = message.data;
  }

  #sameMessage(vector: number): boolean {
    const at = vector * entryDwords;
    const known = vector * 3;
    return (
      this.#dwords[at + lowAt] === this.#messages[known] &&
      this.#dwords[at + highAt] === this.#messages[known + 1] &&
      this.#dwords[at + dataAt] === this.#messages[known + 2]
    );
  }
}
