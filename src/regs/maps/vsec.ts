import { extendedCapability, extendedHead, mapPerCount } from "../capability.ts";
import { hex, ro } from "../field.ts";
import { ownMap } from "../map.ts";
import { r32 } from "../register.ts";
import { extendedCapabilityId } from "./ids.ts";

const headSize = 8;

const registers = {
  ...extendedHead,
  vendorHeader: r32(0x04, {
    vsecId: hex(ro(15, 0, "ID")),
    revision: ro(19, 16, "Rev"),
    /** In bytes, with both headers. */
    length: hex(ro(31, 20, "Len")),
  }),
} as const;
/** What every VSEC begins with. */
export const vsecHead = ownMap("VSEC", headSize, () => registers);

const maps = mapPerCount((size) => ownMap("VSEC", size, () => registers));

/** Vendor-Specific Extended Capability, PCI Express Base Specification 7.9.5. What the vendor put behind its head stays raw. */
export const vsec = extendedCapability(extendedCapabilityId.vendor, "VSEC", (config, at, limit) => {
  const length = limit >= headSize ? config.getUint32(at + 4, true) >>> 20 : headSize;
  return maps(Math.max(headSize, Math.min(length, limit)));
});
