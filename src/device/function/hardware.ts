import { capabilityId, type LocatedCapability } from "../../regs/index.ts";
import type { DeviceImage } from "../../image/image.ts";
import { RegionIndex } from "../../regs/vfio/regions.ts";
import type { Bar } from "../pci/bars.ts";
import { kindOf } from "../pci/config-kind.ts";
import { offsetOf, type ConfigOffset, type Located } from "../pci/config-offset.ts";
import { busMaster, command, interruptDisable, ioSpace, memorySpace } from "../pci/header-registers.ts";
import { hardwareTables, hasRegister, type HardwareTables } from "./hardware-tables.ts";
import { functionMask, msiControl, msiEnable, msixEnable, powerState } from "./registers.ts";

/** The function below vfio-pci: its registers take what the register maps, and its image, say that software can write. */
export class FunctionHardware {
  /** Config space as the device has it now. */
  readonly config: Uint8Array;
  readonly #tables: HardwareTables;
  readonly #opened: Uint8Array;
  /** The same as `config`, for register maps. */
  readonly #registers: DataView;
  readonly #msi: Located | undefined;
  readonly #msix: Located | undefined;
  /** What the host saved when the function went to D3hot. */
  #asleep: Uint8Array | undefined;

  /** Starts as vfio-pci leaves a device that it just opened: decoding on, bus mastering and interrupts off. */
  constructor(image: DeviceImage, bars: readonly Bar[]) {
    this.config = new Uint8Array(new ArrayBuffer(image.config.length));
    this.config.set(image.config);
    this.#registers = new DataView(this.config.buffer);
    const kind = kindOf(image.config);
    this.#tables = hardwareTables(image, kind);
    command.write(this.#registers, openedCommand(bars, command.read(this.#registers)));
    for (const capability of kind.layout.capabilities) {
      if (capability.extended) continue;
      this.#open(capability);
      if (!hasRegister(capability, msiControl)) continue;
      if (capability.id === capabilityId.msi) this.#msi = capability;
      if (capability.id === capabilityId.msix) this.#msix = capability;
    }
    this.#opened = this.config.slice(0, this.#tables.write.length);
  }

  /** What the host does to a standard capability of a device that it opens. */
  #open(capability: LocatedCapability): void {
    const { id, offset, map } = capability;
    const registers = this.#registers;
    // A function that sleeps is woken first: the host writes 0 to all of the register.
    if (
      id === capabilityId.powerManagement &&
      hasRegister(capability, powerState.register) &&
      powerState.read(registers, offset) !== "D0"
    ) {
      this.write(offsetOf(powerState.register, capability), Uint8Array.of(0, 0));
      powerState.write(registers, "D0", offset);
    }
    // What software writes to MSI is as after a reset, whatever the driver that had the function when it was recorded left there
    // (PCI Express Base Specification 7.7.1).
    if (id === capabilityId.msi && hasRegister(capability, msiEnable.register))
      for (let i = 0; i < map.size; i++) this.config[offset + i]! &= ~map.masks.write[i]!;
    if (id === capabilityId.msix && hasRegister(capability, msixEnable.register)) {
      msixEnable.write(registers, false, offset);
      functionMask.write(registers, false, offset);
    }
  }

  /** One config write of the host, in its width: RW bits are stored, RW1C bits cleared by ones. */
  write(offset: ConfigOffset, data: Uint8Array): void {
    const { write, clear } = this.#tables;
    const size = Math.min(data.length, write.length - offset);
    for (let i = 0; i < size; i++) {
      const at = offset + i;
      const store = write[at]!;
      const byte = data[i]!;
      this.config[at] = ((this.config[at]! & ~store) | (byte & store)) & ~(byte & clear[at]!);
    }
  }

  /** A reset of the function, with what the host saves before and restores after. Sticky bits live through it. */
  reset(): void {
    this.#asleep = undefined;
    const { clear, sticky, saved } = this.#tables;
    const isSaved = this.#savedKinds();
    for (let at = 0; at < clear.length; at++) {
      const keep = isSaved[saved[at]!] ? 0xff & ~clear[at]! : sticky[at]!;
      const fresh = this.#opened[at]! & ~clear[at]!;
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
    const { clear, saved } = this.#tables;
    const isSaved = this.#savedKinds();
    for (let at = 0; at < clear.length; at++) {
      const keep = isSaved[saved[at]!] ? 0xff & ~clear[at]! : 0;
      this.config[at] = (this.config[at]! & ~keep) | (asleep[at]! & keep);
    }
  }

  /** By `Saved`: whether the host saves such bytes now. */
  #savedKinds(): readonly boolean[] {
    const msi = this.#msi !== undefined && msiEnable.read(this.#registers, this.#msi.offset);
    const msix = this.#msix !== undefined && msixEnable.read(this.#registers, this.#msix.offset);
    return [false, true, msi, msix];
  }
}

/** COMMAND as pci_enable_device leaves it: what the BARs need is on; what the firmware set besides stays. */
function openedCommand(bars: readonly Bar[], recorded: number): number {
  let opened = recorded & ~(busMaster.mask | interruptDisable.mask);
  for (const { kind, region } of bars)
    if (region !== RegionIndex.rom) opened |= kind === "io" ? ioSpace.mask : memorySpace.mask;
  return opened;
}
