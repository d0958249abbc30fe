/**
 * Recorded devices: read, write, import, export.
 * @module bun-vfio/image
 */
export * from "./defaults.ts";
export * from "./error.ts";
export * from "./image.ts";
export * from "./lines.ts";
export * from "./lspci-export.ts";
export * from "./lspci-text.ts";
export * from "./raw.ts";
export * from "./read.ts";
export * from "./redact.ts";
export * from "./trace.ts";
export * from "./write.ts";
export { absentIrq, irqLimit, irqName } from "../regs/vfio/irqs.ts";
export { maxIndex, regionName } from "../regs/vfio/regions.ts";
