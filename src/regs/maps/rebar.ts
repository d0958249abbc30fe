import { composed } from "../derived.ts";
import { extendedCapability, extendedHead, mapPerCount, type CapabilityType } from "../capability.ts";
import { hex, ro, rw } from "../field.ts";
import { ownMap } from "../map.ts";
import { r32 } from "../register.ts";
import { fitting, repeat } from "./repeat.ts";
import { extendedCapabilityId } from "./ids.ts";

const units = ["MB", "GB", "TB", "PB", "EB"] as const;
/** The sizes that a BAR can have by their number in the registers: 1 MB is 0, 8 EB is 43. */
export const barSizes: readonly string[] = Array.from(
  { length: 44 },
  (_, n) => `${2 ** (n % 10)}${units[Math.floor(n / 10)]!}`,
);

const entrySize = 8;
const firstEntry = 4;
const maxEntries = 6;

const entry = (at: number) =>
  ({
    // Bit 4 + n: the size of number n, up to 128 TB.
    capability: r32(at, { supportedSizes: hex(ro(31, 4)) }),
    control: r32(at + 4, {
      barIndex: ro(2, 0),
      /** Entries of the capability; stated by the first alone. */
      numBars: ro(7, 5),
      size: rw(13, 8, barSizes),
      /** Bit n: the size of number 28 + n, from 256 TB. */
      supportedSizesUpper: hex(ro(31, 16)),
    }),
  }) as const;

/** The sizes that a BAR can have, and the one that it has. */
const sizes = (capability: string, control: string, index: number) =>
  composed(
    [
      `${control}.barIndex`,
      `${control}.size`,
      `${capability}.supportedSizes`,
      `${control}.supportedSizesUpper`,
    ],
    (bar, size, lower, upper) => ({
      bar: bar!,
      current: barSizes[size!] ?? `reserved(${size!})`,
      supported: barSizes.filter((_, n) => (n < 28 ? lower! >>> n : upper! >>> (n - 28)) & 1),
    }),
    {
      label: `Entry ${index}`,
      text: ({ bar, current, supported }) =>
        `BAR ${bar}: current size: ${current}, supported: ${supported.length === 0 ? "none" : supported.join(" ")}`,
    },
  );

/** One entry of a Resizable BAR or VF Resizable BAR capability; the first lies 4 bytes behind its head. */
export const resizableBarEntry = ownMap("resizable BAR entry", entrySize, () => entry(0));

const resizable = (id: number, name: string): CapabilityType => {
  const maps = mapPerCount((count) =>
    ownMap(name, firstEntry + entrySize * count, () => ({
      ...extendedHead,
      ...repeat(count, (i) => {
        const { capability, control } = entry(firstEntry + entrySize * i);
        return {
          [`bar${i}Capability`]: capability,
          [`bar${i}Control`]: control,
          [`bar${i}Sizes`]: sizes(`bar${i}Capability`, `bar${i}Control`, i),
        };
      }),
    })),
  );
  return extendedCapability(id, name, (config, at, limit) => {
    const stated = limit >= 12 ? config.getUint8(at + 8) >>> 5 : 0;
    return maps(Math.max(1, fitting(Math.min(stated, maxEntries), limit, firstEntry, entrySize)));
  });
};

/** Resizable BAR, PCI Express Base Specification 7.8.6: 1 to 6 entries. */
export const resizableBar = resizable(extendedCapabilityId.resizableBar, "ReBAR");
/** VF Resizable BAR, PCI Express Base Specification 7.8.7. */
export const vfResizableBar = resizable(extendedCapabilityId.vfResizableBar, "VF ReBAR");
