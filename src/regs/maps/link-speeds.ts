// Speeds of a link, by number and as sets.
import type { ValueNames } from "../field.ts";

/** Speeds of a link by their number: Link Capabilities, PCI Express Base Specification 7.5.3.6. */
export const speeds = {
  "2.5GT/s": 1,
  "5GT/s": 2,
  "8GT/s": 3,
  "16GT/s": 4,
  "32GT/s": 5,
  "64GT/s": 6,
} as const;

/** Speeds that a link supports: as `2.5-16GT/s`; with a gap as `2.5-8GT/s 32GT/s`. */
export type SpeedSet = `${string}GT/s` | "none";

function nameOf(bits: number): SpeedSet {
  const names = Object.keys(speeds).map((name) => name.replace("GT/s", ""));
  const runs: string[] = [];
  for (let at = 0; at < names.length; at++) {
    if (!((bits >>> at) & 1)) continue;
    const first = at;
    while ((bits >>> (at + 1)) & 1) at++;
    runs.push(`${names[first]}${at > first ? `-${names[at]}` : ""}GT/s`);
  }
  return runs.length === 0 ? "none" : (runs.join(" ") as SpeedSet);
}

/**
 * Supported Link Speeds Vector, one bit a speed: PCI Express Base Specification 7.5.3.18. Its note on future hardware says that
 * slower speeds may be left out.
 */
export const supportedSpeeds = Object.fromEntries(
  Array.from({ length: 2 ** Object.keys(speeds).length }, (_, bits) => [nameOf(bits), bits]),
) as Readonly<Record<SpeedSet, number>> satisfies ValueNames;
