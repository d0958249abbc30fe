// What software can do to each byte of a function's config space, and what of it lives through a reset, as the register maps and
// the image say. Bits that neither describes keep their recorded value, since nothing tells what they would do.
import {
  acsCapability,
  aerCapability,
  atsCapability,
  capabilityId,
  endpointHeader,
  expressCapability,
  extendedCapabilityId,
  ltrCapability,
  msi32Masked,
  msi64Masked,
  msixCapability,
  pasidCapability,
  pcixEndpointCapability,
  priCapability,
  resizableBarEntry,
  srIovCapability,
  standardStart,
  unknownExtended,
  type ConfigLayout,
  type LocatedCapability,
  type RegisterReference,
} from "../../regs/index.ts";
import type { ConfigBits, DeviceImage } from "../../image/image.ts";
import type { ConfigKind } from "../pci/config-kind.ts";
import { KnownOfKind, type Fact } from "../pci/known-of-kind.ts";
import {
  address64Bit,
  functionReset,
  initiateReset,
  msiCapable,
  msiEnable,
  perVectorMasking,
} from "./registers.ts";

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
export const Saved = { never: 0, always: 1, withMsi: 2, withMsix: 3 } as const;

/** Whether the map of a capability goes as far as a register: it may be cut off. */
export const hasRegister = ({ map }: LocatedCapability, { at, size }: RegisterReference): boolean =>
  map.size >= at + size;

/** Byte tables over config space, as far as software can write anything. Shared by functions that are alike: nobody may change them. */
export interface HardwareTables {
  readonly write: Uint8Array;
  readonly clear: Uint8Array;
  /** Bits that live through a reset. */
  readonly sticky: Uint8Array;
  /** One of `Saved` a byte. */
  readonly saved: Uint8Array;
}

const known = new KnownOfKind<HardwareTables>();

/** @param kind of the image's config space */
export const hardwareTables = (image: DeviceImage, kind: ConfigKind): HardwareTables =>
  known.get(kind, factsOf(image), () => makeTables(image, kind));

/** What an image adds to the register maps; of each list how long it is comes first. */
function factsOf({ writable = [], readOnlyBits = [], keptByReset = [] }: DeviceImage): Fact[] {
  const facts: Fact[] = [writable.length, readOnlyBits.length, keptByReset.length];
  for (const { offset, size } of writable) facts.push(offset, size);
  for (const { offset, mask } of readOnlyBits) facts.push(offset, mask);
  for (const { offset, mask } of keptByReset) facts.push(offset, mask);
  return facts;
}

/** Of a function whose kind nobody knows. */
export function makeTables(image: DeviceImage, { view, layout }: ConfigKind): HardwareTables {
  const { header, capabilities } = layout;
  const limit = limitOf(image, layout);
  const tables: HardwareTables = {
    write: new Uint8Array(limit),
    clear: new Uint8Array(limit),
    sticky: new Uint8Array(limit),
    saved: new Uint8Array(limit).fill(Saved.always, 0, endpointHeader.size),
  };
  const { write, clear, sticky } = tables;
  for (const { map, offset } of [...(header ? [{ map: header, offset: 0 }] : []), ...capabilities]) {
    write.set(map.masks.write, offset);
    clear.set(map.masks.w1c, offset);
    sticky.set(map.masks.sticky, offset);
  }
  for (const { offset, size } of image.writable ?? []) {
    write.fill(0xff, offset, offset + size);
    clear.fill(0, offset, offset + size);
    sticky.fill(0xff, offset, offset + size);
  }
  for (const [at, bits] of bytesOf(image.readOnlyBits)) write[at]! &= ~bits;
  for (const [at, bits] of bytesOf(image.keptByReset)) sticky[at]! |= bits;
  for (const capability of capabilities) {
    save(tables, capability);
    if (!capability.extended) restrict(tables, view, capability);
  }
  return tables;
}

function save({ saved }: HardwareTables, { id, offset, extended, map }: LocatedCapability): void {
  const kind =
    !extended && id === capabilityId.msi
      ? Saved.withMsi
      : !extended && id === capabilityId.msix
        ? Saved.withMsix
        : Saved.always;
  for (const { at, size } of (extended ? savedExtended : savedStandard)[id] ?? [])
    saved.fill(kind, offset + at, offset + Math.min(at + size, map.size));
}

/** Bits that software cannot store, whatever their map says. */
function restrict({ write }: HardwareTables, config: DataView, capability: LocatedCapability): void {
  const { id, offset } = capability;
  if (id === capabilityId.msi && hasRegister(capability, msiEnable.register)) {
    const flags = msiEnable.register.read(config, offset);
    // Mask bits of vectors that the function does not have are reserved.
    const mask = (address64Bit.of(flags) ? msi64Masked : msi32Masked).register("mask");
    if (perVectorMasking.of(flags))
      for (let vector = 2 ** msiCapable.bits(flags); vector < mask.width; vector++)
        write[offset + mask.at + (vector >>> 3)]! &= ~(1 << (vector & 7));
  }
  const reset = id === capabilityId.express || id === capabilityId.advancedFeatures ? resets[id] : undefined;
  if (reset && hasRegister(capability, reset.register)) write[offset + reset.byte.at]! &= ~reset.byte.mask;
}

/** Where the last register ends that software may write. */
function limitOf({ config, writable = [] }: DeviceImage, { header, capabilities }: ConfigLayout): number {
  let limit = Math.min(config.length, Math.max(standardStart, header?.size ?? 0));
  for (const { offset, map } of capabilities) limit = Math.max(limit, offset + map.size);
  for (const { offset, size } of writable) limit = Math.max(limit, offset + size);
  return limit;
}

/** Bits of dwords, byte by byte. */
const bytesOf = (bits: readonly ConfigBits[] | undefined): [at: number, bits: number][] =>
  (bits ?? []).flatMap(({ offset, mask }) =>
    [0, 1, 2, 3].map((i): [number, number] => [offset + i, (mask >>> (8 * i)) & 0xff]),
  );
