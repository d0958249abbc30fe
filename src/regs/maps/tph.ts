import { extendedCapability, extendedHead, mapPerCount } from "../capability.ts";
import { hex, ro, rw, scaled } from "../field.ts";
import { ownMap } from "../map.ts";
import { r16, r32 } from "../register.ts";
import { fitting, repeat } from "./repeat.ts";
import { extendedCapabilityId } from "./ids.ts";

/** TPH Requester without a steering tag table of its own, PCI Express Base Specification 7.9.13. */
export const tphRegisters = {
  ...extendedHead,
  capability: r32(0x04, {
    noSteeringTagMode: ro(0),
    interruptVectorMode: ro(1),
    deviceSpecificMode: ro(2),
    extendedRequester: ro(8),
    tableLocation: ro(10, 9, ["none", "capability", "MSI-X table"]),
    /** In entries. */
    tableSize: scaled(ro(26, 16), 1, { plus: 1 }),
  }),
  control: r32(0x08, {
    mode: rw(2, 0, ["no steering tag", "interrupt vector", "device specific"]),
    requesterEnable: rw(9, 8, { disabled: 0, TPH: 1, "TPH and extended TPH": 3 }),
  }),
} as const;
/** TLP Processing Hints without a table of steering tags in the capability. */
export const tphCapability = ownMap("TPH", 12, () => tphRegisters);

const tableAt = 12;
/** A table in the capability has 64 entries at most. */
const maxEntries = 64;
const maps = mapPerCount((count) =>
  count === 0
    ? tphCapability
    : ownMap("TPH", tableAt + 2 * count, () => ({
        ...tphRegisters,
        ...repeat(count, (i) => ({ [`steeringTag${i}`]: hex(r16(tableAt + 2 * i, "rw")) })),
      })),
);

export const tph = extendedCapability(extendedCapabilityId.tph, "TPH", (config, at, limit) => {
  const capability = limit >= 8 ? config.getUint32(at + 4, true) : 0;
  const entries = ((capability >>> 9) & 3) === 1 ? ((capability >>> 16) & 0x7ff) + 1 : 0;
  return maps(fitting(Math.min(entries, maxEntries), limit, tableAt, 2));
});
