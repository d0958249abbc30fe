import {
  acsCapability,
  aerCapability,
  atsCapability,
  capabilityId,
  endpointHeader,
  expressCapability,
  extendedCapabilityId,
  layoutOf,
  ltrCapability,
  msi32Masked,
  msi64Masked,
  msixCapability,
  pasidCapability,
  pcixEndpointCapability,
  priCapability,
  resizableBarEntry,
  srIovCapability,
  unknownExtended,
  type LocatedCapability,
  type RegisterReference,
} from "../../regs/index.ts";
import { regionsByIndex, type ConfigBits, type DeviceImage } from "../../image/image.ts";
import { RegionIndex } from "../../regs/vfio/regions.ts";
import { barsOf } from "../pci/bars.ts";
import { offsetOf, type ConfigOffset, type Located } from "../pci/config-offset.ts";
import {
  address64Bit,
  functionMask,
  functionReset,
  initiateReset,
  msiCapable,
  msiControl,
  msiEnable,
  msixEnable,
  perVectorMasking,
  powerState,
} from "./registers.ts";
import { busMaster, command, interruptDisable, ioSpace, memorySpace } from "../pci/header-registers.ts";

interface Area {
  readonly at: number;
  readonly size: number;
}
/** From the first register to the end of the last. */
const through = (first: RegisterReference, last: RegisterReference): Area => ({
  at: first.at,
  size: last.at + last.size - first.at,
});
const whole = (map: { readonly size: number }): Area => ({ at: 0, size: map.size });

/** A Resizable BAR capability has as many entries at most (PCI Express Base Specification 7.8.6). */
const maxResizableBars = 6;

/** Registers that the host saves before a reset and writes back after it (pci_save_state in drivers/pci/pci.c, Linux 6.12). */
const savedStandard: Readonly<Record<number, readonly Area[]>> = {
  [capabilityId.msi]: [whole(msi64Masked)],
  [capabilityId.pcix]: [pcixEndpointCapability.register("command")],
  [capabilityId.express]: (
    [
      "deviceControl",
      "linkControl",
      "slotControl",
      "rootControl",
      "deviceControl2",
      "linkControl2",
      "slotControl2",
    ] as const
  ).map((name) => expressCapability.register(name)),
  [capabilityId.msix]: [whole(msixCapability)],
};
const savedExtended: typeof savedStandard = {
  [extendedCapabilityId.aer]: [
    through(aerCapability.register("uncorrectableMask"), aerCapability.register("uncorrectableSeverity")),
    through(aerCapability.register("correctableMask"), aerCapability.register("capabilities")),
  ],
  [extendedCapabilityId.acs]: [acsCapability.register("control")],
  [extendedCapabilityId.ats]: [atsCapability.register("control")],
  [extendedCapabilityId.srIov]: [
    through(srIovCapability.register("control"), srIovCapability.register("migrationStateArray")),
  ],
  [extendedCapabilityId.pri]: [
    priCapability.register("control"),
    priCapability.register("outstandingAllocation"),
  ],
  [extendedCapabilityId.resizableBar]: [
    { at: unknownExtended.size, size: maxResizableBars * resizableBarEntry.size },
  ],
  [extendedCapabilityId.ltr]: [
    through(ltrCapability.register("maxSnoopLatency"), ltrCapability.register("maxNoSnoopLatency")),
  ],
  [extendedCapabilityId.pasid]: [pasidCapability.register("control")],
};

/** Bits that start a reset and read 0. */
const resets = {
  [capabilityId.express]: functionReset,
  [capabilityId.advancedFeatures]: initiateReset,
} as const;

/** When the host saves and restores a byte. */
const Saved = { never: 0, always: 1, withMsi: 2, withMsix: 3 } as const;

/** Whether the map of a capability goes as far as a register: it may be cut off. */
const hasRegister = ({ map }: LocatedCapability, { at, size }: RegisterReference): boolean =>
  map.size >= at + size;

/**
 * The function below vfio-pci: its registers take what the register maps say that software can write. Bits that neither a
 * map nor the image describes keep their recorded value, since nothing tells what they would do.
 */
export class FunctionHardware {
  /** Config space as the device has it now. */
  readonly config: Uint8Array;
  readonly #write: Uint8Array;
  readonly #clear: Uint8Array;
  /** Bits that live through a reset. */
  readonly #sticky: Uint8Array;
  /** One of `Saved` a byte. */
  readonly #saved: Uint8Array;
  readonly #opened: Uint8Array;
  /** The same as `config`, for register maps. */
  readonly #registers: DataView;
  readonly #msi: Located | undefined;
  readonly #msix: Located | undefined;
  /** What the host saved when the function went to D3hot. */
  #asleep: Uint8Array | undefined;

  /** Starts as vfio-pci leaves a device that it just opened: decoding on, bus mastering and interrupts off. */
  constructor(image: DeviceImage) {
    const size = image.config.length;
    this.config = new Uint8Array(new ArrayBuffer(size));
    this.config.set(image.config);
    this.#registers = new DataView(this.config.buffer);
    this.#write = new Uint8Array(size);
    this.#clear = new Uint8Array(size);
    this.#sticky = new Uint8Array(size);
    this.#saved = new Uint8Array(size).fill(Saved.always, 0, endpointHeader.size);
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
    command.write(this.#registers, openedCommand(image, command.read(this.#registers)));
    for (const capability of capabilities) {
      this.#save(capability);
      if (!capability.extended) this.#open(capability);
      if (capability.extended || !hasRegister(capability, msiControl)) continue;
      if (capability.id === capabilityId.msi) this.#msi = capability;
      if (capability.id === capabilityId.msix) this.#msix = capability;
    }
    this.#opened = this.config.slice();
  }

  #save({ id, offset, extended, map }: LocatedCapability): void {
    const kind =
      !extended && id === capabilityId.msi
        ? Saved.withMsi
        : !extended && id === capabilityId.msix
          ? Saved.withMsix
          : Saved.always;
    for (const { at, size } of (extended ? savedExtended : savedStandard)[id] ?? [])
      this.#saved.fill(kind, offset + at, offset + Math.min(at + size, map.size));
  }

  /** What the host does to a standard capability of a device that it opens. */
  #open(capability: LocatedCapability): void {
    const { id, offset } = capability;
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
    if (id === capabilityId.msi && hasRegister(capability, msiEnable.register)) this.#resetMsi(capability);
    if (id === capabilityId.msix && hasRegister(capability, msixEnable.register)) {
      msixEnable.write(registers, false, offset);
      functionMask.write(registers, false, offset);
    }
    const reset =
      id === capabilityId.express || id === capabilityId.advancedFeatures ? resets[id] : undefined;
    if (reset && hasRegister(capability, reset.register))
      this.#write[offset + reset.byte.at]! &= ~reset.byte.mask;
  }

  /**
   * What software writes to MSI is as after a reset, whatever the driver that had the function when it was recorded left there
   * (PCI Express Base Specification 7.7.1). Mask bits of vectors that the function does not have are reserved.
   */
  #resetMsi({ offset, map }: LocatedCapability): void {
    for (let i = 0; i < map.size; i++) this.config[offset + i]! &= ~map.masks.write[i]!;
    const flags = msiEnable.register.read(this.#registers, offset);
    if (!perVectorMasking.of(flags)) return;
    const mask = (address64Bit.of(flags) ? msi64Masked : msi32Masked).register("mask");
    const at = offset + mask.at;
    const vectors = 2 ** msiCapable.bits(flags);
    for (let i = vectors; i < mask.width && at + i / 8 < this.config.length; i++)
      this.#write[at + (i >>> 3)]! &= ~(1 << (i & 7));
  }

  /** One config write of the host, in its width: RW bits are stored, RW1C bits cleared by ones. */
  write(offset: ConfigOffset, data: Uint8Array): void {
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
    const saved = this.#savedKinds();
    for (let at = 0; at < this.config.length; at++) {
      const keep = saved[this.#saved[at]!] ? 0xff & ~this.#clear[at]! : this.#sticky[at]!;
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
    const saved = this.#savedKinds();
    for (let at = 0; at < this.config.length; at++) {
      const keep = saved[this.#saved[at]!] ? 0xff & ~this.#clear[at]! : 0;
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
  let opened = recorded & ~(busMaster.mask | interruptDisable.mask);
  for (const { kind, region } of bars)
    if (region !== RegionIndex.rom) opened |= kind === "io" ? ioSpace.mask : memorySpace.mask;
  return opened;
}
