// Puts the parts of a device together at attach, over the platform, as the plan says.
import type { LocatedCapability } from "../../regs/index.ts";
import { plan, type MsixPlan, type Plan } from "./attach-plan.ts";
import { IrqIndex } from "../../regs/vfio/irqs.ts";
import { RegionIndex, type RegionArea, type RegionInfo } from "../../regs/vfio/regions.ts";
import type { DeviceBackend } from "../seam/backend.ts";
import { GuestAnswers } from "../seam/guest-answers.ts";
import { BarAccess } from "./bars/bar-access.ts";
import { BarMapping } from "./bars/bar-mapping.ts";
import { BarPlacement } from "./bars/bar-placement.ts";
import { setBarAddress } from "../pci/bars.ts";
import { offsetOf } from "../pci/config-offset.ts";
import { command, interruptPin } from "../pci/header-registers.ts";
import { WriteEffects } from "./write-effects.ts";
import { configSizeOf, readConfigImage, type ConfigImage } from "../pci/config-image.ts";
import { ConfigSpace } from "./config/config-space.ts";
import type { ReportEvent } from "../seam/events.ts";
import { VfioError } from "../../ffi/errors.ts";
import { InterruptControl, type MsiParts, type MsixParts } from "./interrupts/interrupt-control.ts";
import { Intx } from "./interrupts/intx.ts";
import { mappableAreas } from "../pci/mappable-areas.ts";
import { emulateMsi, msiLayout, MsiState } from "./interrupts/msi-state.ts";
import { emulateMsix, MsixState } from "./interrupts/msix-state.ts";
import type { AttachOptions } from "./options.ts";
import type { Platform } from "../seam/platform.ts";
import { VectorWiring } from "./interrupts/vector-routing.ts";

/** A device in one piece. */
export interface Parts {
  readonly image: ConfigImage;
  readonly plan: Plan;
  readonly config: ConfigSpace;
  readonly effects: WriteEffects;
  readonly interrupts: InterruptControl;
  readonly placement: BarPlacement;
  readonly access: BarAccess;
  readonly answers: GuestAnswers;
  /** Guest address that each BAR got at attach, by region index. */
  readonly firstAddresses: ReadonlyMap<number, number>;
  readonly report: ReportEvent;
}

/**
 * Attaches: reset, stop, read, plan, addresses, interrupts. The order matters: only a device that is stopped may be
 * read and described, and INTx comes last, when an interrupt can be handled.
 * @throws what any step throws; everything done before is undone
 */
export function assemble(
  backend: DeviceBackend,
  platform: Platform,
  options: AttachOptions,
  report: ReportEvent,
): Parts {
  configSizeOf(backend);
  try {
    if (backend.resettable) backend.reset();
  } catch (cause) {
    report(
      "reset-failed",
      "the device could not be reset: it keeps the state that its last user left",
      cause,
    );
  }
  // The host opens a device with decoding on: a guest expects it off, and nothing may do DMA yet.
  backend.write(RegionIndex.config, offsetOf(command), new Uint8Array(new ArrayBuffer(command.size)));
  const image = readConfigImage(backend);
  const made = plan(backend, image, platform.pageSize, options, report);
  try {
    return build(backend, platform, image, made, options, report);
  } catch (cause) {
    const isFull = cause instanceof VfioError && cause.code === "ENOSPC";
    if (!isFull || !made.msix?.relocated || options.msixRelocation === "always") throw cause;
    // What has been said of the device is not said twice.
    const never = { ...options, msixRelocation: "never" } as const;
    const smaller = plan(backend, image, platform.pageSize, never, () => {});
    const parts = build(backend, platform, image, smaller, options, report);
    const { region } = made.msix.physical.table;
    report("msix", `no guest address for a larger BAR${region}: the MSI-X table stays where it is`, cause);
    return parts;
  }
}

/** Carries out a plan. @throws what any step throws; everything done before is undone */
function build(
  backend: DeviceBackend,
  platform: Platform,
  image: ConfigImage,
  made: Plan,
  options: AttachOptions,
  report: ReportEvent,
): Parts {
  const answers = new GuestAnswers(report, options.trace);
  const config = new ConfigSpace(backend, made.tables, answers);
  using undo = new DisposableStack();
  const interrupts = undo.use(
    buildInterrupts(backend, platform, config, made, options.requesterId ?? 0, report),
  );
  const placement = undo.use(buildPlacement(backend, platform, made, options, report));
  const firstAddresses = placement.allocate(backend.name);
  for (const { bar } of placement.bars) setBarAddress(bar, config.view, firstAddresses.get(bar.region)!);
  config.compute = () => interrupts.computeMsiPending();
  const effects = new WriteEffects(image, made.bars, interrupts);
  const byRegion = new Map(made.bars.map((bar) => [bar.region, bar]));
  const access = new BarAccess(backend, interrupts, byRegion, answers);
  interrupts.start();
  undo.move();
  return {
    ...{ image, plan: made, config, effects, interrupts, placement, access, answers },
    ...{ firstAddresses, report },
  };
}

/** Creates interrupts over the platform. What it creates before it throws is disposed of. */
function buildInterrupts(
  backend: DeviceBackend,
  platform: Platform,
  config: ConfigSpace,
  { msi, msix }: Plan,
  requesterId: number,
  report: ReportEvent,
): InterruptControl {
  using made = new DisposableStack();
  const msiParts =
    msi === undefined ? undefined : buildMsi(backend, platform, config, msi, requesterId, report);
  if (msiParts) made.use(msiParts.wiring);
  const msixParts = msix && buildMsix(backend, platform, config, msix, requesterId, report);
  if (msixParts) made.use(msixParts.wiring);
  const pin = interruptPin.read(config.view);
  const hasIntx = (backend.irqs[IrqIndex.intx]?.count ?? 0) > 0 && pin >= 1 && pin <= 4;
  const line = hasIntx ? platform.interrupts.createIntx(pin) : undefined;
  const intx = line && new Intx(backend, line, report);
  made.move();
  return new InterruptControl(config, { intx, msi: msiParts, msix: msixParts }, report);
}

function buildMsi(
  backend: DeviceBackend,
  platform: Platform,
  config: ConfigSpace,
  capability: LocatedCapability,
  requesterId: number,
  report: ReportEvent,
): MsiParts {
  const { tables, view } = config;
  const layout = msiLayout(view, capability, backend.irqs[IrqIndex.msi]!.count);
  emulateMsi(tables, layout);
  const group = platform.interrupts.createMsiGroup(layout.vectors);
  const state = new MsiState(layout, view, requesterId);
  return { state, wiring: new VectorWiring(backend, "MSI", group, layout.vectors, report) };
}

function buildMsix(
  backend: DeviceBackend,
  platform: Platform,
  config: ConfigSpace,
  { capability, physical, guest }: MsixPlan,
  requesterId: number,
  report: ReportEvent,
): MsixParts {
  emulateMsix(config.tables, guest, capability);
  const group = platform.interrupts.createMsiGroup(guest.vectors);
  const wiring = new VectorWiring(backend, "MSI-X", group, guest.vectors, report);
  return { state: new MsixState(guest.vectors, requesterId), wiring, capability, physical, guest };
}

/** Prepares each BAR's mapping. Nothing is mapped before the guest turns decoding on. */
function buildPlacement(
  backend: DeviceBackend,
  platform: Platform,
  { bars, msix }: Plan,
  options: AttachOptions,
  report: ReportEvent,
): BarPlacement {
  const parts = bars.map((bar) => {
    const info = backend.regions[bar.region]!;
    const excluded = options.excludeFromMapping?.includes(bar.region) ?? false;
    const isMemory = bar.kind !== "io" && bar.region !== RegionIndex.rom;
    const areas = excluded || !isMemory ? [] : mappableAreas(info, holesOf(info, msix), platform.pageSize);
    const peers = options.peerToPeer ?? true;
    return { bar, mapping: new BarMapping(backend, platform, bar.region, areas, peers, report) };
  });
  return new BarPlacement(platform, parts, report);
}

/** The guest's table and PBA are the model's: where they lie over the device's own registers, those are not mapped. */
function holesOf(
  { index: region, msixMappable: tableIsMappable }: RegionInfo,
  msix: MsixPlan | undefined,
): RegionArea[] {
  if (!msix) return [];
  const { table, pba } = msix.physical;
  // Moved away, they may be mapped; but some hosts keep the device's table to themselves.
  const trapped = !msix.relocated ? [table, pba] : tableIsMappable ? [] : [table];
  return trapped.filter((area) => area.region === region);
}
