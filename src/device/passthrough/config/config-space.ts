import type { DeviceBackend } from "../../seam/backend.ts";
import { offsetOf, type ConfigOffset, type Located } from "../../pci/config-offset.ts";
import { ConfigDevice } from "./config-device.ts";
import { Source, type ConfigTables, type NumberRegister } from "./config-tables.ts";
import { allOnes, type GuestAnswers } from "../../seam/guest-answers.ts";

/** Of a dword of `Source`, one a byte: computed is the one of both bits. */
const bitOfEach = 0x01010101;
const staleBits = Source.stale * bitOfEach;

const dwordsOf = ({ buffer, byteOffset, byteLength }: Uint8Array): DataView =>
  new DataView(buffer, byteOffset, byteLength);

const nothing = new Uint8Array(0);

/** Who works out the bytes that are so marked in the tables. */
export interface ComputedBytes {
  /** Brings them up to date in the shadow, before a guest reads one. */
  compute(): void;
}

/**
 * The guest's view of config space: `(device & ~emulated) | (shadow & emulated)`, with the device asked only for bytes
 * that may have changed: no access makes more than one read of the device.
 */
export class ConfigSpace {
  readonly tables: ConfigTables;
  /** The shadow, for register maps. */
  readonly view: DataView;
  readonly #device: ConfigDevice;
  #gone = false;
  readonly #computed: ComputedBytes;
  /** The sources of bytes that may be answered from the shadow at once: none, when it is closed. */
  #known: Uint8Array;
  readonly #shadow: Uint8Array;
  /** The tables by dwords. */
  readonly #sources: DataView;
  readonly #emulated: DataView;

  constructor(backend: DeviceBackend, tables: ConfigTables, answers: GuestAnswers, computed: ComputedBytes) {
    this.#device = new ConfigDevice(backend, answers, () => {
      this.#gone = true;
      this.close();
    });
    this.tables = tables;
    this.#computed = computed;
    this.#known = tables.source;
    this.#shadow = tables.shadow;
    this.#sources = dwordsOf(tables.source);
    this.#emulated = dwordsOf(tables.emulated);
    this.view = tables.view;
  }

  /** Whether the device was found to be gone. It does not come back: everything reads all ones. */
  get gone(): boolean {
    return this.#gone;
  }

  /** Has nothing answered at once any more: whoever reads is told why. */
  close(): void {
    this.#known = nothing;
  }

  /** Looks whether the device still answers; one that does not is gone. */
  isPresent(): boolean {
    return this.#device.isPresent();
  }

  /** Whether an access is one that a PCI host makes: 1, 2 or 4 bytes inside of one dword of the space. */
  accepts(offset: number, width: number): offset is ConfigOffset {
    return this.#fits(offset, width, this.tables.size);
  }

  /** Whether a PCI host makes such an access, to extended space that the device does not have. */
  isBeyond(offset: number, width: number): boolean {
    return offset >= this.tables.size && this.#fits(offset, width, 4096);
  }

  #fits(offset: number, width: number, size: number): boolean {
    // Of what is no integer from 0 to 2^32 - 1 the shift makes another number.
    return (
      (width === 4 || width === 2 || width === 1) &&
      offset >>> 0 === offset &&
      (offset & 3) + width <= 4 &&
      offset + width <= size
    );
  }

  /**
   * What a read for the guest gives where the device need not be asked, as for most that guests make; otherwise -1. Apart, and
   * without a call: it is the way that is taken a million times.
   */
  known(offset: number, width: number): number {
    const source = this.#known;
    // What lies outside, or is no integer, has no source.
    if (source[offset] !== Source.shadow || (offset & 3) + width > 4) return -1;
    if (width === 4) {
      if ((source[offset + 1]! | source[offset + 2]! | source[offset + 3]!) !== 0) return -1;
      return this.view.getUint32(offset, true);
    }
    if (width === 1) return this.#shadow[offset]!;
    return width === 2 && source[offset + 1] === Source.shadow ? this.view.getUint16(offset, true) : -1;
  }

  /** Reads for the guest; the access must be accepted. All ones if the device fails. */
  read(offset: ConfigOffset, width: number): number {
    if (offset >= this.view.byteLength) return this.#device.readNumber(offset, width);
    if (width === 4) {
      const sources = this.#sources.getUint32(offset, true);
      if (sources === 0) return this.view.getUint32(offset, true);
      if ((sources & (sources >>> 1) & bitOfEach) === 0) return this.#readDword(offset, sources);
      return this.#refresh(offset, 4) ? this.view.getUint32(offset, true) : allOnes(4);
    }
    const { source, shadow } = this.tables;
    if (width === 2) {
      if (source[offset]! | source[offset + 1]!) if (!this.#refresh(offset, 2)) return allOnes(2);
      return this.view.getUint16(offset, true);
    }
    if (source[offset]!) if (!this.#refresh(offset, 1)) return allOnes(1);
    return shadow[offset]!;
  }

  /** As `read` of a dword of which no byte is computed. @param sources of its bytes */
  #readDword(offset: ConfigOffset, sources: number): number {
    const bytes = this.#device.read(offset, 4);
    if (!bytes) return allOnes(4);
    const owned = this.#emulated.getInt32(offset, true);
    const word = bytes[0]! | (bytes[1]! << 8) | (bytes[2]! << 16) | (bytes[3]! << 24);
    const value = ((word & ~owned) | (this.view.getInt32(offset, true) & owned)) >>> 0;
    this.view.setUint32(offset, value, true);
    // All ones settles nothing: the device may be asleep, resetting or gone.
    if (word !== -1 && (sources & staleBits) !== 0)
      this.#sources.setUint32(offset, sources & ~staleBits, true);
    return value;
  }

  /** Reads a register as the guest would. */
  readRegister(register: NumberRegister, capability?: Located): number {
    return this.read(offsetOf(register, capability), register.size);
  }

  /** Writes a register of the device. @returns whether it arrived; a failure is reported */
  writeRegister(register: NumberRegister, value: number, capability?: Located): boolean {
    return this.forward(offsetOf(register, capability), register.size, value);
  }

  #refresh(offset: ConfigOffset, width: number): boolean {
    const { source, shadow, emulated } = this.tables;
    let ask = false;
    let computed = false;
    for (let at = offset; at < offset + width; at++) {
      if (source[at] === Source.computed) computed = true;
      else if (source[at] !== Source.shadow) ask = true;
    }
    if (computed) this.#computed.compute();
    if (!ask) return true;
    const bytes = this.#device.read(offset, width);
    if (!bytes) return false;
    // All ones settles nothing: the device may be asleep, resetting or gone.
    let settles = false;
    for (let i = 0; i < width; i++) if (bytes[i] !== 0xff) settles = true;
    for (let i = 0; i < width; i++) {
      const at = offset + i;
      if (source[at] === Source.computed) continue;
      shadow[at] = (bytes[i]! & ~emulated[at]!) | (shadow[at]! & emulated[at]!);
      if (settles && source[at] === Source.stale) source[at] = Source.shadow;
    }
    return true;
  }

  /** Stores the emulated bits of a guest write in the shadow. The device is not touched. */
  store(offset: ConfigOffset, width: number, value: number): void {
    const { emulated, limit } = this.tables;
    if (offset >= limit || (width === 1 && emulated[offset] === 0)) return;
    const { shadow, write, clear } = this.tables;
    for (let i = 0; i < width; i++) {
      const at = offset + i;
      const byte = (value >>> (8 * i)) & 0xff;
      const owned = emulated[at]!;
      if (owned === 0) continue;
      const stored = owned & write[at]!;
      const cleared = owned & clear[at]! & byte;
      shadow[at] = ((shadow[at]! & ~stored) | (byte & stored)) & ~cleared;
    }
  }

  /**
   * Passes the rest of a guest write to the device, in as few writes as keep emulated bytes out of it.
   * @returns whether all of it arrived; a failure is reported
   */
  forward(offset: ConfigOffset, width: number, value: number): boolean {
    const { emulated, limit } = this.tables;
    if (offset >= limit) return this.#device.write(offset, width, value);
    if (width === 1) return emulated[offset] === 0xff || this.#forwardRun(offset, 1, value);
    let start = 0;
    let arrived = true;
    for (let i = 0; i <= width; i++) {
      if (i < width && emulated[offset + i] !== 0xff) continue;
      if (i > start)
        arrived =
          this.#forwardRun((offset + start) as ConfigOffset, i - start, value >>> (8 * start)) && arrived;
      start = i + 1;
    }
    return arrived;
  }

  #forwardRun(offset: ConfigOffset, width: number, value: number): boolean {
    const { emulated, write, clear, source, shadow } = this.tables;
    let wanted = 0;
    for (let at = offset; at < offset + width; at++) wanted |= (write[at]! | clear[at]!) & ~emulated[at]!;
    if (wanted === 0) return true;
    let told = 0;
    let changes = 0;
    for (let i = width - 1; i >= 0; i--) {
      const at = offset + i;
      const owned = emulated[at]!;
      const before = shadow[at]!;
      const byte = (((value >>> (8 * i)) & ~owned) | (before & owned)) & 0xff;
      told = (told << 8) | byte;
      changes |= source[at]! | clear[at]! | (byte ^ before);
    }
    if (!this.#device.write(offset, width, told)) return false;
    // What is known, and written once more, changes nothing. What the device makes of another value is known only after a read:
    // of the whole dword, whose fields may depend on each other.
    if (changes === 0) return true;
    const first = offset - (offset & 3);
    for (let at = first; at < first + 4; at++) {
      if (source[at] === Source.shadow && emulated[at] !== 0xff) source[at] = Source.stale;
    }
    return true;
  }

  /**
   * Runs `act` for the VMM: what the device refuses meanwhile throws, and is not answered as a guest's access would be.
   * @throws VfioError, and what `act` throws
   */
  throwing<T>(act: () => T): T {
    return this.#device.throwing(act);
  }

  /** After a reset or a change of power state nothing that the device holds is known any more. */
  invalidate(): void {
    const { source, emulated, limit } = this.tables;
    for (let at = 0; at < limit; at++)
      if (source[at] === Source.shadow && emulated[at] !== 0xff) source[at] = Source.stale;
  }
}
