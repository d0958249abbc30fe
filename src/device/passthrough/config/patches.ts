// What the guest is shown of config space that differs from the device: hidden capabilities, the GPUDirect
// clique, the multi-function bit. Each is rows in the tables, so it holds for reads and writes alike.
import {
  extendedCapabilityId as id,
  extendedStart,
  gpuDirectCliqueCapability,
  nvidiaVendorId,
  standardEnd,
  standardStart,
  unknownExtended,
  unknownStandard,
  type LocatedCapability,
} from "../../../regs/index.ts";
import { startOf } from "../../pci/config-offset.ts";
import { capabilitiesPointer, capabilityList, identity, multiFunction } from "../../pci/header-registers.ts";
import type { ConfigImage } from "../../pci/config-image.ts";
import { emulate, emulateField, emulateRegister, type ConfigTables } from "./config-tables.ts";
import { hex } from "../../../regs/hex-text.ts";

/** Capabilities that the model can hide, by the name of their register map. */
export const hiddenByDefault = [
  // They describe the function's place on the host's bus or hand out host resources.
  { id: id.ari, name: "ARI" },
  { id: id.srIov, name: "SR-IOV" },
  { id: id.mrIov, name: "MR-IOV" },
  // A resize changes the BAR on the host under the mapping.
  { id: id.resizableBar, name: "Resizable BAR" },
  { id: id.vfResizableBar, name: "VF Resizable BAR" },
  // Of use only with a guest IOMMU that translates for the device.
  { id: id.ats, name: "ATS" },
  { id: id.pri, name: "PRI" },
  { id: id.pasid, name: "PASID" },
] as const;

// The heads of all capabilities are alike.
const standardNext = unknownStandard.register("next");
const standardId = unknownStandard.register("id");
const extendedNext = unknownExtended.field("header.next");

/** What of config space the guest is shown otherwise than the device has it. */
export interface PatchOptions {
  /** IDs of further extended capabilities to hide. */
  readonly hide?: readonly number[] | undefined;
  /** IDs of extended capabilities to show that are hidden otherwise. */
  readonly expose?: readonly number[] | undefined;
  /** Shows the device as one function of several. */
  readonly multiFunction?: boolean | undefined;
  /** Puts the device into a GPUDirect peer-to-peer clique, 0 to 15; NVIDIA devices alone. */
  readonly gpuDirectClique?: number | undefined;
}

/** A difference between the config space of the device and the one that the guest sees. */
export interface Patch {
  /** What was done. */
  readonly kind: "hidden" | "added" | "bit" | "relinked";
  /** Byte offset in config space, and bytes that the patch takes there. */
  readonly offset: number;
  /** In bytes. */
  readonly size: number;
  /** Of the capability or the field. */
  readonly name: string;
}

/** The header type's multi-function bit is the guest bus's, not the host's. */
export function patchMultiFunction(tables: ConfigTables, shown: boolean): Patch[] {
  const before = multiFunction.read(tables.view);
  emulateField(tables, multiFunction, shown);
  if (shown === before) return [];
  const { at: offset, size } = multiFunction.register;
  return [{ kind: "bit", offset, size, name: `multi-function ${shown ? "set" : "clear"}` }];
}

/** Whether the model hides an extended capability. */
export const isHidden = (id: number, options: PatchOptions): boolean =>
  (options.hide?.includes(id) ?? false) ||
  (hiddenByDefault.some((entry) => entry.id === id) && !(options.expose?.includes(id) ?? false));

/**
 * Takes capabilities out of the guest's lists: neighbours are linked past them, their bytes read zero and ignore writes.
 * The first extended one has no neighbour before it: its header stays as an empty one (ID 0, version 0) that links on.
 */
export function hideCapabilities(
  tables: ConfigTables,
  image: ConfigImage,
  hidden: readonly LocatedCapability[],
): Patch[] {
  const gone = new Set(hidden.map(({ offset }) => offset));
  const links = relink(tables, image.layout.capabilities, gone);
  const patches: Patch[] = [];
  for (const capability of hidden) {
    const { offset, limit, map, type, id, name } = capability;
    const size = type ? Math.min(limit, map.size) : limit;
    const next = offset === extendedStart ? extendedNext.read(tables.view, offset) : undefined;
    emulate(tables, startOf(capability), new Uint8Array(size));
    if (next !== undefined) emulateField(tables, extendedNext, next, capability);
    patches.push({
      kind: "hidden",
      offset,
      size,
      name: name === "unknown" ? `capability ${hex(id)}` : name,
    });
  }
  return [...patches, ...links];
}

/** Links each list through what is left of it. The end of a malformed one becomes a proper end: the guest gets what the walker found. */
function relink(
  tables: ConfigTables,
  capabilities: readonly LocatedCapability[],
  gone: ReadonlySet<number>,
): Patch[] {
  const { shadow, view } = tables;
  const before = shadow.slice();
  const standard = capabilities.filter(({ extended }) => !extended);
  const extended = capabilities.filter((capability) => capability.extended);
  /** Offset of the first one left in a list from `index` on; 0 at its end. */
  const left = (list: readonly LocatedCapability[], index: number): number =>
    list.slice(index).find(({ offset }) => !gone.has(offset))?.offset ?? 0;
  if (capabilityList.read(view)) setFirst(tables, left(standard, 0));
  standard.forEach((one, i) => emulateRegister(tables, standardNext, { value: left(standard, i + 1) }, one));
  extended.forEach((one, i) => emulateField(tables, extendedNext, left(extended, i + 1), one));
  const links: Patch[] = [];
  for (let offset = 0; offset < shadow.length; offset++)
    if (shadow[offset] !== before[offset])
      links.push({ kind: "relinked", offset, size: 1, name: "capability list" });
  return links;
}

/** Starts the list of standard capabilities. Without one the guest must not look for it. */
function setFirst(tables: ConfigTables, offset: number): void {
  emulateRegister(tables, capabilitiesPointer, { value: offset });
  emulateField(tables, capabilityList, offset !== 0);
}

/**
 * Bytes that nobody describes, in runs that read all zeros: one register in a run says that there may be others. A run ends where
 * a capability begins or ends, whose body says nothing of what lies behind it.
 */
function unusedBytes(
  { undescribed, shadow }: ConfigTables,
  capabilities: readonly LocatedCapability[],
): Uint8Array {
  const edges = new Set(capabilities.flatMap(({ offset, map }) => [offset, offset + map.size]));
  const unused = new Uint8Array(standardEnd);
  for (let start = standardStart; start < standardEnd;) {
    let end = start;
    do end++;
    while (end < standardEnd && undescribed[end] === undescribed[start] && !edges.has(end));
    const isUnused = undescribed[start] === 1 && shadow.subarray(start, end).every((byte) => byte === 0);
    if (isUnused) unused.fill(1, start, end);
    start = end;
  }
  return unused;
}

/** Where NVIDIA's guest driver was first told to look; it takes the capability anywhere. */
const cliqueOffset = 0xd4;
const clique = gpuDirectCliqueCapability;
const cliqueNumber = clique.field("approval.clique");
const maxClique = 2 ** (cliqueNumber.hi - cliqueNumber.lo + 1) - 1;

/**
 * Adds NVIDIA's peer-to-peer approval capability: a vendor-specific one of 8 bytes with signature "P2P" and the clique.
 * @throws RangeError for a clique outside of 0 to 15, a device of another vendor, or no free 8 bytes below 0x100
 */
export function addClique(tables: ConfigTables, { bytes, layout }: ConfigImage, number: number): Patch {
  if (!Number.isInteger(number) || number < 0 || number > maxClique)
    throw new RangeError(`"gpuDirectClique" must be an integer from 0 to ${maxClique}, not ${number}`);
  const vendor = identity.vendorId.read(new DataView(bytes.buffer, bytes.byteOffset, bytes.length));
  if (vendor !== nvidiaVendorId)
    throw new RangeError(`"gpuDirectClique" is for NVIDIA devices (10de), this one is of ${hex(vendor)}`);
  const standard = layout.capabilities.filter(({ extended }) => !extended);
  const unused = unusedBytes(tables, standard);
  // Neither in a capability, reserved parts included, nor where the device may have registers of its own.
  const free = (at: number): boolean =>
    at + clique.size <= standardEnd &&
    unused.subarray(at, at + clique.size).every((byte) => byte === 1) &&
    !standard.some(({ offset, map }) => offset < at + clique.size && at < offset + map.size);
  let at = cliqueOffset;
  if (!free(at)) for (at = standardEnd - clique.size; at >= standardStart && !free(at);) at -= 4;
  if (at < standardStart)
    throw new RangeError(`"gpuDirectClique": no 8 free bytes below 0x100 for the capability`);
  const { view } = tables;
  const last = standard
    .filter(({ offset }) => standardNext.read(view, offset) === 0 && standardId.read(view, offset) !== 0)
    .at(-1);
  const place = { offset: at };
  emulate(tables, startOf(place), clique.masks.reset);
  cliqueNumber.write(view, number, at);
  if (last) emulateRegister(tables, standardNext, { value: at }, last);
  else setFirst(tables, at);
  return { kind: "added", offset: at, size: clique.size, name: `GPUDirect clique ${number}` };
}
