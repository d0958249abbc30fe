import { extendedCapability, extendedHead, mapPerCount } from "../capability.ts";
import { hex, ro, rw, scaled } from "../field.ts";
import { ownMap } from "../map.ts";
import { r16, r32 } from "../register.ts";
import { fitting, repeat } from "./repeat.ts";
import { extendedCapabilityId } from "./ids.ts";

/** Access Control Services without its egress vector, PCI Express Base Specification 7.7.11. */
export const acsRegisters = {
  ...extendedHead,
  capability: r16(
    0x04,
    {
      sourceValidation: ro(0, "SrcValid"),
      translationBlocking: ro(1, "TransBlk"),
      requestRedirect: ro(2, "ReqRedir"),
      completionRedirect: ro(3, "CmpltRedir"),
      upstreamForwarding: ro(4, "UpstreamFwd"),
      egressControl: ro(5, "EgressCtrl"),
      directTranslated: ro(6, "DirectTrans"),
      enhanced: ro(7),
      /** In bits. */
      egressVectorSize: scaled(ro(15, 8), 1, { zero: 256 }),
    },
    "ACSCap",
  ),
  control: r16(
    0x06,
    {
      sourceValidation: rw(0, "SrcValid"),
      translationBlocking: rw(1, "TransBlk"),
      requestRedirect: rw(2, "ReqRedir"),
      completionRedirect: rw(3, "CmpltRedir"),
      upstreamForwarding: rw(4, "UpstreamFwd"),
      egressControl: rw(5, "EgressCtrl"),
      directTranslated: rw(6, "DirectTrans"),
      ioRequestBlocking: rw(7),
      downstreamMemoryTarget: rw(9, 8),
      upstreamMemoryTarget: rw(11, 10),
      unclaimedRequestRedirect: rw(12),
    },
    "ACSCtl",
  ),
} as const;
/** Access Control Services without an egress control vector. */
export const acsCapability = ownMap("ACS", 8, () => acsRegisters);

const maps = mapPerCount((dwords) =>
  dwords === 0
    ? acsCapability
    : ownMap("ACS", 8 + 4 * dwords, () => ({
        ...acsRegisters,
        ...repeat(dwords, (i) => ({ [`egressVector${i}`]: hex(r32(8 + 4 * i, "rw")) })),
      })),
);

/** Access Control Services; its egress vector has up to 256 bits, where the function has egress control at all. */
export const acs = extendedCapability(extendedCapabilityId.acs, "ACS", (config, at, limit) => {
  const capability = limit >= 8 ? config.getUint16(at + 4, true) : 0;
  const bits = capability & 0x20 ? capability >>> 8 || 256 : 0;
  return maps(fitting(Math.ceil(bits / 32), limit, 8, 4));
});
