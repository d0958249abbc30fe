import type { AttachedDevice } from "./attach.ts";
import type { DeviceBackend } from "../seam/backend.ts";
import type { MappedArea } from "./bars/bar-mapping.ts";
import { identity } from "../pci/header-registers.ts";
import { barAddress, barName, type BarKind } from "../pci/bars.ts";
import type { IntxMode } from "./interrupts/intx.ts";
import type { MsixGeometry } from "../pci/msix-geometry.ts";
import type { MirroredArea } from "./config/config-mirrors.ts";
import type { Patch } from "./config/patches.ts";

/** A BAR as it is now. */
export interface DescribedBar {
  /** One of `RegionIndex`. */
  readonly region: number;
  /** As `BAR0`, or `ROM`. */
  readonly name: string;
  /** What it decodes. */
  readonly kind: BarKind;
  /** As the device says. */
  readonly prefetchable: boolean;
  /** Bytes behind it on the device. */
  readonly physicalSize: number;
  /** Bytes that the guest sees. */
  readonly size: number;
  /** What the guest reads in its registers; undefined above 2^53. */
  readonly address: number | undefined;
  /** Where its accesses trap; undefined while it decodes nothing. */
  readonly base: number | undefined;
  /** What of it the guest reaches without the VMM. */
  readonly mapped: readonly MappedArea[];
}

/** A capability of the device, and whether the guest is shown it. `offset` is in bytes, in config space. */
export interface DescribedCapability {
  /** Of the specification. */
  readonly id: number;
  /** As `MSI-X`. */
  readonly name: string;
  /** Of its first byte in config space. */
  readonly offset: number;
  /** Whether it is in the list of extended capabilities. */
  readonly extended: boolean;
  /** Whether the guest finds it skipped in the list, and its registers 0. */
  readonly hidden: boolean;
}

/** A device as it is now: what was found, what the guest sees of it, where it is. */
export interface DeviceDescription {
  /** The backend's. */
  readonly name: string;
  /** 16 bits. */
  readonly vendorId: number;
  /** 16 bits. */
  readonly deviceId: number;
  /** COMMAND as the guest last wrote it. */
  readonly command: number;
  /** In the order of the device's lists. */
  readonly capabilities: readonly DescribedCapability[];
  /** Where the guest reads something else than the device has. */
  readonly patches: readonly Patch[];
  /** Those that there are, by region index. */
  readonly bars: readonly DescribedBar[];
  /** Undefined without MSI-X. */
  readonly msix:
    | { readonly relocated: boolean; readonly physical: MsixGeometry; readonly guest: MsixGeometry }
    | undefined;
  /** Places in BARs that show config space, where the model answers. `region` of `RegionIndex`; the others in bytes. */
  readonly configMirrors: readonly MirroredArea[];
  /** Which kind is on, and what it delivers. */
  readonly interrupts: {
    readonly mode: "none" | "INTx" | "MSI" | "MSI-X";
    /** How INTx is unmasked; undefined without INTx. */
    readonly intx: IntxMode | undefined;
    readonly msiVectors: number;
    readonly msixVectors: number;
    /** Vectors routed to the guest now. */
    readonly routed: readonly number[];
  };
}

export function describe(backend: DeviceBackend, parts: AttachedDevice, command: number): DeviceDescription {
  const { kind, plan, placement, interrupts, config } = parts;
  const hidden = new Set(plan.patches.filter(({ kind }) => kind === "hidden").map(({ offset }) => offset));
  const { msi, msix } = interrupts;
  const active = msix?.routing.on ? msix.state : msi?.routing.on ? msi.state : undefined;
  const count = msix?.routing.on ? msix.state.vectors : (msi?.state.layout.vectors ?? 0);
  return {
    name: backend.name,
    vendorId: identity.vendorId.read(kind.view),
    deviceId: identity.deviceId.read(kind.view),
    command,
    capabilities: kind.layout.capabilities.map(({ id, name, offset, extended }) => ({
      id,
      name,
      offset,
      extended,
      hidden: hidden.has(offset),
    })),
    patches: plan.patches.map((patch) => ({ ...patch })),
    bars: placement.bars.map(({ bar, base, mapping }) => ({
      region: bar.region,
      name: barName(bar.region),
      kind: bar.kind,
      prefetchable: bar.prefetchable,
      physicalSize: bar.physicalSize,
      size: bar.size,
      address: barAddress(bar, config.view),
      base,
      mapped: [...mapping.mapped],
    })),
    msix: plan.msix && {
      relocated: plan.msix.relocated,
      physical: copyOf(plan.msix.physical),
      guest: copyOf(plan.msix.guest),
    },
    configMirrors: plan.mirrors.map((area) => ({ ...area })),
    interrupts: {
      mode: interrupts.mode,
      intx: interrupts.intx?.mode,
      msiVectors: msi?.state.layout.vectors ?? 0,
      msixVectors: msix?.state.vectors ?? 0,
      routed: active
        ? Array.from({ length: count }, (_, vector) => vector).filter((v) => active.isRouted(v))
        : [],
    },
  };
}

/** The plan's own may be another device's too. */
const copyOf = ({ vectors, table, pba }: MsixGeometry): MsixGeometry => ({
  vectors,
  table: { ...table },
  pba: { ...pba },
});

/** A description in a line, for a person: where each BAR is, and what interrupts. */
export function factsOf({ bars, interrupts }: DeviceDescription): string {
  const places = bars.map(({ name, base }) =>
    base === undefined ? `${name} off` : `${name} at 0x${base.toString(16)}`,
  );
  const { mode, msiVectors, msixVectors, routed } = interrupts;
  const vectors = mode === "MSI-X" ? msixVectors : mode === "MSI" ? msiVectors : undefined;
  const irqs = vectors === undefined ? mode : `${mode} ${routed.length} of ${vectors}`;
  return `${places.join(", ")}; ${irqs === "none" ? "no interrupts" : irqs}`;
}
