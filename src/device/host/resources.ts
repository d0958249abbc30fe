/** A BAR or the ROM as a line of sysfs's `resource` gives it. */
export interface PciResource {
  /** 0 to 5: BARs; 6: ROM. */
  readonly index: number;
  /** Host physical address, or I/O port. */
  readonly start: number;
  /** In bytes. */
  readonly size: number;
  /** What it decodes. */
  readonly kind: "memory" | "io";
  /** As the device says. */
  readonly prefetchable: boolean;
  /** Whether it takes two registers. */
  readonly wide: boolean;
}

const row = /^0x([0-9a-f]{16}) 0x([0-9a-f]{16}) 0x([0-9a-f]{16})$/i;
/** Bits of a resource's flags (linux/ioport.h). */
const flag = { io: 0x100n, memory: 0x200n, prefetch: 0x2000n, memory64: 0x100000n } as const;
const barsAndRom = 7;

/**
 * The text of a `resource` file: `START END FLAGS` a line. Lines behind the ROM are of SR-IOV and of bridges.
 * @returns those that have a size; undefined for anything else
 */
export function parseResources(text: string): PciResource[] | undefined {
  const resources: PciResource[] = [];
  for (const [index, line] of text.split("\n").slice(0, barsAndRom).entries()) {
    const parts = row
      .exec(line)
      ?.slice(1)
      .map((digits) => BigInt(`0x${digits}`));
    if (!parts) return undefined;
    const [start, end, flags] = parts as [bigint, bigint, bigint];
    if (start === 0n && end === 0n) continue;
    if (end < start || end >= 2n ** 53n) return undefined;
    resources.push({
      index,
      start: Number(start),
      size: Number(end - start) + 1,
      kind: (flags & flag.io) === 0n ? "memory" : "io",
      prefetchable: (flags & flag.prefetch) !== 0n,
      wide: (flags & flag.memory64) !== 0n,
    });
  }
  return resources;
}
