// What every step of an attach works with.
import type { RegionShape } from "../pci/region-shape.ts";
import type { DeviceBackend } from "../seam/backend.ts";
import type { ReportEvent } from "../seam/events.ts";
import type { GuestAnswers } from "../seam/guest-answers.ts";
import type { Platform } from "../seam/platform.ts";
import type { PatchOptions } from "./config/patches.ts";
import type { HostVectors } from "./host-vectors.ts";
import type { AttachOptions } from "./options.ts";

export interface AttachContext {
  readonly backend: DeviceBackend;
  readonly platform: Platform;
  readonly options: AttachOptions;
  readonly report: ReportEvent;
  readonly answers: GuestAnswers;
}

/** Options that decide what the guest finds, not where or by whom. */
export type PlanOptions = PatchOptions &
  Pick<
    AttachOptions,
    "configMirrors" | "excludeFromMapping" | "msixRelocation" | "msixVectors" | "msiVectors" | "rom"
  >;

/** What planning needs of it: nothing of the platform is touched. */
export interface PlanContext {
  readonly backend: { readonly regions: readonly RegionShape[] };
  readonly options: PlanOptions;
  readonly platform: Pick<Platform, "pageSize">;
  readonly vectors: HostVectors;
}
