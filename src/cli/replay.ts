import { jsonText } from "../image/json-text.ts";
import { RegionIndex } from "../regs/vfio/regions.ts";
import { MemoryPlatform } from "../device/platforms/memory/memory-platform.ts";
import { RecordedDevice } from "../device/backends/recorded/recorded-device.ts";
import { replay, type ReplayReport } from "../device/replay/replay.ts";
import { ImageError } from "../image/error.ts";
import type { DeviceImage } from "../image/image.ts";
import { textLines } from "../image/lines.ts";
import { parseTraceLines, type TraceAccess, type TraceAccesses } from "../image/trace.ts";
import { CliError, exitCode, firstProblem, knownText } from "./failure.ts";
import { inputName } from "./byte-source.ts";
import { openInput, openText } from "./input.ts";
import { print } from "./output.ts";
import { counted } from "./progress.ts";
import { printable } from "../regs/printable.ts";
import { formatTraceEntry, traceListener } from "../device/seam/trace-text.ts";
import type { Tracer } from "../device/seam/trace.ts";
import { replayText } from "./replay-text.ts";
import { styleOf } from "./style.ts";
import { hexDigits } from "../regs/hex-text.ts";

export interface ReplayOptions {
  readonly json?: boolean | undefined;
  /** Prints what the model did, as it does it, in place of the report. */
  readonly trace?: boolean | undefined;
  readonly color: boolean;
}

/** Where the replayed guest's firmware puts 32-bit BARs: below the I/O APIC. */
const mmio32 = { base: 0x8000_0000, size: 0x7ec0_0000 };

/** Characters of a trace that are printed at once. */
const printedAtOnce = 2 ** 16;

/** Replays a guest's config accesses on a recorded device. @returns 1 if a value differs that no rule explains */
export function replayCommand(imagePath: string, tracePath: string, options: ReplayOptions): number {
  if (imagePath === "-" && tracePath === "-")
    throw new CliError("standard input can be one of the two files alone");
  const image = oneImage(imagePath);
  const trace = readTrace(tracePath);
  let lines = "";
  const tell = traceListener((entry) => {
    lines += `${options.json ? jsonText(entry) : formatTraceEntry(entry)}\n`;
    if (lines.length < printedAtOnce) return;
    print(lines);
    lines = "";
  });
  const report = replayed(imagePath, image, trace, options.trace ? tell : undefined);
  if (options.trace) print(lines);
  else if (options.json) print(`${jsonText(replayJson(imagePath, tracePath, report), stable, 2)}\n`);
  else {
    const style = styleOf(options.color);
    const { vendorId, deviceId } = report.attached;
    const id = [vendorId, deviceId].map((part) => hexDigits(part, 4)).join(":");
    const head = `${style.bold(`${image.bdf} ${id}`)} from ${printable(imagePath)}, driven as in ${printable(tracePath)}`;
    print(`${[head, ...replayText(report, style)].join("\n")}\n`);
  }
  return report.differenceCounts.unexplained > 0 ? exitCode.found : exitCode.ok;
}

/** Accesses from one time that the platform's record is cleared to the next, and that memory is given back. */
const clearedAfter = 64;
const collectedAfter = 2 ** 16;

/**
 * The accesses, without what the platform records of each: nobody asks for it here, and a million of them fill the memory. Nor
 * does the engine give back what each leaves behind before there is far more of it, on a machine with much memory.
 */
function* unrecorded(accesses: TraceAccesses, platform: MemoryPlatform): Generator<TraceAccess> {
  let count = 0;
  for (const access of accesses) {
    if (count % collectedAfter === 0) Bun.gc(true);
    yield access;
    if (++count % clearedAfter === 0) platform.clearRecord();
  }
}

/** @throws CliError that names the image, where its device cannot be attached or driven */
function replayed(
  path: string,
  image: DeviceImage,
  accesses: TraceAccesses,
  trace: Tracer | undefined,
): ReplayReport {
  using platform = new MemoryPlatform({ windows: { mmio32 } });
  try {
    return replay(
      new RecordedDevice(image),
      platform,
      image.config,
      counted(unrecorded(accesses, platform), "replaying", accesses.length),
      {
        trace,
      },
    );
  } catch (error) {
    const text = knownText(error);
    throw text === undefined ? error : new CliError(`${path}: ${text}`, { cause: error });
  }
}

function oneImage(file: string): DeviceImage {
  const { path, kind, devices } = openInput(file);
  if (kind !== "image")
    throw new CliError(
      `${path}: replay needs an image, which knows the sizes of regions; make one with bun-vfio import`,
    );
  const [device] = devices;
  const { image } = device!;
  if (image.regions.some(({ index, size }) => index <= RegionIndex.bar5 && size === 0))
    throw new CliError(`${path}: the sizes of its BARs are not known; import it again with --resource`);
  return image;
}

function readTrace(path: string): TraceAccesses {
  using file = openText(path, "a trace: lines of `read OFFSET VALUE` or `write OFFSET VALUE`");
  try {
    return parseTraceLines(textLines(file.read));
  } catch (error) {
    if (error instanceof ImageError) throw new CliError(`${inputName(path)}: ${firstProblem(error)}`);
    throw error;
  }
}

/** A key is always there; addresses in this process say nothing and would differ from run to run. */
const stable = (key: string, value: unknown): unknown =>
  key === "hva" ? undefined : value === undefined ? null : value;

/** What `--json` prints; its shape is described in docs/replay-json.md and changes only with `formatVersion`. */
function replayJson(image: string, trace: string, report: ReplayReport): unknown {
  const { reads, counts } = report;
  return {
    formatVersion: 1,
    image,
    trace,
    ...report,
    deviceReadsPerRead: reads === 0 ? 0 : counts.configReads / reads,
    differences: report.differences.map(({ rule, ...difference }) => ({ ...difference, rule: rule ?? null })),
    events: report.events.map(({ kind, message }) => ({ kind, message })),
  };
}
