// Creates a device's interrupts over the platform, as the plan says.
import { IrqIndex } from "../../regs/vfio/irqs.ts";
import { interruptPin } from "../pci/header-registers.ts";
import type { AttachContext } from "./attach-context.ts";
import type { AttachPlan, MsixPlan } from "./attach-plan.ts";
import { configTeller } from "./config/config-teller.ts";
import { InterruptControl } from "./interrupts/interrupt-control.ts";
import type { MsiParts, MsixParts } from "./interrupts/interrupt-parts.ts";
import { Intx } from "./interrupts/intx.ts";
import { MsiState, type MsiLayout } from "./interrupts/msi-state.ts";
import { MsixState } from "./interrupts/msix-state.ts";
import { VectorRouting } from "./interrupts/vector-routing.ts";

/** What it creates before it throws is disposed of. @throws what the platform throws */
export function attachInterrupts(context: AttachContext, plan: AttachPlan): InterruptControl {
  const { backend, platform, options, report } = context;
  const { tables, msi, msix } = plan;
  using made = new DisposableStack();
  const msiParts = msi && attachMsi(context, plan, msi);
  if (msiParts) made.use(msiParts.routing);
  const msixParts = msix && attachMsix(context, msix);
  if (msixParts) made.use(msixParts.routing);
  const pin = interruptPin.read(tables.view);
  const hasIntx = (backend.irqs[IrqIndex.intx]?.count ?? 0) > 0 && pin >= 1 && pin <= 4;
  const line = hasIntx ? platform.interrupts.createIntx(pin) : undefined;
  const intx = line && new Intx(backend, line, report);
  made.move();
  const tell = configTeller(options.trace, tables.view);
  return new InterruptControl(tables.view, { intx, msi: msiParts, msix: msixParts }, report, tell);
}

function attachMsi(
  { backend, platform, options, report }: AttachContext,
  { tables }: AttachPlan,
  layout: MsiLayout,
): MsiParts {
  const group = platform.interrupts.createMsiGroup(layout.vectors);
  const state = new MsiState(layout, tables.view, options.requesterId ?? 0);
  return { state, routing: new VectorRouting(backend, "MSI", group, layout.vectors, report) };
}

function attachMsix(
  { backend, platform, options, report }: AttachContext,
  { capability, physical, guest, hasPending }: MsixPlan,
): MsixParts {
  const group = platform.interrupts.createMsiGroup(guest.vectors);
  const routing = new VectorRouting(backend, "MSI-X", group, guest.vectors, report);
  const state = new MsixState(guest.vectors, options.requesterId ?? 0);
  return { state, routing, capability, physical, hasPending, guest };
}
