import { extendedCapability, extendedHead, mapPerCount } from "../capability.ts";
import { hex, ro } from "../field.ts";
import { ownMap, type RegisterBlock } from "../map.ts";
import type { Entries } from "../entries.ts";
import { r16, r32 } from "../register.ts";
import { cxlBodies, cxlRegisterLocator, cxlVendorId } from "./cxl.ts";
import { extendedCapabilityId } from "./ids.ts";

const headSize = 10;

/** The head of a Designated Vendor-Specific Extended Capability, PCI Express Base Specification 7.9.6. */
export const dvsecRegisters = {
  ...extendedHead,
  header1: r32(0x04, {
    vendorId: hex(ro(15, 0, "Vendor")),
    revision: ro(19, 16, "Rev"),
    /** In bytes, with the headers. */
    length: ro(31, 20, "Len"),
  }),
  dvsecId: hex(r16(0x08, "ro", "ID")),
} as const;

const body = (what: Entries) =>
  mapPerCount((size) => ownMap("DVSEC", size, () => ({ ...dvsecRegisters, ...what })));
const raw = body({});
/** What every DVSEC begins with. */
export const dvsecHead = ownMap("DVSEC", headSize, () => dvsecRegisters);
const known = new Map(
  cxlBodies.map(({ id, revision, size, registers }) => [`${id} ${revision}`, { size, map: body(registers) }]),
);

/** Of a vendor that is not described here the body stays raw; those of Compute Express Link are described. */
export const dvsec = extendedCapability(
  extendedCapabilityId.dvsec,
  "DVSEC",
  (config, at, limit): RegisterBlock => {
    if (limit < headSize) return raw(headSize);
    const header = config.getUint32(at + 4, true);
    const size = Math.max(headSize, Math.min(header >>> 20, limit));
    if ((header & 0xffff) !== cxlVendorId) return raw(size);
    const id = config.getUint16(at + 8, true);
    const revision = (header >>> 16) & 0xf;
    if (id === cxlRegisterLocator.id) return locator(size);
    // A later revision keeps what the earlier ones had.
    for (let r = revision; r >= 0; r--) {
      const body = known.get(`${id} ${r}`);
      if (body && size >= body.size) return body.map(size);
    }
    return raw(size);
  },
);

const locator = mapPerCount((size) =>
  ownMap("DVSEC", size, () => ({ ...dvsecRegisters, ...cxlRegisterLocator.registers(size) })),
);
