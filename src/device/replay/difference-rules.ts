// Where a replayed guest may read something else than the recorded one did, and why: bit by bit, decided from what was
// found at attach. A difference that no rule covers is a defect of the model or of the recording.
import { capabilityId, msixCapability, type ConfigLayout } from "../../regs/index.ts";
import type { DescribedBar, DeviceDescription } from "../passthrough/describe.ts";
import { offsetOf } from "../pci/config-offset.ts";
import { barRegisters, multiFunction, romRegister } from "../pci/header-registers.ts";

const msixTable = msixCapability.register("table");
const msixPending = msixCapability.register("pba");

/** Why a value may differ from the recorded guest's. */
export type DifferenceRule =
  /** The guest was given other addresses: BARs are laid out by their size alone. */
  | "bar-address"
  /** A capability is hidden or added, or a list is linked past one. */
  | "hidden-capability"
  /** The MSI-X table is somewhere else. */
  | "msix-relocated"
  /** A bit that belongs to the guest's bus. */
  | "patched-bit"
  /** The host shows the bit otherwise than the device has it, as vfio-pci does with wake-up events. */
  | "host-virtual"
  /** Writable bits that the guest had not written yet: the device was recorded after its firmware and driver had. */
  | "recorded-later";

/** What is known right after attach. */
export interface AttachedConfig {
  readonly attached: DeviceDescription;
  readonly layout: ConfigLayout;
  /** Config space as recorded; what is missing at its end counts as 0. */
  readonly recorded: Uint8Array;
  /** All of config space as the backend shows it. */
  readonly shown: Uint8Array;
}

type Masks = readonly (readonly [rule: DifferenceRule, bits: Uint8Array])[];

/** Finds the rule of a difference. */
export class DifferenceRules {
  readonly #masks: Masks;
  readonly #recorded: Uint8Array;
  readonly #shown: Uint8Array;
  /** Writable bits that the guest has not written yet. */
  readonly #unset: Uint8Array;

  constructor({ attached, layout, recorded, shown }: AttachedConfig) {
    const size = shown.length;
    this.#recorded = new Uint8Array(size);
    this.#recorded.set(recorded.subarray(0, size));
    this.#shown = shown;
    this.#unset = writableBits(layout, size);
    this.#masks = modelMasks(attached, size);
  }

  /** The guest writes: from now on the bits are its own. */
  written(offset: number, width: number): void {
    this.#unset.fill(0, offset, offset + width);
  }

  /**
   * The rule that covers the first differing bit of a read; undefined if one is left that no rule covers.
   * @param was what the recorded guest read @param seen what this one reads
   */
  ruleOf(offset: number, width: number, was: number, seen: number): DifferenceRule | undefined {
    let rule: DifferenceRule | undefined;
    for (let i = 0; i < width; i++) {
      const found = this.#ruleOfByte(offset + i, (was >>> (8 * i)) & 0xff, (seen >>> (8 * i)) & 0xff);
      if (found === "none") return undefined;
      rule ??= found;
    }
    return rule;
  }

  #ruleOfByte(at: number, was: number, seen: number): DifferenceRule | "none" | undefined {
    let left = was ^ seen;
    let rule: DifferenceRule | undefined;
    const cover = (name: DifferenceRule, bits: number): void => {
      if (left & bits) rule ??= name;
      left &= ~bits;
    };
    for (const [name, bits] of this.#masks) cover(name, bits[at]!);
    const recorded = this.#recorded[at]!;
    const asShown = ~(seen ^ this.#shown[at]!);
    cover("host-virtual", (recorded ^ this.#shown[at]!) & asShown & ~(was ^ recorded));
    cover("recorded-later", this.#unset[at]! & asShown);
    return left === 0 ? rule : "none";
  }
}

/** Bits that software can write on the device, as the register maps say. What the model emulates starts as after a reset. */
function writableBits({ header, capabilities }: ConfigLayout, size: number): Uint8Array {
  const bits = new Uint8Array(size);
  for (const { map, offset } of [...(header ? [{ map: header, offset: 0 }] : []), ...capabilities])
    for (let i = 0; i < map.size; i++)
      bits[offset + i]! |= (map.masks.write[i]! | map.masks.w1c[i]!) & ~map.masks.emulated[i]!;
  return bits;
}

/** Bits that the model answers otherwise than the device does. */
function modelMasks({ bars, patches, msix, capabilities }: DeviceDescription, size: number): Masks {
  const table = (): Uint8Array => new Uint8Array(size);
  const address = table();
  for (const bar of bars) markAddress(new DataView(address.buffer), bar);
  const hidden = table();
  const patched = table();
  for (const patch of patches)
    // The one bit that is patched.
    if (patch.kind === "bit") patched[patch.offset] = multiFunction.mask;
    else hidden.fill(0xff, patch.offset, patch.offset + patch.size);
  const moved = table();
  const capability = capabilities.find(({ id, extended }) => id === capabilityId.msix && !extended);
  if (msix?.relocated && capability)
    for (const register of [msixTable, msixPending]) {
      const at = offsetOf(register, capability);
      moved.fill(0xff, at, at + register.size);
    }
  return [
    ["bar-address", address],
    ["hidden-capability", hidden],
    ["msix-relocated", moved],
    ["patched-bit", patched],
  ];
}

/** Address bits alone: the kind of a BAR and its size, as long as it did not grow, are the device's. */
function markAddress(bits: DataView, { region, kind, physicalSize }: DescribedBar): void {
  const { at } = kind === "rom" ? romRegister : barRegisters[region]!;
  const mask = (2n ** 64n - 1n) ^ (BigInt(physicalSize) - 1n);
  bits.setUint32(at, Number(mask & 0xffffffffn), true);
  if (kind === "memory64") bits.setUint32(barRegisters[region + 1]!.at, Number(mask >> 32n), true);
}
