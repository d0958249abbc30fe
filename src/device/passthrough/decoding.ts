import type { Parts } from "./attach.ts";
import { RegionIndex } from "../../regs/vfio/regions.ts";
import type { BarWish } from "./bars/bar-placement.ts";
import { allOnes } from "../seam/guest-answers.ts";
import { barAddress, setBarAddress, type Bar } from "../pci/bars.ts";

const ioSpace = 1;
const memorySpace = 2;
const commandOffset = 0x04;

/**
 * What decides whether a device's BARs answer: COMMAND, the power state, resets. It keeps the one order that is safe:
 * mappings are withdrawn before the device hears that it stops decoding, and come back after it hears that it starts.
 */
export class DecodeControl {
  readonly #parts: Parts;
  #command = 0;
  #power = 0;
  #resetting = false;

  constructor(parts: Parts) {
    this.#parts = parts;
  }

  /** COMMAND as the guest last wrote it, or as the device woke up with. The register itself is the device's. */
  get command(): number {
    return this.#command;
  }
  /** D0 to D3hot, as the device said after a reset, or after the guest last asked for one. */
  get power(): number {
    return this.#power;
  }

  /** A guest's write to the dword of COMMAND and STATUS. */
  writeCommand(offset: number, width: number, value: number): void {
    const { config } = this.#parts;
    const before = this.#command;
    const next =
      byteOf(offset, width, value, 0, before & 0xff) | (byteOf(offset, width, value, 1, before >>> 8) << 8);
    // A guest access to a mapping of a device that does not decode any more would fault in the host.
    this.#command = before & next;
    this.sync();
    config.store(offset, width, value);
    this.#command = config.forward(offset, width, value) ? next : before;
    this.sync();
  }

  /** A guest's write to the dword of PMCSR. */
  writePower(offset: number, width: number, value: number): void {
    const { config } = this.#parts;
    const before = this.#power;
    const next = byteOf(offset, width, value, 0, before) & 3;
    if (next !== 0) {
      this.#power = next;
      this.sync();
    }
    config.store(offset, width, value);
    const arrived = config.forward(offset, width, value);
    this.#power = before;
    if (next !== before) {
      // Leaving D3hot may reset the function (PCI Express Base Specification 7.5.2.2, No_Soft_Reset).
      config.invalidate();
      // A state that the device does not have, or cannot enter from where it is, is discarded: it says which one it is in.
      if (arrived) this.#power = this.#readPower();
      // A soft reset on the way up may have undone what the guest wrote to COMMAND while the device slept.
      const awake = this.#power === 0 ? config.read(commandOffset, 2) : allOnes(2);
      // Reserved bits of COMMAND read 0: all ones is a device that does not answer.
      if (awake !== allOnes(2)) this.#wake(awake);
    }
    this.sync();
  }

  /**
   * Linux restores COMMAND as it was before the sleep, but lets its user reach the BARs by what it was told last, asleep
   * or not: told what the register says, the two agree.
   */
  #wake(awake: number): void {
    const told = this.#command;
    if (awake !== told && !this.#parts.config.forward(commandOffset, 2, awake)) this.#command = awake & told;
    else this.#command = awake;
  }

  /**
   * A guest's function-level reset, by a write to config space. Where it arrives the guest finds the device as after
   * power-on, its BARs at 0; where it does not, nothing has changed.
   */
  guestReset(offset: number, width: number, value: number): void {
    this.#withdrawn(() => {
      if (this.#parts.config.forward(offset, width, value)) this.#forget(() => 0);
    });
  }

  /**
   * Resets the function by `act`, as at a reset of the virtual machine: afterwards the guest finds it as after attach, its
   * BARs at their first addresses. So it does where `act` fails: what runs in the guest next knows nothing of the device.
   * @throws what `act` throws; VfioError where the device cannot be kept from DMA
   */
  reset(act: () => void): void {
    const { config, firstAddresses } = this.#parts;
    let stopped = false;
    this.#withdrawn(() => {
      try {
        act();
      } finally {
        stopped = this.#forget((bar) => firstAddresses.get(bar.region) ?? 0);
      }
    });
    // What runs in the guest next has other things in the memory that the device may still write to.
    if (!stopped) config.strictly(() => config.forward(commandOffset, 2, 0));
  }

  /** Nothing is mapped while the device may be reset by `act`. */
  #withdrawn(act: () => void): void {
    this.#resetting = true;
    this.sync();
    try {
      act();
    } finally {
      this.#resetting = false;
      this.sync();
    }
  }

  /**
   * Interrupts, COMMAND and BARs as after a reset. The power state is what the device says.
   * @returns whether the device heard of COMMAND
   */
  #forget(address: (bar: Bar) => number): boolean {
    const { config, interrupts, placement } = this.#parts;
    interrupts.reset();
    // The host gives COMMAND back as it was; after a reset the guest expects decoding and bus mastering off.
    this.#command = 0;
    const stopped = config.forward(commandOffset, 2, 0);
    config.invalidate();
    // A reset that failed may have left the device asleep.
    this.#power = this.#readPower();
    for (const { bar } of placement.bars) {
      if (bar.kind === "rom") config.view.setUint32(bar.register, 0, true);
      setBarAddress(bar, config.view, address(bar));
    }
    return stopped;
  }

  /** The power state that the device says it is in; D3hot, where nothing is mapped, if it does not answer. */
  #readPower(): number {
    const { config, hooks } = this.#parts;
    return hooks.pmcsr === undefined ? 0 : config.read(hooks.pmcsr, 1) & 3;
  }

  /** Makes the address space follow registers, COMMAND, power and interrupts. */
  sync(): void {
    const { placement, config } = this.#parts;
    placement.sync((bar) => this.#wish(bar, config.view));
  }

  #wish(bar: Bar, view: DataView): BarWish {
    const powered = this.#power === 0 && !this.#resetting;
    const enable = bar.kind === "io" ? ioSpace : memorySpace;
    const romOff = bar.region === RegionIndex.rom && (view.getUint32(bar.register, true) & 1) === 0;
    const { intx } = this.#parts.interrupts;
    return {
      address: barAddress(bar, view),
      decoded: powered && (this.#command & enable) !== 0 && !romOff,
      // Where trapped accesses unmask INTx, a mapped BAR would hide them.
      mappable: !(intx?.mode === "access" && intx.enabled),
    };
  }
}

/** Byte `index` of the dword that an access touches; `otherwise` where the access leaves it alone. */
export function byteOf(offset: number, width: number, value: number, index: number, otherwise = 0): number {
  const at = index - (offset & 3);
  return at >= 0 && at < width ? (value >>> (8 * at)) & 0xff : otherwise;
}
