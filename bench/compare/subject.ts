// Measures one revision, in a process of its own: `bun subject.ts ROOT MODE [--smoke]` prints what it found as JSON.
import { heapStats } from "bun:jsc";
import { processorTime } from "../clock.ts";
import { Guest } from "./guest.ts";
import { loadLibrary, type Library } from "./library.ts";
import { paths, traces, type Path } from "./paths.ts";

/** What one process finds, by path: nanoseconds, bytes or counts an operation; a text where the path cannot be taken. */
export type Findings = Readonly<Record<string, number | string>>;
/** What is measured; `memory` wants a collector that is off. */
export type Mode = "time" | "memory" | "reads" | "writes" | "calls";

const smoke = process.argv.includes("--smoke");
const [root, mode] = process.argv.slice(2) as [string, Mode];

const millisecond = 1e6;
const samples = smoke ? 3 : 25;
const sampleTime = (smoke ? 0.05 : 8) * millisecond;

/** Keeps a result from being optimised away. */
const sink: { last: unknown } = { last: undefined };

function times({ act }: Path, count: number, from: number): number {
  const start = processorTime();
  for (let i = from; i < from + count; i++) sink.last = act(i);
  return Number(processorTime() - start);
}

/** Nanoseconds of this thread an operation: the median of samples, each long enough for its clock. */
function time(path: Path): number {
  let count = path.slow ? 2 : 64;
  let done = 0;
  for (let took = 0; took < sampleTime && count < 2 ** 24; count *= 2)
    took = times(path, count, (done += count));
  const each = Array.from({ length: samples }, () => times(path, count, (done += count)) / count);
  return each.sort((a, b) => a - b)[samples >> 1]!;
}

/** A block of JavaScript's heap is 16 KiB: so much may be taken by what is not measured. */
const noise = 2 ** 18;

/**
 * Bytes that an operation takes from the heap of JavaScript. With the collector off nothing is given back, so a million are
 * made only of those that take little.
 */
function memory(path: Path): number {
  const few = smoke ? 100 : path.slow ? 300 : 50_000;
  const many = smoke || path.slow ? few : 1_000_000;
  times(path, few, 0);
  const first = grown(path, few);
  if (first > 16 * few || many === few) return first <= noise ? 0 : Math.round(first / few);
  const bytes = grown(path, many);
  return bytes <= noise ? 0 : Math.round(bytes / many);
}

function grown(path: Path, count: number): number {
  const before = heapStats().heapCapacity;
  times(path, count, 0);
  return heapStats().heapCapacity - before;
}

const counted = 1000;
function seamCalls(path: Path, kind: "reads" | "writes"): number {
  if (!path.counts) return 0;
  const count = path.slow ? 10 : counted;
  times(path, count, 0);
  const before = path.counts[kind];
  times(path, count, 0);
  return (path.counts[kind] - before) / count;
}

function systemCalls(path: Path, { ffi }: Library): number {
  const count = path.slow ? 10 : counted;
  let calls = 0;
  times(path, count, 0);
  using _trace = ffi.traceSyscalls(() => void calls++);
  times(path, count, 0);
  return calls / count;
}

function attempt(measure: () => number): number | string {
  try {
    return measure();
  } catch (error) {
    return (error as Error).message;
  }
}

/** Bytes of the heap that an attached device keeps. */
function heapOfDevice(library: Library): number {
  const count = smoke ? 3 : 300;
  const kept = Array.from({ length: 10 }, () => new Guest(library, "nvme", false));
  Bun.gc(true);
  const before = heapStats().heapSize;
  for (let i = 0; i < count; i++) kept.push(new Guest(library, "nvme", false));
  Bun.gc(true);
  const bytes = (heapStats().heapSize - before) / count;
  for (const { device } of kept) device[Symbol.dispose]();
  return Math.round(bytes);
}

/** Reads of config space that a recorded guest's accesses cost, attach not counted. */
function replayReads({ device, image, text }: Library, name: string): number {
  const recording = image.readImage(text(`images/${name}.json`));
  const accesses = image.parseTrace(text(`test/traces/${name}.txt`));
  const backend = new device.RecordedDevice(recording);
  return device.replay(backend, new device.MemoryPlatform(), recording.config, accesses).counts.configReads;
}

function measure(path: Path, library: Library): number {
  switch (mode) {
    case "time":
      return time(path);
    case "memory":
      return memory(path);
    case "calls":
      return systemCalls(path, library);
    default:
      return seamCalls(path, mode);
  }
}

const library = await loadLibrary(root);
const counting = mode === "reads" || mode === "writes";
const found: Record<string, number | string> = {};
for (const [name, prepare] of Object.entries(paths))
  found[name] = attempt(() => measure(prepare(library, counting), library));
if (mode === "time") found["an attached nvme keeps"] = attempt(() => heapOfDevice(library));
if (mode === "reads")
  for (const name of traces) found[`replay of ${name}`] = attempt(() => replayReads(library, name));
console.log(JSON.stringify(found));
process.exit(0);
