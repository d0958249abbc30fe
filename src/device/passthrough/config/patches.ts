// What the guest is shown of config space that differs from the device: hidden capabilities, the GPUDirect
// clique, the multi-function bit. Each is rows in the tables, so it holds for reads and writes alike.
import type { LocatedCapability } from "../../../regs/index.ts";
import type { ConfigImage } from "../../pci/config-image.ts";
import { emulate, Source, type ConfigTables } from "./config-tables.ts";

/** Capabilities that the model can hide, by the name of their register map. */
export const hiddenByDefault = [
  // They describe the function's place on the host's bus or hand out host resources.
  { id: 0x0e, name: "ARI" },
  { id: 0x10, name: "SR-IOV" },
  { id: 0x11, name: "MR-IOV" },
  // A resize changes the BAR on the host under the mapping.
  { id: 0x15, name: "Resizable BAR" },
  { id: 0x24, name: "VF Resizable BAR" },
  // Of use only with a guest IOMMU that translates for the device.
  { id: 0x0f, name: "ATS" },
  { id: 0x13, name: "PRI" },
  { id: 0x1b, name: "PASID" },
] as const;

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
  readonly kind: "hidden" | "added" | "bit" | "relinked";
  /** Byte offset in config space, and bytes that the patch takes there. */
  readonly offset: number;
  readonly size: number;
  readonly name: string;
}

/** The header type's multi-function bit is the guest bus's, not the host's. */
export function patchMultiFunction(tables: ConfigTables, multiFunction: boolean): Patch[] {
  const before = tables.shadow[0x0e]!;
  tables.emulated[0x0e]! |= 0x80;
  tables.shadow[0x0e] = multiFunction ? before | 0x80 : before & 0x7f;
  if (tables.shadow[0x0e] === before) return [];
  return [{ kind: "bit", offset: 0x0e, size: 1, name: `multi-function ${multiFunction ? "set" : "clear"}` }];
}

/** Whether the model hides an extended capability. */
export const isHidden = (id: number, options: PatchOptions): boolean =>
  (options.hide?.includes(id) ?? false) ||
  (hiddenByDefault.some((entry) => entry.id === id) && !(options.expose?.includes(id) ?? false));

/**
 * Takes capabilities out of the guest's lists: neighbours are linked past them, their bytes read zero and ignore writes.
 * One at 0x100 has no neighbour before it: its header stays as an empty one (ID 0, version 0) that links on.
 */
export function hideCapabilities(
  tables: ConfigTables,
  image: ConfigImage,
  hidden: readonly LocatedCapability[],
): Patch[] {
  const gone = new Set(hidden.map(({ offset }) => offset));
  const links = relink(tables, image.layout.capabilities, gone);
  const patches: Patch[] = [];
  for (const { offset, limit, map, type, extended, id, name } of hidden) {
    const size = Math.min(limit, type ? Math.max(map.size, extended ? 4 : 2) : limit);
    const bytes = new Uint8Array(size);
    if (offset === 0x100) bytes.set(tables.shadow.subarray(offset + 2, offset + 4), 2);
    if (offset === 0x100) bytes[2]! &= 0xf0;
    emulate(tables, offset, bytes);
    patches.push({
      kind: "hidden",
      offset,
      size,
      name: name === "unknown" ? `capability 0x${id.toString(16)}` : name,
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
  const { shadow } = tables;
  const before = shadow.slice();
  const standard = capabilities.filter(({ extended }) => !extended);
  const extended = capabilities.filter((capability) => capability.extended);
  /** Offset of the first one left in a list from `index` on; 0 at its end. */
  const left = (list: readonly LocatedCapability[], index: number): number =>
    list.slice(index).find(({ offset }) => !gone.has(offset))?.offset ?? 0;
  if (shadow[0x06]! & 0x10) {
    setByte(tables, 0x34, left(standard, 0));
    // Without a capability the guest must not look for one (STATUS bit 4).
    tables.emulated[0x06]! |= 0x10;
    if (shadow[0x34] === 0) shadow[0x06]! &= ~0x10;
  }
  standard.forEach(({ offset }, i) => setByte(tables, offset + 1, left(standard, i + 1)));
  extended.forEach(({ offset }, i) => {
    const next = left(extended, i + 1);
    setByte(tables, offset + 2, (shadow[offset + 2]! & 0x0f) | ((next & 0x0f) << 4));
    setByte(tables, offset + 3, next >>> 4);
  });
  const links: Patch[] = [];
  for (let offset = 0; offset < shadow.length; offset++)
    if (shadow[offset] !== before[offset])
      links.push({ kind: "relinked", offset, size: 1, name: "capability list" });
  return links;
}

function setByte(tables: ConfigTables, at: number, value: number): void {
  tables.shadow[at] = value;
  tables.emulated[at] = 0xff;
  tables.write[at] = 0;
  tables.source[at] = Source.shadow;
}

const nvidia = 0x10de;
const cliqueSize = 8;
/** Where NVIDIA's guest driver was first told to look; it takes the capability anywhere. */
const cliqueOffset = 0xd4;

/**
 * Adds NVIDIA's peer-to-peer approval capability: a vendor-specific one of 8 bytes with signature "P2P" and the clique.
 * @throws RangeError for a clique outside of 0 to 15, a device of another vendor, or no free 8 bytes below 0x100
 */
export function addClique(tables: ConfigTables, image: ConfigImage, clique: number): Patch {
  if (!Number.isInteger(clique) || clique < 0 || clique > 15)
    throw new RangeError(`"gpuDirectClique" expects an integer from 0 to 15, got ${clique}`);
  const vendor = image.bytes[0]! | (image.bytes[1]! << 8);
  if (vendor !== nvidia)
    throw new RangeError(
      `"gpuDirectClique" is for NVIDIA devices (10de), this one is of 0x${vendor.toString(16)}`,
    );
  // Neither in a capability, reserved parts included, nor where the device may have registers of its own.
  const free = (at: number): boolean =>
    at + cliqueSize <= 0x100 &&
    tables.gap.subarray(at, at + cliqueSize).every((byte) => byte === 1) &&
    !image.layout.capabilities.some(({ offset, map }) => offset < at + cliqueSize && at < offset + map.size);
  let at = cliqueOffset;
  if (!free(at)) for (at = 0x100 - cliqueSize; at >= 0x40 && !free(at);) at -= 4;
  if (at < 0x40) throw new RangeError(`"gpuDirectClique": no 8 free bytes below 0x100 for the capability`);
  const standard = image.layout.capabilities.filter(({ extended }) => !extended);
  const last = standard
    .filter(({ offset }) => tables.shadow[offset + 1] === 0 && tables.shadow[offset] !== 0)
    .at(-1);
  emulate(tables, at, Uint8Array.of(0x09, 0x00, cliqueSize, 0x50, 0x32, 0x50, (clique << 3) & 0xff, 0x00));
  if (last) setByte(tables, last.offset + 1, at);
  else {
    setByte(tables, 0x34, at);
    tables.emulated[0x06]! |= 0x10;
    tables.shadow[0x06]! |= 0x10;
  }
  return { kind: "added", offset: at, size: cliqueSize, name: `GPUDirect clique ${clique}` };
}
