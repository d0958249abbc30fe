// What a page holds, as JSON: plain facts. What they look like is the page's own.
import type { DescribedBar, DeviceDescription } from "../device/passthrough/describe.ts";
import type { IntxMode } from "../device/passthrough/interrupts/intx.ts";
import type { IrqInfo } from "../regs/vfio/irqs.ts";
import type { RegionArea, RegionInfo } from "../regs/vfio/regions.ts";

/** A label, and what stands behind it. */
export type Fact = readonly [label: string, text: string];

/** An area of a BAR that the guest reaches without the VMM; in bytes. */
export interface MappedData extends RegionArea {
  readonly gpa: number;
}

/** A BAR of a device. */
export interface BarData extends Pick<
  DescribedBar,
  "region" | "name" | "kind" | "prefetchable" | "physicalSize" | "size"
> {
  /** In the device's own registers as they were read; undefined above 2^53. */
  readonly hostAddress: number | undefined;
  /** Where the guest finds it after an attach; undefined: it decodes nothing. */
  readonly guestAddress: number | undefined;
  readonly mapped: readonly MappedData[];
}

/** What the passthrough model makes of a device: found by attaching it to a virtual machine in memory. */
export interface GuestData extends Pick<DeviceDescription, "patches" | "msix" | "configMirrors"> {
  /** Tables of a byte for each of config space, in hexadecimal: what the guest reads first, and as `ConfigTables` has them. */
  readonly shadow: string;
  readonly emulated: string;
  readonly write: string;
  readonly clear: string;
  readonly source: string;
  /** 1 where a write does something besides. */
  readonly effects: string;
  readonly bars: readonly BarData[];
  readonly intx: IntxMode | undefined;
  readonly msiVectors: number;
  /** Why it did less than was asked. */
  readonly events: readonly { readonly kind: string; readonly message: string }[];
}

/** A device. */
export interface DeviceData {
  readonly name: string;
  /** Where it comes from. */
  readonly source: string;
  readonly facts: readonly Fact[];
  /** 64, 256 or 4096 bytes in hexadecimal; what of it is unknown is 0. */
  readonly config: string;
  readonly unknown: readonly RegionArea[];
  readonly regions: readonly RegionInfo[];
  readonly irqs: readonly IrqInfo[];
  /** As it was recorded, in hexadecimal; undefined where that is not known. */
  readonly msixTable: string | undefined;
  readonly guest: GuestData | undefined;
  /** Why there is no `guest`. */
  readonly noGuest: string | undefined;
}

/** A flight recorder's file. */
export interface FlightData {
  readonly name: string;
  /** The file, compressed by gzip, in Base64. */
  readonly bytes: string;
}

/** A verdict of `ls`, and of a group: `DeviceVerdict`'s, whose file a browser's type check cannot read. */
export type VerdictState = "ready" | "bindable" | "in-use" | "blocked" | "bridge" | "no-iommu";

/** A function of a host. */
export interface HostDevice {
  readonly bdf: string;
  /** BDF of the bridge above it, or the name of its root bus. */
  readonly parent: string;
  readonly title: string;
  readonly driver: string | undefined;
  readonly group: number | undefined;
  readonly state: VerdictState;
  readonly verdict: string;
  readonly reason: string;
  /** Who stands in the way. */
  readonly culprits: readonly string[];
  readonly facts: readonly Fact[];
}

/** An IOMMU group of a host. */
export interface HostGroup {
  readonly id: number;
  readonly state: VerdictState;
  readonly verdict: string;
  readonly reason: string;
  readonly members: readonly {
    readonly name: string;
    readonly driver: string | undefined;
    readonly blocks: boolean;
    /** What it does to the group, in words. */
    readonly state: string;
    /** What the host does with it. */
    readonly uses: readonly string[];
  }[];
}

/** A host as `ls` and `groups` see it. */
export interface HostData {
  readonly facts: readonly Fact[];
  readonly devices: readonly HostDevice[];
  readonly groups: readonly HostGroup[];
}

/** All of a page. */
export interface PageData {
  readonly title: string;
  /** When it was made, in ISO 8601. */
  readonly made: string;
  /** Served: it can be read again. */
  readonly live: boolean;
  readonly host: HostData | undefined;
  readonly devices: readonly DeviceData[];
  /** Of the first device. */
  readonly flight: FlightData | undefined;
}
