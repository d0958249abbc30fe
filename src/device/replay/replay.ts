// Replays the config accesses of a recorded guest on an attached device, and tells what came out otherwise, by rule.
import type { TraceAccess } from "../../image/trace.ts";
import { layoutOf, type ConfigLayout } from "../../regs/index.ts";
import type { DeviceBackend } from "../seam/backend.ts";
import { readConfigImage } from "../pci/config-image.ts";
import { CountedBackend, type BackendCounts } from "../seam/counted-backend.ts";
import type { DeviceDescription } from "../passthrough/describe.ts";
import type { DeviceEvent } from "../seam/events.ts";
import type { AttachOptions } from "../passthrough/options.ts";
import type { Platform } from "../seam/platform.ts";
import { DifferenceRules, type DifferenceRule } from "./difference-rules.ts";
import { ReplaySteps } from "./replay-steps.ts";
import { VfioPciDevice } from "../passthrough/vfio-pci-device.ts";

export type { DifferenceRule } from "./difference-rules.ts";

/**
 * A read that gave another value than the recorded guest got. `line` is that of the trace; `offset` and
 * `width` are in bytes.
 */
export interface ReplayDifference {
  /** Of the access list, counted from 1. */
  readonly line: number;
  /** In config space. */
  readonly offset: number;
  /** 1, 2 or 4 bytes. */
  readonly width: number;
  /** What the recorded guest read. */
  readonly recorded: number;
  /** What this guest reads. */
  readonly seen: number;
  /** Undefined: a defect of the model or the recording. */
  readonly rule: DifferenceRule | undefined;
}

/** Something that a guest's write set off. */
export interface ReplayStep {
  /** Of the access list, counted from 1. */
  readonly line: number;
  /** In words. */
  readonly what: string;
}

/** Entries that a report lists of each kind: steps, events, and differences by each rule. All are counted. */
export const maxListed = 10_000;

/** What a replay came to. */
export interface ReplayReport {
  /** The device before the first access. */
  readonly attached: DeviceDescription;
  /** The device after the last one. */
  readonly final: DeviceDescription;
  /** Of config space, by the guest. */
  readonly reads: number;
  /** Of config space, by the guest. */
  readonly writes: number;
  /** Calls at the seam during the replay, attach apart. */
  readonly counts: BackendCounts;
  /** The most config reads of the device that one guest access took. */
  readonly mostReadsPerAccess: number;
  /** The first `maxListed` of `stepCount`. */
  readonly steps: readonly ReplayStep[];
  /** Of all steps, those that are not listed too. */
  readonly stepCount: number;
  /** The first `maxListed` of each rule, in order. */
  readonly differences: readonly ReplayDifference[];
  /** All of them, by rule. */
  readonly differenceCounts: Readonly<Record<DifferenceRule | "unexplained", number>>;
  /** The first `maxListed` of `eventCount`. */
  readonly events: readonly DeviceEvent[];
  /** Of all events, those that are not listed too. */
  readonly eventCount: number;
}

/**
 * The width of a recorded access in bytes, 1, 2 or 4: at least the register's own, enough for the value. The recording does
 * not tell.
 */
export function accessWidth(layout: ConfigLayout, { offset, value }: TraceAccess): number {
  const needed = value > 0xffff ? 4 : value > 0xff ? 2 : 1;
  const blocks = [
    ...(layout.header ? [{ map: layout.header, offset: 0 }] : []),
    ...layout.capabilities.filter((capability) => capability.offset <= offset),
  ];
  let natural = 1;
  for (const { map, offset: base } of blocks)
    for (const { at, width } of Object.values(map.registers))
      if (base + at === offset) natural = Math.min(4, width / 8);
  const width = Math.max(needed, natural);
  // A misaligned value of 3 bytes in a dword would cross it.
  return (offset & 3) + width <= 4 ? width : needed;
}

/**
 * Attaches the device, replays the accesses in order and detaches it.
 * @param config the recorded config space, which tells widths
 * @throws VfioError where the device cannot be attached
 */
export function replay(
  backend: DeviceBackend,
  platform: Platform,
  config: Uint8Array,
  trace: Iterable<TraceAccess>,
  options: AttachOptions = {},
): ReplayReport {
  const events: DeviceEvent[] = [];
  let eventCount = 0;
  const counted = new CountedBackend(backend);
  using device = VfioPciDevice.attach(counted, platform, {
    ...options,
    onEvent: (event) => {
      if (eventCount++ < maxListed) events.push(event);
    },
  });
  const layout = layoutOf(config);
  const attached = device.describe();
  const before = { ...counted.counts };
  const { bytes: shown } = readConfigImage(backend);
  const rules = new DifferenceRules({ attached, layout, recorded: config, shown });
  const steps: ReplayStep[] = [];
  let stepCount = 0;
  const differences: ReplayDifference[] = [];
  const differenceCounts = {
    "bar-address": 0,
    "hidden-capability": 0,
    "msix-relocated": 0,
    "patched-bit": 0,
    "host-virtual": 0,
    "recorded-later": 0,
    unexplained: 0,
  };
  let reads = 0;
  let writes = 0;
  let mostReadsPerAccess = 0;
  const changes = new ReplaySteps(attached);
  for (const access of trace) {
    const { kind, offset, value, line } = access;
    const width = accessWidth(layout, access);
    const asked = counted.counts.configReads;
    if (kind === "read") {
      reads++;
      const seen = device.configRead(offset, width);
      const rule = rules.ruleOf(offset, width, value, seen);
      if (seen !== value && differenceCounts[rule ?? "unexplained"]++ < maxListed)
        differences.push({ line, offset, width, recorded: value, seen, rule });
    } else {
      writes++;
      device.configWrite(offset, width, value);
      rules.written(offset, width);
      for (const what of changes.since(device.describe()))
        if (stepCount++ < maxListed) steps.push({ line, what });
    }
    mostReadsPerAccess = Math.max(mostReadsPerAccess, counted.counts.configReads - asked);
  }
  const counts = { ...counted.counts };
  for (const key of Object.keys(counts) as (keyof BackendCounts)[]) counts[key] -= before[key];
  return {
    attached,
    final: device.describe(),
    reads,
    writes,
    counts,
    mostReadsPerAccess,
    steps,
    stepCount,
    differences,
    differenceCounts,
    events,
    eventCount,
  };
}
