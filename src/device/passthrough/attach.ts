// Puts the parts of a device together at attach, over the platform, as the plan says.
import { RegionIndex } from "../../regs/vfio/regions.ts";
import { VfioError } from "../../ffi/errors.ts";
import { setBarAddress } from "../pci/bars.ts";
import { configSizeOf, readConfigImage } from "../pci/config-image.ts";
import type { ConfigKind } from "../pci/config-kind.ts";
import { offsetOf } from "../pci/config-offset.ts";
import { command } from "../pci/header-registers.ts";
import type { DeviceBackend } from "../seam/backend.ts";
import { attachBars } from "./attach-bars.ts";
import type { AttachContext } from "./attach-context.ts";
import { askedAddresses } from "./options.ts";
import { attachInterrupts } from "./attach-interrupts.ts";
import type { AttachPlan } from "./attach-plan.ts";
import { planFor } from "./known-plans.ts";
import type { BarPlacement } from "./bars/bar-placement.ts";
import { ConfigSpace } from "./config/config-space.ts";
import type { InterruptControl } from "./interrupts/interrupt-control.ts";
import { hostVectors } from "./host-vectors.ts";
import type { WriteEffects } from "./write-effects.ts";

/** A device in one piece. */
export interface AttachedDevice extends AttachContext {
  readonly kind: ConfigKind;
  readonly plan: AttachPlan;
  readonly config: ConfigSpace;
  readonly effects: WriteEffects;
  readonly interrupts: InterruptControl;
  readonly placement: BarPlacement;
  /** Guest address that each BAR got at attach, by region index. */
  readonly firstAddresses: ReadonlyMap<number, number>;
}

/**
 * Attaches: stop, reset, stop, read, plan, addresses, interrupts. The order matters: only a device that is stopped may be
 * read and described, and INTx comes last, when an interrupt can be handled.
 * @param attached is told at the end, with config space as it was read
 * @throws what any step throws; everything done before is undone
 */
export function attachDevice(
  context: AttachContext,
  attached?: (config: Uint8Array) => void,
): AttachedDevice {
  const { backend, platform, options, report } = context;
  configSizeOf(backend);
  // A function must be quiet before it is reset (PCI Express Base Specification 6.6.2), and the host gives COMMAND back after.
  attempt(
    () => stop(backend),
    (cause) => report("access-failed", "COMMAND cannot be written before the reset", cause),
  );
  attempt(
    () => backend.resettable && backend.reset(),
    (cause) =>
      report(
        "reset-failed",
        "the device could not be reset: it keeps the state that its last user left",
        cause,
      ),
  );
  stop(backend);
  const image = readConfigImage(backend);
  const vectors = hostVectors(backend);
  const plan = planFor({ backend, platform, options, vectors }, image);
  for (const { kind, message } of plan.notes) report(kind, message);
  let device: AttachedDevice;
  try {
    device = build(context, image.kind, plan);
  } catch (cause) {
    const isFull = cause instanceof VfioError && ["ENOSPC", "EADDRNOTAVAIL"].includes(cause.code);
    if (!isFull || !plan.msix?.relocated || options.msixRelocation === "always") throw cause;
    const never = { ...options, msixRelocation: "never" } as const;
    // What has been noted of the device is not said twice.
    const smaller = planFor({ backend, platform, options: never, vectors }, image);
    device = build(context, image.kind, smaller);
    const { region } = plan.msix.physical.table;
    report("msix", `no guest address for a larger BAR${region}: the MSI-X table stays where it is`, cause);
  }
  attached?.(image.bytes);
  return device;
}

function attempt(act: () => void, failed: (cause: unknown) => void): void {
  try {
    act();
  } catch (cause) {
    failed(cause);
  }
}

/** The host opens a device with decoding on: a guest expects it off, and nothing may do DMA yet. @throws VfioError */
function stop(backend: DeviceBackend): void {
  backend.write(RegionIndex.config, offsetOf(command), new Uint8Array(new ArrayBuffer(command.size)));
}

/**
 * Carries out a plan. Everything done before a step that throws is undone; what cannot be undone is an event.
 * @throws what the step throws
 */
function build(context: AttachContext, kind: ConfigKind, plan: AttachPlan): AttachedDevice {
  try {
    return carryOut(context, kind, plan);
  } catch (cause) {
    let first: unknown = cause;
    for (; first instanceof SuppressedError; first = first.suppressed)
      context.report("teardown", "a part of the device cannot be taken back", first.error);
    throw first;
  }
}

function carryOut(context: AttachContext, kind: ConfigKind, plan: AttachPlan): AttachedDevice {
  const { backend, answers, options } = context;
  using undo = new DisposableStack();
  const interrupts = undo.use(attachInterrupts(context, plan));
  const placement = undo.use(attachBars(context, plan));
  const config = new ConfigSpace(backend, plan.tables, answers, interrupts);
  const firstAddresses = placement.allocate(backend.name, askedAddresses(options));
  for (const { bar } of placement.bars) setBarAddress(bar, config.view, firstAddresses.get(bar.region)!);
  interrupts.start();
  undo.move();
  return { ...context, kind, plan, config, effects: plan.effects, interrupts, placement, firstAddresses };
}
