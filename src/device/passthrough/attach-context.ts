// What every step of an attach works with.
import type { DeviceBackend } from "../seam/backend.ts";
import type { ReportEvent } from "../seam/events.ts";
import type { GuestAnswers } from "../seam/guest-answers.ts";
import type { Platform } from "../seam/platform.ts";
import type { HostVectors } from "./host-vectors.ts";
import type { AttachOptions } from "./options.ts";

export interface AttachContext {
  readonly backend: DeviceBackend;
  readonly platform: Platform;
  readonly options: AttachOptions;
  readonly report: ReportEvent;
  readonly answers: GuestAnswers;
}

/** What planning needs of it: nothing of the platform is touched. */
export interface PlanContext extends Pick<AttachContext, "backend" | "options" | "report"> {
  readonly platform: Pick<Platform, "pageSize">;
  readonly vectors: HostVectors;
}
