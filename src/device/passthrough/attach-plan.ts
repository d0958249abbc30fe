// What attach decides before it touches the platform: tables, BARs, patches, MSI-X. Pure: no system call, and no word to anybody.
import { capabilityId, unknownStandard, type LocatedCapability } from "../../regs/index.ts";
import { addressMask, barsOf, typeBits, writableBits, type Bar, type BarKind } from "../pci/bars.ts";
import { barRegisters, romRegister } from "../pci/header-registers.ts";
import type { ConfigImage } from "../pci/config-image.ts";
import { configTables, emulateRegister, type ConfigTables } from "./config/config-tables.ts";
import { absentRegion, RegionIndex, type RegionArea } from "../../regs/vfio/regions.ts";
import { mappableAreas } from "../pci/mappable-areas.ts";
import type { DeviceEventKind } from "../seam/events.ts";
import { emulateMsi, msiLayout, type MsiLayout } from "./interrupts/msi-state.ts";
import { emulateMsix } from "./interrupts/msix-state.ts";
import { WriteEffects } from "./write-effects.ts";
import { accessMap, type AccessMap } from "./bars/access-map.ts";
import type { PlanContext } from "./attach-context.ts";
import {
  pendingProblem,
  physicalGeometry,
  tableProblem,
  withVectors,
  type MsixArea,
  type MsixGeometry,
} from "../pci/msix-geometry.ts";
import { freesPages, relocate, type Relocation } from "./interrupts/msix-relocation.ts";
import { knownMirrors, mirroredAreas, type MirroredArea } from "./config/config-mirrors.ts";
import { addClique, hideCapabilities, isHidden, patchMultiFunction, type Patch } from "./config/patches.ts";
import type { RegionShape } from "../pci/region-shape.ts";

/** The MSI-X capability, its two geometries, and the bytes by which its BAR grew. */
export interface MsixPlan {
  readonly capability: LocatedCapability;
  readonly physical: MsixGeometry;
  readonly guest: MsixGeometry;
  readonly relocated: boolean;
  /** Whether the device has pending bits where its capability says. */
  readonly hasPending: boolean;
}

/** Why a guest is shown less than the device has. */
export interface PlanNote {
  readonly kind: Extract<DeviceEventKind, "malformed" | "msix">;
  readonly message: string;
}

/** What attach decides before it touches the platform. Of the tables, a device's reads and writes change shadow and source. */
export interface AttachPlan {
  readonly tables: ConfigTables;
  readonly effects: WriteEffects;
  readonly bars: readonly Bar[];
  /** What of each BAR may be mapped, in the order of the BARs. */
  readonly mappable: readonly (readonly RegionArea[])[];
  readonly msi: MsiLayout | undefined;
  readonly msix: MsixPlan | undefined;
  readonly patches: readonly Patch[];
  /** What of BARs shows config space: the model answers there. */
  readonly mirrors: readonly MirroredArea[];
  readonly accessMap: AccessMap;
  readonly notes: readonly PlanNote[];
}

/** Works out tables, BARs and patches. @throws RangeError for options that do not fit the device */
export function planAttach(context: PlanContext, image: ConfigImage): AttachPlan {
  const { backend, options } = context;
  const { layout, bytes } = image;
  const notes = layout.malformations.map(({ message }): PlanNote => ({ kind: "malformed", message }));
  const regions = backend.regions.map((info) =>
    options.rom === "hide" && info.index === RegionIndex.rom ? absentRegion(info.index) : info,
  );
  const found = barsOf(bytes, regions);
  for (const message of found.problems) notes.push({ kind: "malformed", message });
  const tables = configTables(bytes, layout);
  const withMap = (id: number) =>
    layout.capabilities.find(
      (entry) => !entry.extended && entry.id === id && entry.type && entry.map !== unknownStandard,
    );
  const msixAt = withMap(capabilityId.msix);
  const msix = msixAt && planMsix(context, image, msixAt, found.bars, notes);
  const messages = Math.min(context.vectors.msi, options.msiVectors ?? Infinity);
  const msiAt = messages > 0 ? withMap(capabilityId.msi) : undefined;
  const hidden = layout.capabilities.filter((capability) =>
    capability.extended
      ? isHidden(capability.id, options)
      : // Interrupts that the host cannot give are not shown; nor is a second capability of one kind.
        (capability.id === capabilityId.msix && capability !== msix?.capability) ||
        (capability.id === capabilityId.msi && capability !== msiAt),
  );
  const patches = [
    ...patchMultiFunction(tables, options.multiFunction ?? false),
    ...hideCapabilities(tables, image, hidden),
  ];
  if (options.gpuDirectClique !== undefined) patches.push(addClique(tables, image, options.gpuDirectClique));
  const bars = found.bars.map((bar) =>
    msix?.relocated && bar.region === msix.guest.table.region ? grown(bar, msix) : bar,
  );
  emulateBars(tables, bars);
  const mirrors = mirroredAreas(options.configMirrors ?? knownMirrors(image, found.bars), image, found.bars);
  const msi = msiAt && msiLayout(tables.view, msiAt, messages);
  if (msi) emulateMsi(tables, msi);
  if (msix) emulateMsix(tables, msix.guest, msix.capability);
  const effects = new WriteEffects(image, tables.limit, bars, { msi, msix: msix?.capability });
  const mappable = bars.map((bar) => mappableParts(context, bar, msix, mirrors));
  const map = accessMap(bars, regions, msix?.guest, mirrors);
  return { tables, effects, bars, mappable, msi, msix, patches, mirrors, accessMap: map, notes };
}

/** What of a BAR the guest may reach by itself. */
function mappableParts(
  { backend, platform, options }: PlanContext,
  { region, kind }: Bar,
  msix: MsixPlan | undefined,
  mirrors: readonly MirroredArea[],
): readonly RegionArea[] {
  const isMemory = kind !== "io" && region !== RegionIndex.rom;
  if (!isMemory || options.excludeFromMapping?.includes(region)) return [];
  const info = backend.regions[region]!;
  // There the device's own registers are the model's.
  const holes = [...msixHoles(info, msix), ...mirrors.filter((mirror) => mirror.region === region)];
  return mappableAreas(info, holes, platform.pageSize);
}

/** Table and PBA, where they lie over the device's own registers. */
function msixHoles(
  { index: region, msixMappable: tableIsMappable }: RegionShape,
  msix: MsixPlan | undefined,
): RegionArea[] {
  if (!msix) return [];
  const { table, pba } = msix.physical;
  // Moved away, they may be mapped; but some hosts keep the device's table to themselves. Where they stay the guest looks for the
  // model's pending bits there, whether the device has any or not.
  const trapped = !msix.relocated ? [table, pba] : tableIsMappable ? [] : [table];
  return trapped.filter((area) => area.region === region);
}

const grown = (bar: Bar, { guest }: MsixPlan): Bar => ({ ...bar, size: guest.table.offset * 2 });

function planMsix(
  context: PlanContext,
  image: ConfigImage,
  capability: LocatedCapability,
  bars: readonly Bar[],
  notes: PlanNote[],
): MsixPlan | undefined {
  const { backend, options, vectors } = context;
  const note = (message: string): void => void notes.push({ kind: "msix", message });
  if (vectors.msix === 0) {
    note("the host gives no MSI-X vectors: the capability is hidden");
    return undefined;
  }
  const physical = physicalGeometry(image.bytes, capability);
  const kindOf = (region: number): BarKind | undefined => bars.find((bar) => bar.region === region)?.kind;
  const notMemory = ({ region }: MsixArea): string | undefined =>
    kindOf(region)?.startsWith("memory") ? undefined : `MSI-X in BAR${region}, which is not a memory BAR`;
  const problem = tableProblem(physical, backend.regions) ?? notMemory(physical.table);
  if (problem) {
    note(`${problem}: the capability is hidden`);
    return undefined;
  }
  // Nobody needs the device's own pending bits: those of vectors that the guest masked wait in eventfds.
  const lost = pendingProblem(physical, backend.regions) ?? notMemory(physical.pba);
  if (lost) note(`${lost}: the pending bits are the model's alone`);
  const relocation = planRelocation(context, physical, bars, lost !== undefined);
  const max = Math.min(vectors.msix, options.msixVectors ?? Infinity);
  const guest = withVectors(relocation?.guest ?? physical, max);
  const relocated = relocation !== undefined;
  return { capability, physical, guest, relocated, hasPending: lost === undefined };
}

function planRelocation(
  { backend, platform, options }: PlanContext,
  physical: MsixGeometry,
  bars: readonly Bar[],
  isLost: boolean,
): Relocation | undefined {
  const { msixRelocation = "auto", excludeFromMapping = [] } = options;
  if (msixRelocation === "never") return undefined;
  if (msixRelocation === "auto") {
    const mapped = backend.regions.map((info) =>
      excludeFromMapping.includes(info.index) ? { ...info, mappable: false } : info,
    );
    return isLost || freesPages(physical, mapped, platform.pageSize) ? relocate(physical, bars) : undefined;
  }
  const relocation = relocate(physical, bars);
  if (!relocation)
    throw new RangeError(`"msixRelocation": "always": BAR${physical.table.region} cannot grow`);
  return relocation;
}

/** Every BAR register is the model's: absent ones read zero, the others take the bits that their size leaves. */
function emulateBars(tables: ConfigTables, bars: readonly Bar[]): void {
  for (const register of [...barRegisters, romRegister]) emulateRegister(tables, register, { value: 0 });
  for (const bar of bars) {
    emulateRegister(tables, bar.register, { value: typeBits(bar), writable: writableBits(bar) });
    if (bar.upper) emulateRegister(tables, bar.upper, { value: 0, writable: addressMask(bar).high });
  }
}
