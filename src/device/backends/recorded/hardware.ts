import { layoutOf } from "../../../regs/index.ts";
import { regionsByIndex, type ConfigBits, type DeviceImage } from "../../../image/image.ts";
import { RegionIndex } from "../../../regs/vfio/regions.ts";
import { barsOf } from "../../pci/bars.ts";

const ioSpace = 0x0001;
const memorySpace = 0x0002;
const busMaster = 0x0004;
const interruptDisable = 0x0400;

/** Registers that the host saves before a reset and writes back after it (pci_save_state in drivers/pci/pci.c, Linux 6.12). */
const savedStandard: Readonly<Record<number, readonly (readonly [at: number, size: number])[]>> = {
  0x05: [[0, 24]], // MSI
  0x07: [[2, 2]], // PCI-X command
  0x10: [8, 16, 24, 28, 40, 48, 56].map((at) => [at, 2] as const), // PCI Express control registers
  0x11: [[0, 12]], // MSI-X
};
const savedExtended: typeof savedStandard = {
  0x01: [
    [0x08, 8],
    [0x14, 8],
  ], // AER: masks, severity, control
  0x0d: [[6, 2]], // ACS control
  0x0f: [[6, 2]], // ATS control
  0x10: [[8, 0x38]], // SR-IOV
  0x13: [
    [4, 2],
    [12, 4],
  ], // page requests
  0x15: [[4, 48]], // resizable BARs
  0x18: [[4, 4]], // latency tolerance
  0x1b: [[6, 2]], // PASID control
};

/**
 * The function below vfio-pci: its registers take what the register maps say that software can write. Bits that neither a
 * map nor the image describes keep their recorded value, since nothing tells what they would do.
 */
export class RecordedHardware {
  /** Config space as the device has it now. */
  readonly config: Uint8Array;
  readonly #write: Uint8Array;
  readonly #clear: Uint8Array;
  /** Bits that live through a reset. */
  readonly #sticky: Uint8Array;
  /** Bytes that the host saves and restores: 1; 2 and 3: only while MSI, MSI-X is enabled. */
  readonly #saved: Uint8Array;
  readonly #opened: Uint8Array;
  readonly #msi: number | undefined;
  readonly #msix: number | undefined;
  /** What the host saved when the function went to D3hot. */
  #asleep: Uint8Array | undefined;

  /** Starts as vfio-pci leaves a device that it just opened: decoding on, bus mastering and interrupts off. */
  constructor(image: DeviceImage) {
    const size = image.config.length;
    this.config = new Uint8Array(new ArrayBuffer(size));
    this.config.set(image.config);
    this.#write = new Uint8Array(size);
    this.#clear = new Uint8Array(size);
    this.#sticky = new Uint8Array(size);
    this.#saved = new Uint8Array(size).fill(1, 0, 64);
    const { header, capabilities } = layoutOf(image.config);
    for (const { map, offset } of [...(header ? [{ map: header, offset: 0 }] : []), ...capabilities]) {
      this.#write.set(map.masks.write, offset);
      this.#clear.set(map.masks.w1c, offset);
      this.#sticky.set(map.masks.sticky, offset);
    }
    for (const area of image.writable ?? []) {
      this.#write.fill(0xff, area.offset, area.offset + area.size);
      this.#clear.fill(0, area.offset, area.offset + area.size);
      this.#sticky.fill(0xff, area.offset, area.offset + area.size);
    }
    for (const [at, bits] of bytesOf(image.readOnlyBits, size)) this.#write[at]! &= ~bits;
    for (const [at, bits] of bytesOf(image.keptByReset, size)) this.#sticky[at]! |= bits;
    const view = new DataView(this.config.buffer);
    view.setUint16(0x04, openedCommand(image, view.getUint16(0x04, true)), true);
    for (const { id, offset, extended, map } of capabilities) {
      for (const [at, length] of (extended ? savedExtended : savedStandard)[id] ?? [])
        this.#saved.fill(
          extended || (id !== 0x05 && id !== 0x11) ? 1 : id === 0x05 ? 2 : 3,
          offset + at,
          offset + Math.min(at + length, map.size),
        );
      if (extended || map.size < 4) continue;
      // A function that sleeps is woken first: the host writes 0 to all of the register.
      if (id === 0x01 && map.size > 4 && this.config[offset + 4]! & 3) {
        this.write(offset + 4, Uint8Array.of(0, 0));
        this.config[offset + 4]! &= ~3;
      }
      if (id === 0x05) {
        this.#msi = offset;
        this.config[offset + 2]! &= ~0x01;
        this.#reserveMaskBits(offset);
      }
      if (id === 0x11) {
        this.#msix = offset;
        this.config[offset + 3]! &= ~0xc0;
      }
      // Reset bits start a reset and read 0.
      if (id === 0x10 && map.size > 9) this.#write[offset + 9]! &= ~0x80;
      if (id === 0x13 && map.size > 4) this.#write[offset + 4]! &= ~0x01;
    }
    this.#opened = this.config.slice();
  }

  /** MSI mask bits of vectors that the function does not have (PCI Express Base Specification 7.7.1.7). */
  #reserveMaskBits(msi: number): void {
    const flags = this.config[msi + 2]!;
    if (!(this.config[msi + 3]! & 0x01)) return;
    const at = msi + (flags & 0x80 ? 16 : 12);
    const vectors = 2 ** ((flags >>> 1) & 7);
    for (let i = 0; i < 32 && at + i / 8 < this.config.length; i++)
      if (i >= vectors) this.#write[at + (i >>> 3)]! &= ~(1 << (i & 7));
  }

  /** One config write of the host, in its width: RW bits are stored, RW1C bits cleared by ones. */
  write(offset: number, data: Uint8Array): void {
    for (let i = 0; i < data.length; i++) {
      const at = offset + i;
      const store = this.#write[at]!;
      const byte = data[i]!;
      this.config[at] = ((this.config[at]! & ~store) | (byte & store)) & ~(byte & this.#clear[at]!);
    }
  }

  /** A reset of the function, with what the host saves before and restores after. Sticky bits live through it. */
  reset(): void {
    this.#asleep = undefined;
    const saved = this.#savedBytes();
    for (let at = 0; at < this.config.length; at++) {
      const keep = saved(at) ? 0xff & ~this.#clear[at]! : this.#sticky[at]!;
      const fresh = this.#opened[at]! & ~this.#clear[at]!;
      this.config[at] = (fresh & ~keep) | (this.config[at]! & keep);
    }
  }

  /** The host takes the function to D3hot, and saves what it may lose there. */
  sleep(): void {
    this.#asleep = this.config.slice();
  }

  /** And back to D0: what was saved is restored, whatever was written meanwhile. The rest stays as it was. */
  wake(): void {
    const asleep = this.#asleep;
    this.#asleep = undefined;
    if (!asleep) return;
    const saved = this.#savedBytes();
    for (let at = 0; at < this.config.length; at++) {
      const keep = saved(at) ? 0xff & ~this.#clear[at]! : 0;
      this.config[at] = (this.config[at]! & ~keep) | (asleep[at]! & keep);
    }
  }

  #savedBytes(): (at: number) => boolean {
    const msi = this.#msi !== undefined && (this.config[this.#msi + 2]! & 0x01) !== 0;
    const msix = this.#msix !== undefined && (this.config[this.#msix + 3]! & 0x80) !== 0;
    return (at) => {
      const kind = this.#saved[at];
      return kind === 1 || (kind === 2 && msi) || (kind === 3 && msix);
    };
  }
}

/** Bits of dwords, byte by byte, inside of config space. */
const bytesOf = (bits: readonly ConfigBits[] | undefined, size: number): [at: number, bits: number][] =>
  (bits ?? []).flatMap(({ offset, mask }) =>
    [0, 1, 2, 3]
      .map((i): [number, number] => [offset + i, (mask >>> (8 * i)) & 0xff])
      .filter(([at]) => at < size),
  );

/** COMMAND as pci_enable_device leaves it: what the BARs need is on; what the firmware set besides stays. */
function openedCommand(image: DeviceImage, recorded: number): number {
  const { bars } = barsOf(image.config, regionsByIndex(image));
  let command = recorded & ~(busMaster | interruptDisable);
  for (const { kind, region } of bars)
    if (region !== RegionIndex.rom) command |= kind === "io" ? ioSpace : memorySpace;
  return command;
}
