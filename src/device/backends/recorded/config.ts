import { irqsByIndex, regionsByIndex, type DeviceImage } from "../../../image/image.ts";
import { IrqIndex } from "../../../regs/vfio/irqs.ts";
import { addressMask, barsOf, typeBits } from "../../pci/bars.ts";
import type { RecordedHardware } from "./hardware.ts";
import { permissionMap, type PermissionMap } from "./permission-map.ts";

/** What config writes make happen outside of config space. */
export interface ConfigEffects {
  /** A reset of the function: by a reset bit, or by leaving D3hot. */
  reset(): void;
  /** The user's interrupt disable bit changed. */
  interruptDisable(disabled: boolean): void;
  /** MSI mask bits may have changed. */
  msiMask(): void;
}

const d3hot = 3;
const memorySpace = 0x02;
const interruptDisable = 0x04; // In the upper byte of COMMAND.
const msiEnable = 0x01;
const resetBit = 0x80; // In the upper byte of device control.

/** Config space as vfio-pci shows a device: bits of its own over bits of the hardware. */
export class RecordedConfig {
  readonly #hardware: RecordedHardware;
  readonly #effects: ConfigEffects;
  readonly #map: PermissionMap;
  readonly #values: Uint8Array;
  /** BAR bits that read as what was written, and their type bits. */
  readonly #barMask: Uint8Array;
  readonly #barType: Uint8Array;
  /** A function whose IDs read all ones is a virtual one, without enable bits of its own. */
  readonly #isVirtualFunction: boolean;
  readonly #msi: number | undefined;
  readonly #msix: number | undefined;
  /** The kind of interrupt that is on, and for MSI the exponent of its vectors as of the last time. */
  #mode: number | undefined;
  #msiVectors = 0;
  #power = 0;

  constructor(image: DeviceImage, hardware: RecordedHardware, effects: ConfigEffects) {
    this.#hardware = hardware;
    this.#effects = effects;
    const map = (this.#map = permissionMap(hardware.config));
    this.#values = map.values;
    this.#barMask = new Uint8Array(64);
    this.#barType = new Uint8Array(64);
    this.#isVirtualFunction = this.#values.subarray(0, 4).every((byte) => byte === 0xff);
    if (this.#isVirtualFunction) {
      // The bit is not the device's: it reads as the user wrote it.
      this.#values[0x04]! |= memorySpace;
      map.virtual[0x04]! |= memorySpace;
    }
    if (irqsByIndex(image)[IrqIndex.intx]!.count === 0) this.#values[0x3d] = 0;
    this.#msi = startOf(map, 0x05, 10);
    this.#msix = startOf(map, 0x11, 12);
    const masks = new DataView(this.#barMask.buffer);
    const types = new DataView(this.#barType.buffer);
    for (const bar of barsOf(image.config, regionsByIndex(image)).bars) {
      const { low, high } = addressMask(bar);
      masks.setUint32(bar.register, bar.kind === "rom" ? ((low & 0xfffff800) | 1) >>> 0 : low, true);
      types.setUint32(bar.register, typeBits(bar), true);
      if (bar.kind === "memory64") masks.setUint32(bar.register + 4, high, true);
    }
  }

  /** Memory BARs answer: memory enable as the user wrote it, and not in D3hot. */
  get memoryEnabled(): boolean {
    return (this.#isVirtualFunction || (this.#values[0x04]! & memorySpace) !== 0) && this.#power < d3hot;
  }
  /** The device answers at its I/O ports: nobody but the device itself looks at this bit. */
  get ioEnabled(): boolean {
    return (this.#hardware.config[0x04]! & 0x01) !== 0;
  }
  get interruptDisabled(): boolean {
    return (this.#values[0x05]! & interruptDisable) !== 0;
  }

  /** The range must lie inside. */
  read(offset: number, data: Uint8Array): void {
    this.#fixBars();
    for (let i = 0; i < data.length; i++) {
      const at = offset + i;
      const virtual = this.#map.virtual[at]!;
      data[i] = (this.#hardware.config[at]! & ~virtual) | (this.#values[at]! & virtual);
    }
  }

  /** Splits a write as the kernel does: naturally aligned parts of 4, 2 or 1 bytes inside of one capability. */
  write(offset: number, data: Uint8Array): void {
    const { owner } = this.#map;
    for (let done = 0; done < data.length;) {
      const at = offset + done;
      let room = 1;
      while (room < 4 - (at & 3) && room < data.length - done && owner[at + room] === owner[at]) room++;
      const width = room >= 4 ? 4 : room >= 2 && (at & 1) === 0 ? 2 : 1;
      this.#writePart(at, data.subarray(done, done + width));
      done += width;
    }
  }

  #writePart(offset: number, data: Uint8Array): void {
    const start = this.#map.start[offset]!;
    const before = this.#values[start + 9]!;
    this.#store(offset, data);
    const at = offset - start;
    switch (this.#map.owner[offset]) {
      case 0x00:
        return this.#headerWritten(offset, data);
      case 0x01:
        return at === 4 ? this.#enterPower(start, data[0]! & 3) : undefined;
      case 0x03:
        return at <= 3 && at + data.length > 3 ? this.#transferVpd(start) : undefined;
      case 0x05:
        if (at <= 2 && at + data.length >= 2) this.#fixMsiFlags(start);
        return this.#effects.msiMask();
      case 0x10:
        return this.#expressWritten(start, before);
      case 0x13:
        if (!(this.#values[start + 4]! & 1)) return;
        this.#values[start + 4]! &= ~1;
        // Offered only together with the transactions pending bit.
        if ((this.#hardware.config[start + 3]! & 3) === 3) this.#effects.reset();
    }
  }

  /** Writable bits go where they live. What goes to the device goes in the part's whole width, other bits as they read. */
  #store(offset: number, data: Uint8Array): void {
    const { virtual, write } = this.#map;
    const down = new Uint8Array(data.length);
    let reaches = false;
    for (let i = 0; i < data.length; i++) {
      const at = offset + i;
      const own = write[at]! & virtual[at]!;
      const through = write[at]! & ~virtual[at]!;
      this.#values[at] = (this.#values[at]! & ~own) | (data[i]! & own);
      down[i] = (this.#hardware.config[at]! & ~through) | (data[i]! & through);
      if (through !== 0) reaches = true;
    }
    if (reaches) this.#hardware.write(offset, down);
  }

  #headerWritten(offset: number, data: Uint8Array): void {
    if (offset !== 0x04 && offset !== 0x05) return;
    // Memory and I/O enable are kept beside the device's own, to gate the BARs.
    if (offset === 0x04) this.#values[0x04] = (this.#values[0x04]! & ~3) | (data[0]! & 3);
    this.#effects.interruptDisable(this.interruptDisabled);
  }

  /** pci_set_power_state: to states that the device has, from D0 down or back to D0. */
  #enterPower(start: number, state: number): void {
    const support = this.#hardware.config[start + 3]!;
    const exists = state === 0 || state === d3hot || (support & (state === 1 ? 0x02 : 0x04)) !== 0;
    if (!exists || (state !== 0 && state < this.#power)) return;
    const { config } = this.#hardware;
    // Without No_Soft_Reset the function may lose its registers: the host saves them on the way down and restores them.
    const mayForget = !(config[start + 4]! & 0x08);
    if (mayForget && state === d3hot && this.#power < d3hot) this.#hardware.sleep();
    if (mayForget && state === 0 && this.#power === d3hot) this.#hardware.wake();
    if (state === 0) return this.awake(start);
    this.#power = state;
    config[start + 4] = (config[start + 4]! & ~3) | state;
  }

  /** To D0, as the host does at the user's request and before a reset: with a 0 to all of the register. What else was in it is gone. */
  awake(start = startOf(this.#map, 0x01, 8)): void {
    if (this.#power === 0) return;
    this.#power = 0;
    if (start === undefined) return;
    this.#hardware.write(start + 4, Uint8Array.of(0, 0));
    this.#hardware.config[start + 4]! &= ~3;
  }

  /** The host does a transfer at once: the flag turns. A recording has no VPD: it reads 0, and writes are dropped. */
  #transferVpd(start: number): void {
    if (!(this.#values[start + 3]! & 0x80)) this.#values.fill(0, start + 4, start + 8);
    this.#values[start + 3]! ^= 0x80;
  }

  /** Device control: a reset bit that reads 0, and a read request size of which the device gets at least its payload size. */
  #expressWritten(start: number, before: number): void {
    const control = this.#values[start + 9]!;
    const { config } = this.#hardware;
    if (control & resetBit) {
      this.#values[start + 9] = control & ~resetBit;
      if (config[start + 7]! & 0x10) this.#effects.reset();
    }
    const asked = (control >>> 4) & 7;
    if (asked === ((before >>> 4) & 7)) return;
    const size = Math.max(asked, (config[start + 8]! >>> 5) & 7);
    // 128 to 4096 bytes.
    if (size <= 5) config[start + 9] = (config[start + 9]! & 0x8f) | (size << 4);
  }

  /** MSI is enabled by SET_IRQS alone, and no more vectors than that set. The whole byte is the user's otherwise. */
  #fixMsiFlags(start: number): void {
    let flags = this.#values[start + 2]!;
    if (this.#mode !== IrqIndex.msi) flags &= ~msiEnable;
    if (((flags >>> 4) & 7) > this.#msiVectors) flags = (flags & 0x8f) | (this.#msiVectors << 4);
    this.#values[start + 2] = flags;
    this.#hardware.write(start + 2, Uint8Array.of(flags, this.#values[start + 3]!));
  }

  /** SET_IRQS turned a kind of interrupts on or off: the host enables the device's own. @param vectors of MSI */
  interruptMode(mode: number | undefined, vectors: number): void {
    if (mode === this.#mode) return;
    this.#mode = mode;
    const { config } = this.#hardware;
    const msi = this.#msi;
    const msix = this.#msix;
    if (msi !== undefined) {
      const isOn = mode === IrqIndex.msi;
      if (isOn) this.#msiVectors = Math.min(5, Math.ceil(Math.log2(Math.max(1, vectors))));
      const flags = config[msi + 2]! & 0x8e;
      config[msi + 2] = isOn ? flags | (this.#msiVectors << 4) | msiEnable : config[msi + 2]! & ~msiEnable;
    }
    if (msix !== undefined)
      config[msix + 3] = (config[msix + 3]! & 0x3f) | (mode === IrqIndex.msix ? 0x80 : 0);
  }

  /** Offset of the MSI mask bits, if the device has them; the pending bits follow. */
  get msiMaskAt(): number | undefined {
    const at = this.#msi;
    if (at === undefined || !(this.#hardware.config[at + 3]! & 1)) return undefined;
    return at + (this.#hardware.config[at + 2]! & 0x80 ? 16 : 12);
  }

  /** BAR registers hold what was written in the bits that their size leaves: that is how they are sized. */
  #fixBars(): void {
    for (const at of [0x10, 0x14, 0x18, 0x1c, 0x20, 0x24, 0x30])
      for (let i = at; i < at + 4; i++)
        this.#values[i] = (this.#values[i]! & this.#barMask[i]!) | this.#barType[i]!;
  }
}

/** Where the first capability of an ID starts, if `size` bytes of it are there. */
function startOf({ owner, start }: PermissionMap, id: number, size: number): number | undefined {
  const at = owner.indexOf(id, 64);
  return at >= 0 && start[at] === at && at + size <= owner.length ? at : undefined;
}
