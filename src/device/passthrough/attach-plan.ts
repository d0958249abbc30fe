// What attach decides before it touches the platform: tables, BARs, patches, MSI-X. No system call.
import { capabilityId, unknownStandard, type LocatedCapability } from "../../regs/index.ts";
import { addressMask, barsOf, typeBits, writableBits, type Bar, type BarKind } from "../pci/bars.ts";
import { barRegisters, romRegister } from "../pci/header-registers.ts";
import type { ConfigImage } from "../pci/config-image.ts";
import { configTables, emulateRegister, type ConfigTables } from "./config/config-tables.ts";
import { absentRegion, RegionIndex } from "../../regs/vfio/regions.ts";
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

/** The MSI capability, and the vectors that the host gives. */
export interface MsiPlan {
  readonly capability: LocatedCapability;
  readonly vectors: number;
}

/** The MSI-X capability, its two geometries, and the bytes by which its BAR grew. */
export interface MsixPlan {
  readonly capability: LocatedCapability;
  readonly physical: MsixGeometry;
  readonly guest: MsixGeometry;
  readonly relocated: boolean;
  /** Whether the device has pending bits where its capability says. */
  readonly hasPending: boolean;
}

/** What attach decides before it touches the platform. */
export interface AttachPlan {
  readonly tables: ConfigTables;
  readonly bars: readonly Bar[];
  readonly msi: MsiPlan | undefined;
  readonly msix: MsixPlan | undefined;
  readonly patches: readonly Patch[];
  /** What of BARs shows config space: the model answers there. */
  readonly mirrors: readonly MirroredArea[];
}

/** Works out tables, BARs and patches. Pure but for reports. @throws RangeError for options that do not fit the device */
export function planAttach(context: PlanContext, image: ConfigImage): AttachPlan {
  const { backend, options, report } = context;
  const { layout, bytes } = image;
  for (const { message } of layout.malformations) report("malformed", message);
  const regions = backend.regions.map((info) =>
    options.rom === "hide" && info.index === RegionIndex.rom ? absentRegion(info.index) : info,
  );
  const found = barsOf(bytes, regions);
  for (const problem of found.problems) report("malformed", problem);
  const tables = configTables(bytes, layout);
  const withMap = (id: number) =>
    layout.capabilities.find(
      (entry) => !entry.extended && entry.id === id && entry.type && entry.map !== unknownStandard,
    );
  const msixAt = withMap(capabilityId.msix);
  const msix = msixAt && planMsix(context, image, msixAt, found.bars);
  const msiAt = withMap(capabilityId.msi);
  const messages = Math.min(context.vectors.msi, options.msiVectors ?? Infinity);
  const msi = msiAt && messages > 0 ? { capability: msiAt, vectors: messages } : undefined;
  const hidden = layout.capabilities.filter((capability) =>
    capability.extended
      ? isHidden(capability.id, options)
      : // Interrupts that the host cannot give are not shown; nor is a second capability of one kind.
        (capability.id === capabilityId.msix && capability !== msix?.capability) ||
        (capability.id === capabilityId.msi && capability !== msi?.capability),
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
  return { tables, bars, msi, msix, patches, mirrors };
}

const grown = (bar: Bar, { guest }: MsixPlan): Bar => ({ ...bar, size: guest.table.offset * 2 });

function planMsix(
  context: PlanContext,
  image: ConfigImage,
  capability: LocatedCapability,
  bars: readonly Bar[],
): MsixPlan | undefined {
  const { backend, options, report, vectors } = context;
  if (vectors.msix === 0) {
    report("msix", "the host gives no MSI-X vectors: the capability is hidden");
    return undefined;
  }
  const physical = physicalGeometry(image.bytes, capability);
  const kindOf = (region: number): BarKind | undefined => bars.find((bar) => bar.region === region)?.kind;
  const notMemory = ({ region }: MsixArea): string | undefined =>
    kindOf(region)?.startsWith("memory") ? undefined : `MSI-X in BAR${region}, which is not a memory BAR`;
  const problem = tableProblem(physical, backend.regions) ?? notMemory(physical.table);
  if (problem) {
    report("msix", `${problem}: the capability is hidden`);
    return undefined;
  }
  // Nobody needs the device's own pending bits: those of vectors that the guest masked wait in eventfds.
  const lost = pendingProblem(physical, backend.regions) ?? notMemory(physical.pba);
  if (lost) report("msix", `${lost}: the pending bits are the model's alone`);
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
