// Capabilities of a modelled device, placed in its config space from their register maps.
import {
  capabilityId,
  extendedStart,
  msi64,
  msi64Masked,
  msixCapability,
  standardStart,
  unknownExtended,
  unknownStandard,
  type CapabilityId,
} from "../../../regs/index.ts";
import type { Entries, PlainRegisters } from "../../../regs/entries.ts";
import type { FieldValue } from "../../../regs/field.ts";
import type { RegisterMap } from "../../../regs/map.ts";
import type { FieldAt, FieldPath } from "../../../regs/reference.ts";

/** A capability with the values of its fields; `modelCapability` makes it. */
export interface PlacedCapability {
  /** Of the specification. */
  readonly id: number;
  /** Whether it goes into the list of extended capabilities. */
  readonly extended: boolean;
  /** In bytes. */
  readonly size: number;
  /** Writes its fields into config space, at byte `at`. */
  readonly fill: (config: DataView, at: number) => void;
}

/** Values by `register.field`. */
export type FieldValues<M extends Entries> = {
  readonly [P in FieldPath<PlainRegisters<M>>]?: FieldValue<FieldAt<PlainRegisters<M>, P>>;
};

/**
 * A capability for a modelled device.
 * @param map of `bun-vfio/regs`, as `powerManagementCapability`
 * @param id of `capabilityId`, or of `extendedCapabilityId` with `extended`
 * @param values of its fields; the others are 0
 * @example
 * modelCapability(powerManagementCapability, capabilityId.powerManagement, { "capabilities.version": 3 })
 */
export const modelCapability = <M extends Entries>(
  map: RegisterMap<M>,
  id: number,
  values: FieldValues<M> = {},
  extended = false,
): PlacedCapability => ({
  id,
  extended,
  size: map.size,
  fill(config, at) {
    for (const [path, value] of Object.entries(values))
      map.field(path as never).write(config, value as never, at);
  },
});

const log2 = (count: number): number => 31 - Math.clz32(count);

/** MSI of 64-bit addresses. @throws RangeError for a number of vectors that MSI does not have */
export function msiCapabilityOf(vectors: number, maskable: boolean): PlacedCapability {
  if (![1, 2, 4, 8, 16, 32].includes(vectors))
    throw new RangeError(`"msi.vectors" must be 1, 2, 4, 8, 16 or 32, not ${vectors}`);
  const map = maskable ? msi64Masked : msi64;
  return {
    ...{ id: capabilityId.msi, extended: false, size: map.size },
    fill(config, at) {
      const control = map.register("control");
      control.write(config, log2(vectors) << map.field("control.multipleMessageCapable").lo, at);
      map.field("control.address64Bit").write(config, true, at);
      map.field("control.perVectorMasking").write(config, maskable, at);
    },
  };
}

/** MSI-X with table and pending bits at byte offsets of a BAR. */
export const msixCapabilityOf = (
  vectors: number,
  bar: number,
  table: number,
  pba: number,
): PlacedCapability => ({
  ...{ id: capabilityId.msix, extended: false, size: msixCapability.size },
  fill(config, at) {
    msixCapability.field("control.tableSize").write(config, vectors - 1, at);
    msixCapability.register("table").write(config, table + bar, at);
    msixCapability.register("pba").write(config, pba + bar, at);
  },
});

const standardId = unknownStandard.register("id");
const standardNext = unknownStandard.register("next");
const extendedId = unknownExtended.field("header.id");
const extendedVersion = unknownExtended.field("header.version");
const extendedNext = unknownExtended.field("header.next");

/**
 * Places capabilities one after the other and links them.
 * @returns offset of the first standard one; 0 without one
 * @throws RangeError where they do not fit
 */
export function placeCapabilities(config: DataView, capabilities: readonly PlacedCapability[]): number {
  const place = (extended: boolean, start: number, end: number): number => {
    let at = start;
    let before: number | undefined;
    for (const { id, size, fill } of capabilities.filter((one) => one.extended === extended)) {
      if (at + size > end)
        throw new RangeError(`the capabilities need more than the ${end - start} bytes from ${start} on`);
      fill(config, at);
      if (extended) {
        extendedId.write(config, id, at);
        extendedVersion.write(config, 1, at);
        if (before !== undefined) extendedNext.write(config, at, before);
      } else {
        standardId.write(config, id as CapabilityId, at);
        if (before !== undefined) standardNext.write(config, at, before);
      }
      before = at;
      at = Math.ceil((at + size) / 4) * 4;
    }
    return before === undefined ? 0 : start;
  };
  if (config.byteLength > extendedStart) place(true, extendedStart, config.byteLength);
  return place(false, standardStart, extendedStart);
}
