// Flags of regions and interrupt indexes as words, in the image file's order.
import type { IrqInfo } from "../regs/vfio/irqs.ts";
import type { RegionInfo } from "../regs/vfio/regions.ts";

/** Flags of a region. */
export const regionWords = (region: RegionInfo): string[] => [
  ...(region.readable ? ["read"] : []),
  ...(region.writable ? ["write"] : []),
  ...(region.mappable ? ["mmap"] : []),
];

/** Flags of an interrupt index. */
export const irqWords = (irq: IrqInfo): string[] => [
  ...(irq.eventfd ? ["eventfd"] : []),
  ...(irq.maskable ? ["maskable"] : []),
  ...(irq.automasked ? ["automasked"] : []),
  ...(irq.noResize ? ["noresize"] : []),
];
