// What differs in the recorded contents of two devices' regions: by register where there is a map, else by offset.
import { resolve } from "node:path";
import { maxContentBytes, type ContentBlock, type DeviceImage } from "../image/image.ts";
import type { RegisterBlock } from "../regs/block.ts";
import type { ConfigDifference } from "../regs/diff-types.ts";
import { sameBytes } from "../regs/diff-bytes.ts";
import { diffRegisters } from "../regs/diff.ts";
import { regionName } from "../regs/vfio/regions.ts";
import { CliError } from "./failure.ts";
import { messageOf } from "../regs/message-of.ts";

/** Register maps by region index. */
export type RegionMaps = Readonly<Record<number, RegisterBlock>>;

/** Of one region; a difference's `where` is its name. */
export interface ContentDifference {
  readonly where: string;
  readonly differences: readonly ConfigDifference[];
}

/** Bytes that are compared as one: what differs is told in whole dwords. */
const unit = 4;

const isMap = (value: unknown): value is RegisterBlock =>
  typeof value === "object" && value !== null && "registers" in value && "masks" in value && "size" in value;

/**
 * Register maps out of a module: its default export is a map of BAR0, or an object of maps by BAR number.
 * @throws CliError
 */
export function loadMaps(path: string): RegionMaps {
  let exported: unknown;
  try {
    exported = (require(resolve(path)) as { default?: unknown }).default;
  } catch (error) {
    throw new CliError(`${path}: it cannot be loaded: ${messageOf(error)}`);
  }
  const maps = Object.entries(isMap(exported) ? { 0: exported } : (exported ?? {}));
  if (maps.length === 0 || !maps.every(([bar, map]) => /^[0-5]$/.test(bar) && isMap(map)))
    throw new CliError(
      `${path}: its default export must be a register map of BAR0, or an object of register maps by BAR, as { 0: map } (docs/register-maps.md)`,
    );
  for (const [bar, { size }] of maps as [string, RegisterBlock][])
    if (size > maxContentBytes) throw new CliError(`${path}: its map of BAR${bar} has ${size} bytes`);
  return Object.fromEntries(maps) as RegionMaps;
}

/** Only what both recordings have of a region is compared. */
export function contentDifferences(
  from: DeviceImage,
  to: DeviceImage,
  maps: RegionMaps,
): ContentDifference[] {
  const found: ContentDifference[] = [];
  for (const { index, contents = [] } of from.regions) {
    const other = to.regions.find((region) => region.index === index)?.contents ?? [];
    const map = maps[index];
    const differences: ConfigDifference[] = [];
    if (map) {
      const [a, b] = [new Uint8Array(map.size), new Uint8Array(map.size)];
      for (const { offset, before, after } of common(contents, other)) {
        a.set(before.subarray(0, Math.max(0, map.size - offset)), Math.min(offset, map.size));
        b.set(after.subarray(0, Math.max(0, map.size - offset)), Math.min(offset, map.size));
      }
      differences.push(...diffRegisters(map, a, b, regionName(index)));
    }
    for (const { offset, before, after } of common(contents, other))
      runs(before, after, offset, map?.size ?? 0, differences);
    if (differences.length > 0) found.push({ where: regionName(index), differences });
  }
  return found;
}

interface Common {
  readonly offset: number;
  readonly before: Uint8Array;
  readonly after: Uint8Array;
}

/** The parts that both have, in order; blocks of each are in order and apart. */
function* common(a: readonly ContentBlock[], b: readonly ContentBlock[]): Generator<Common, void> {
  for (let i = 0, j = 0; i < a.length && j < b.length;) {
    const [one, two] = [a[i]!, b[j]!];
    const offset = Math.max(one.offset, two.offset);
    const [endOne, endTwo] = [one.offset + one.bytes.length, two.offset + two.bytes.length];
    const end = Math.min(endOne, endTwo);
    if (offset < end)
      yield {
        offset,
        before: one.bytes.subarray(offset - one.offset, end - one.offset),
        after: two.bytes.subarray(offset - two.offset, end - two.offset),
      };
    if (endOne <= endTwo) i++;
    else j++;
  }
}

/** Adds the runs of dwords that differ, from byte `least` of the region on. */
function runs(
  before: Uint8Array,
  after: Uint8Array,
  at: number,
  least: number,
  into: ConfigDifference[],
): void {
  const endOf = (dword: number): number => Math.min(before.length, dword + unit - ((at + dword) % unit));
  const differs = (dword: number): boolean => {
    const from = Math.max(dword, least - at);
    return !sameBytes(before, from, after, from, endOf(dword) - from);
  };
  for (let start = 0, end = 0; start < before.length; start = end) {
    while (end < before.length && differs(end)) end = endOf(end);
    if (end === start) end = endOf(end);
    else
      into.push({
        kind: "bytes",
        offset: at + start,
        from: before.subarray(start, end).toHex(),
        to: after.subarray(start, end).toHex(),
      });
  }
}
