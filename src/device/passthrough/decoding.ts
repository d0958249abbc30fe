// COMMAND, power states and resets: what decides whether BARs decode. In D3hot and during a reset none does, and none is mapped.
import type { AttachedDevice } from "./attach.ts";
import type { DecodingState } from "./decoding-schema.ts";
import type { Stateful } from "../seam/stateful.ts";
import type { BarRequest } from "./bars/bar-placement.ts";
import { VfioError } from "../../ffi/errors.ts";
import { allOnes } from "../seam/guest-answers.ts";
import { barAddress, isRomEnabled, isSized, setBarAddress, type Bar } from "../pci/bars.ts";
import { offsetOf, type ConfigOffset } from "../pci/config-offset.ts";
import { command, ioSpace, memorySpace } from "../pci/header-registers.ts";
import { TraceKind, type Tracer } from "../seam/trace.ts";
import { configTeller, type TellConfig } from "./config/config-teller.ts";
import { noSoftReset, powerState } from "./write-effects.ts";

/**
 * What decides whether a device's BARs answer: COMMAND, the power state, resets. It keeps the one order that is safe:
 * mappings are withdrawn before the device hears that it stops decoding, and come back after it hears that it starts.
 */
export class DecodeControl implements Stateful<DecodingState> {
  readonly #parts: AttachedDevice;
  readonly #trace: Tracer | undefined;
  readonly #tell: TellConfig;
  #command = 0;
  #power = 0;
  /** COMMAND when the device last left D0. */
  #sleepCommand = 0;
  #resetting = false;
  /** All ones is what the device answered last: it is dead, or not ready. Nothing of it is mapped until it answers. */
  #silent = false;

  constructor(parts: AttachedDevice) {
    this.#parts = parts;
    this.#trace = parts.options.trace;
    this.#tell = configTeller(this.#trace, parts.config.view);
  }

  /** COMMAND as the guest last wrote it, or as the device woke up with. The register itself is the device's. */
  get command(): number {
    return this.#command;
  }
  /** D0 to D3hot, as the device said after a reset, or after the guest last asked for one. */
  get power(): number {
    return this.#power;
  }

  save(): DecodingState {
    const sleepCommand = this.#power === 0 ? this.#command : this.#sleepCommand;
    return { command: this.#command, power: this.#power, sleepCommand };
  }

  /**
   * As the guest did it: COMMAND, sleep, and what it wrote to COMMAND since. To be called with the BARs' places paused.
   * @throws RangeError where a device without power states is to sleep
   */
  restore({ command: saved, power, sleepCommand }: DecodingState): void {
    const { config, effects } = this.#parts;
    const { powerManagement } = effects;
    const sleeps = power !== 0;
    if (sleeps && !powerManagement)
      throw new RangeError(`it sleeps in D${power}, and the device has no power states`);
    this.writeCommand(offsetOf(command), command.size, sleeps ? sleepCommand : saved);
    if (!sleeps) return;
    const { register } = powerState;
    // PME_Status is cleared by a 1.
    const kept = config.readRegister(register, powerManagement) & ~(register.clearMask | powerState.mask);
    this.writePower(offsetOf(register, powerManagement), register.size, kept | (power << powerState.lo));
    if (saved !== sleepCommand) this.writeCommand(offsetOf(command), command.size, saved);
  }

  /** A guest's write to the dword of COMMAND and STATUS. */
  writeCommand(offset: ConfigOffset, width: number, value: number): void {
    const { config } = this.#parts;
    const before = this.#command;
    const next = written(offsetOf(command), command.size, offset, width, value, before);
    // A guest access to a mapping of a device that does not decode any more would fault in the host.
    this.#command = before & next;
    this.sync();
    config.store(offset, width, value);
    this.#command = config.forward(offset, width, value) ? next : before;
    if (this.#silent) {
      this.#look();
      // Nor was what it said of its power state an answer.
      if (!this.#silent) this.#power = this.#readPower();
    }
    this.sync();
  }

  /** A guest's write to the dword of PMCSR. */
  writePower(offset: ConfigOffset, width: number, value: number): void {
    const { config, effects } = this.#parts;
    const before = this.#power;
    const { register } = powerState;
    const at = offsetOf(register, effects.powerManagement);
    const next = powerState.bits(written(at, register.size, offset, width, value, before));
    if (next !== 0) {
      this.#power = next;
      this.sync();
    }
    config.store(offset, width, value);
    const arrived = config.forward(offset, width, value);
    this.#power = before;
    if (before === 0) this.#sleepCommand = this.#command;
    if (next !== before) {
      // Leaving D3hot may reset the function (PCI Express Base Specification 7.5.2.2, No_Soft_Reset).
      config.invalidate();
      // A state that the device does not have, or cannot enter from where it is, is discarded: it says which one it is in.
      if (arrived) this.#power = this.#readPower();
      if (before === 3 && this.#power === 0 && !this.#keepsAsleep)
        this.#trace?.record(TraceKind.afterReset, 1, 0, 0, 0, 0);
      // A soft reset on the way up may have undone what the guest wrote to COMMAND while the device slept.
      if (this.#silent) this.#look();
      const awake = this.#power === 0 ? config.readRegister(command) : allOnes(2);
      // Reserved bits of COMMAND read 0: all ones is a device that does not answer.
      if (awake !== allOnes(2)) this.#wake(awake);
    }
    this.sync();
  }

  /** Whether the device keeps its registers through D3hot. */
  get #keepsAsleep(): boolean {
    const { config, effects } = this.#parts;
    return noSoftReset.read(config.view, effects.powerManagement!.offset);
  }

  /**
   * Linux restores COMMAND as it was before the sleep, but lets its user reach the BARs by what it was told last, asleep
   * or not: told what the register says, the two agree.
   */
  #wake(awake: number): void {
    const told = this.#command;
    if (awake !== told && !this.#parts.config.writeRegister(command, awake)) this.#command = awake & told;
    else this.#command = awake;
  }

  /**
   * A guest's function-level reset, by a write to config space. Where it arrives the guest finds the device as after
   * power-on, its BARs at 0; where it does not, nothing has changed.
   */
  guestReset(offset: ConfigOffset, width: number, value: number): void {
    const { config, interrupts, report } = this.#parts;
    this.#withdrawn(() => {
      this.#stop();
      if (config.forward(offset, width, value)) {
        this.#forget(() => 0);
        if (this.#silent) report("reset-failed", silentText);
      } else {
        // It stays stopped where that is refused too: nothing of it is mapped then.
        if (!config.writeRegister(command, this.#command)) this.#command = 0;
        interrupts.resume();
      }
    });
  }

  /** A function must be quiet before it is reset: no DMA, no interrupts (PCI Express Base Specification 6.6.2). */
  #stop(): void {
    const { config, interrupts } = this.#parts;
    config.writeRegister(command, 0);
    interrupts.suspend();
  }

  /**
   * Resets the function by `act`, as at a reset of the virtual machine: afterwards the guest finds it as after attach, its
   * BARs at their first addresses. So it does where `act` fails: what runs in the guest next knows nothing of the device.
   * @throws what `act` throws; VfioError where the device cannot be kept from DMA, or answers no read any more
   */
  reset(act: () => void): void {
    const { backend, config, firstAddresses } = this.#parts;
    let stopped = false;
    this.#withdrawn(() => {
      this.#stop();
      try {
        act();
      } finally {
        stopped = this.#forget((bar) => firstAddresses.get(bar.region) ?? 0);
      }
    });
    // What runs in the guest next has other things in the memory that the device may still write to.
    if (!stopped) config.throwing(() => config.writeRegister(command, 0));
    if (this.#silent)
      throw new VfioError(`${backend.name}: ${silentText}`, {
        code: "ENODEV",
        device: backend.name,
        hint: "It did not come back from the reset: some devices do so only after a power cycle of the machine.",
      });
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
    // The host gives COMMAND back as it was; after a reset the guest expects decoding and bus mastering off.
    this.#command = 0;
    this.#trace?.record(TraceKind.afterReset, 0, 0, 0, 0, 0);
    const stopped = config.writeRegister(command, 0);
    interrupts.reset();
    config.invalidate();
    this.#look();
    // A reset that failed may have left the device asleep.
    this.#power = this.#readPower();
    for (const { bar } of placement.bars) {
      bar.register.write(config.view, 0);
      setBarAddress(bar, config.view, address(bar));
      this.#tell(offsetOf(bar.register), bar.register.size);
      if (bar.upper) this.#tell(offsetOf(bar.upper), bar.upper.size);
    }
    return stopped;
  }

  /** Looks whether the device answers: bits of COMMAND and STATUS are reserved and read 0. */
  #look(): void {
    this.#silent = this.#parts.config.read(offsetOf(command), 4) === allOnes(4);
  }

  /** The power state that the device says it is in; D3hot, where nothing is mapped, if it does not answer. */
  #readPower(): number {
    const { config, effects } = this.#parts;
    const { powerManagement } = effects;
    return powerManagement ? powerState.bits(config.readRegister(powerState.register, powerManagement)) : 0;
  }

  /**
   * Makes the address space follow registers, COMMAND, power and interrupts.
   * @param unfinished a BAR's register was written in part: what it holds need not be what the guest means
   */
  sync(unfinished = false): void {
    const { placement, config } = this.#parts;
    placement.sync((bar) => this.#requested(bar, config.view, unfinished));
  }

  #requested(bar: Bar, view: DataView, unfinished: boolean): BarRequest {
    const powered = this.#power === 0 && !this.#resetting && !this.#silent && !this.#parts.config.gone;
    const enable = bar.kind === "io" ? ioSpace : memorySpace;
    const romOff = bar.kind === "rom" && !isRomEnabled(bar, view);
    const { intx } = this.#parts.interrupts;
    return {
      address: barAddress(bar, view),
      sized: isSized(bar, view),
      unfinished,
      decoded: powered && (this.#command & enable.mask) !== 0 && !romOff,
      // Where trapped accesses unmask INTx, a mapped BAR would hide them.
      mappable: !(intx?.mode === "access" && intx.enabled),
    };
  }
}

const silentText = "the device answers no read after its reset: config space reads all ones";

/** What a register would hold after a guest's write to its dword: bytes that the write leaves alone are as `before`. */
function written(
  register: ConfigOffset,
  size: number,
  offset: ConfigOffset,
  width: number,
  value: number,
  before: number,
): number {
  let after = before;
  for (let i = 0; i < size; i++) {
    const at = register + i - offset;
    if (at < 0 || at >= width) continue;
    const byte = (value >>> (8 * at)) & 0xff;
    after = (after & ~(0xff << (8 * i))) | (byte << (8 * i));
  }
  return after >>> 0;
}
