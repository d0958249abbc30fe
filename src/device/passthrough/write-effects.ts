// Which dwords of config space mean more to the model than bytes: found once at attach from a table over the register
// maps, looked up on each write.
import {
  advancedFeaturesCapability,
  capabilityId,
  expressCapability,
  powerManagementCapability,
  type CapabilityId,
  type FieldReference,
  type LocatedCapability,
  type RegisterReference,
} from "../../regs/index.ts";
import type { Bar } from "../pci/bars.ts";
import type { ConfigImage } from "../pci/config-image.ts";
import { offsetOf, startOf, type ConfigOffset, type Located } from "../pci/config-offset.ts";
import { command } from "../pci/header-registers.ts";
import type { MsiLayout } from "./interrupts/msi-state.ts";

/** What a guest write to a dword sets off. */
export const WriteEffect = { none: 0, command: 1, bar: 2, power: 3, reset: 4, msi: 5, msix: 6 } as const;

/** A register of a capability whose write does something. */
interface EffectRow {
  readonly capability: CapabilityId;
  readonly register: RegisterReference;
  readonly effect: number;
  /** Bits that set it off. Of a saved register they never come back. */
  readonly trigger: FieldReference;
  /** Only where the device says so. */
  readonly when?: FieldReference;
}

export const powerState = powerManagementCapability.field("control.powerState");
export const noSoftReset = powerManagementCapability.field("control.noSoftReset");

const rows: readonly EffectRow[] = [
  {
    capability: capabilityId.powerManagement,
    register: powerState.register,
    effect: WriteEffect.power,
    trigger: powerState,
  },
  {
    capability: capabilityId.express,
    register: expressCapability.register("deviceControl"),
    effect: WriteEffect.reset,
    trigger: expressCapability.field("deviceControl.functionLevelReset"),
    when: expressCapability.field("deviceCapabilities.functionLevelReset"),
  },
  {
    capability: capabilityId.advancedFeatures,
    register: advancedFeaturesCapability.register("control"),
    effect: WriteEffect.reset,
    trigger: advancedFeaturesCapability.field("control.initiateReset"),
    when: advancedFeaturesCapability.field("capabilities.functionLevelReset"),
  },
];

/** Where the interrupts that a guest sees have their registers. */
export interface InterruptRegisters {
  readonly msi: MsiLayout | undefined;
  readonly msix: Located | undefined;
}

/** What guest writes of one device's config space set off. */
export class WriteEffects {
  /** One of `WriteEffect` a dword, up to the last register of which anything is known. */
  readonly #effects: Uint8Array;
  /** Bits of each dword that set its effect off. */
  readonly #triggers: Uint32Array;
  /** The capability of power management that counts; undefined without one. */
  readonly powerManagement: LocatedCapability | undefined;

  /** @param limit bytes of config space of which anything is known */
  constructor(
    { view, layout }: Pick<ConfigImage, "view" | "layout">,
    limit: number,
    bars: readonly Bar[],
    { msi, msix }: InterruptRegisters,
  ) {
    this.#effects = new Uint8Array(limit / 4);
    this.#triggers = new Uint32Array(limit / 4);
    this.#mark(offsetOf(command), command.size, WriteEffect.command);
    for (const { register, upper } of bars) {
      this.#mark(offsetOf(register), register.size, WriteEffect.bar);
      if (upper) this.#mark(offsetOf(upper), upper.size, WriteEffect.bar);
    }
    if (msi) this.#mark(startOf(msi), msi.length, WriteEffect.msi);
    if (msix) this.#mark(startOf(msix), 4, WriteEffect.msix);
    for (const capability of layout.capabilities) {
      const row = rows.find((one) => one.capability === capability.id);
      if (!row || capability.extended) continue;
      const { register, effect, trigger, when } = row;
      if (register.at + register.size > capability.limit) continue;
      if (when && when.read(view, capability.offset) !== true) continue;
      if (effect === WriteEffect.power) {
        if (this.powerManagement) continue;
        this.powerManagement = capability;
      }
      const at = offsetOf(register, capability);
      if (this.#mark(at, register.size, effect))
        this.#triggers[at >>> 2] = (trigger.mask << (8 * (at & 3))) >>> 0;
    }
  }

  /** The first meaning of a dword holds: capabilities that overlap are malformed. @returns whether this is it */
  #mark(offset: ConfigOffset, size: number, effect: number): boolean {
    let isFirst = true;
    for (let dword = offset >>> 2; dword < Math.ceil((offset + size) / 4); dword++) {
      if (this.#effects[dword] === WriteEffect.none) this.#effects[dword] = effect;
      else isFirst = false;
    }
    return isFirst;
  }

  /** One of `WriteEffect`. */
  at(offset: ConfigOffset): number {
    return this.#effects[offset >>> 2] ?? WriteEffect.none;
  }

  /** Bits of an offset's dword that set its effect off. */
  triggers(offset: ConfigOffset): number {
    return this.#triggers[offset >>> 2] ?? 0;
  }

  /** Whether a write has a bit that sets the effect off. */
  isTriggered(offset: ConfigOffset, width: number, value: number): boolean {
    const bits = width === 4 ? value : value & (2 ** (8 * width) - 1);
    return ((bits << (8 * (offset & 3))) & this.triggers(offset)) !== 0;
  }
}
