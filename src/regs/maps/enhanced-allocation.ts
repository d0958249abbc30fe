import { joinedBig } from "../derived.ts";
import type { Entry } from "../entries.ts";
import { standardCapability, standardHead } from "../capability.ts";
import { hex, hwinit, ro, rw, scaled } from "../field.ts";
import { ownMap } from "../map.ts";
import { r32, r8, type Register } from "../register.ts";
import { capabilityId } from "./ids.ts";

const properties = {
  "memory space, non-prefetchable": 0x00,
  "memory space, prefetchable": 0x01,
  "I/O space": 0x02,
  "VF memory space, prefetchable": 0x03,
  "VF memory space, non-prefetchable": 0x04,
  "allocation behind bridge, non-prefetchable memory": 0x05,
  "allocation behind bridge, prefetchable memory": 0x06,
  "allocation behind bridge, I/O space": 0x07,
  "memory space resource unavailable for use": 0xfd,
  "I/O space resource unavailable for use": 0xfe,
  "entry unavailable for use": 0xff,
} as const;

const header = {
  ...standardHead,
  entries: r8(0x02, { count: ro(5, 0, "NumEntries") }),
} as const;

const entry = (at: number, index: number) =>
  r32(
    at,
    {
      /** In units of 4 bytes, without this register. */
      size: ro(2, 0, "EntrySize"),
      equivalent: ro(
        7,
        4,
        {
          "BAR 0": 0,
          "BAR 1": 1,
          "BAR 2": 2,
          "BAR 3": 3,
          "BAR 4": 4,
          "BAR 5": 5,
          "resource behind function": 6,
          "not indicated": 7,
          "expansion ROM": 8,
          "VF-BAR 0": 9,
          "VF-BAR 1": 10,
          "VF-BAR 2": 11,
          "VF-BAR 3": 12,
          "VF-BAR 4": 13,
          "VF-BAR 5": 14,
        },
        "BAR Equivalent Indicator",
      ),
      primaryProperties: hwinit(15, 8, properties, "PrimaryProperties"),
      secondaryProperties: hwinit(23, 16, properties, "SecondaryProperties"),
      writable: hwinit(30, "Writable"),
      enable: rw(31, "Enable"),
    },
    `Entry ${index}`,
  );
const half = (at: number, label: string) =>
  r32(at, { wide: hwinit(1, "64bit"), address: hex(scaled(rw(31, 2, "31:2"), 4)) }, label);

/**
 * Enhanced Allocation, PCI Express Base Specification 7.8.5. Its entries differ in size, so each instance has a
 * map of its own, of at most 63 entries that lie whole inside `limit`.
 */
export const enhancedAllocation = standardCapability(
  capabilityId.enhancedAllocation,
  "EA",
  (config, at, limit) => {
    const bridge = (config.getUint8(0x0e) & 0x7f) === 1;
    let size = bridge ? 8 : 4;
    const registers: Record<string, Entry> = { ...header };
    if (bridge) {
      registers["fixedSecondaryBus"] = r8(0x04, "ro", "secondary");
      registers["fixedSubordinateBus"] = r8(0x05, "ro", "subordinate");
    }
    const count = limit >= 4 ? config.getUint8(at + 2) & 0x3f : 0;
    const word = (offset: number): number => config.getUint32(at + offset, true);
    for (let index = 0; index < count && size + 4 <= limit; index++) {
      const end = size + 4 + 4 * (word(size) & 7);
      if (end > limit) break;
      registers[`entry${index}`] = entry(size, index);
      let next = size + 4;
      const take = (name: string, make: (at: number) => Register): void => {
        if (next + 4 <= end) registers[`entry${index}${name}`] = make(next);
        next += 4;
      };
      const wideBase = end >= size + 8 && (word(size + 4) & 2) !== 0;
      const wideLimit = end >= size + 12 && (word(size + 8) & 2) !== 0;
      take("Base", (offset) => half(offset, `Entry ${index} Base`));
      take("MaxOffset", (offset) => half(offset, `Entry ${index} MaxOffset`));
      if (wideBase) take("BaseUpper", (offset) => hex(r32(offset, "rw")));
      if (wideLimit) take("MaxOffsetUpper", (offset) => hex(r32(offset, "rw")));
      const whole = (name: string, upper: boolean, label: string, plus?: number): void => {
        const own = `entry${index}${name}`;
        if (!registers[own] || (upper && !registers[`${own}Upper`])) return;
        const parts = [...(upper ? [`${own}Upper`] : []), `${own}.address`];
        registers[`${own}Whole`] = joinedBig(parts, {
          by: 4,
          plus,
          hex: true,
          label: `Entry ${index} ${label}`,
        });
      };
      whole("Base", wideBase, "begins at");
      // The two bits below the field are ones.
      whole("MaxOffset", wideLimit, "ends at offset", 3);
      size = end;
    }
    return ownMap("EA", size, () => registers);
  },
);
