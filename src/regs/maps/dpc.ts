import { joined } from "../derived.ts";
import type { Access } from "../access.ts";
import { extendedCapability, extendedHead, mapPerCount } from "../capability.ts";
import { hex, ro, ros, rw, rw1cs, rws, volatile, type Field } from "../field.ts";
import { ownMap } from "../map.ts";
import { r16, r32, reset } from "../register.ts";
import { fitting, repeat } from "./repeat.ts";
import { extendedCapabilityId } from "./ids.ts";

const registers = {
  ...extendedHead,
  capability: r16(
    0x04,
    {
      interruptMessage: ro(4, 0, "INT Msg"),
      rootPortExtensions: ro(5, "RPExt"),
      poisonedTlpBlocking: ro(6, "PoisonedTLP"),
      softwareTrigger: ro(7, "SwTrigger"),
      /** Bits 3:0 of the log's size. */
      logSizeLow: ro(11, 8),
      dlActiveError: ro(12, "DL_ActiveErr"),
      /** Bit 4 of the log's size. */
      logSizeHigh: ro(13),
    },
    "DpcCap",
  ),
  /** In DWORDs. */
  logSize: joined(["capability.logSizeHigh", "capability.logSizeLow"], { label: "RP PIO Log" }),
  // `softwareTrigger` reads as zero.
  control: r16(
    0x06,
    {
      triggerEnable: hex(rw(1, 0, "Trigger")),
      completionControl: rw(2, "Cmpl"),
      interruptEnable: rw(3, "INT"),
      errorCorrectableEnable: rw(4, "ErrCor"),
      poisonedTlpBlockingEnable: rw(5, "PoisonedTLP"),
      softwareTrigger: rw(6, "SwTrigger"),
      dlActiveErrorEnable: rw(7, "DL_ActiveErr"),
      sigSfwEnable: rw(8, "SIG_SFW"),
    },
    "DpcCtl",
  ),
  status: volatile(
    r16(
      0x08,
      {
        triggered: rw1cs(0, "Trigger"),
        reason: hex(ros(2, 1, "Reason")),
        interrupt: rw1cs(3, "INT"),
        rootPortBusy: ro(4, "RPBusy"),
        reasonExtension: hex(ros(6, 5, "TriggerExt")),
        firstErrorPointer: hex(ros(12, 8, "RP PIO ErrPtr")),
        sigSfw: rw1cs(13, "SIG_SFW"),
      },
      "DpcSta",
    ),
  ),
  errorSource: volatile(hex(r16(0x0a, "ros", "Source"))),
} as const;
/** Downstream Port Containment without root port extensions, PCI Express Base Specification 7.9.14. */
export const dpcCapability = ownMap("DPC", 12, () => registers);

const errors = <A extends Access>(bit: (bit: number) => Field<A, boolean>) => ({
  configUnsupported: bit(0),
  configAborted: bit(1),
  configTimeout: bit(2),
  ioUnsupported: bit(8),
  ioAborted: bit(9),
  ioTimeout: bit(10),
  memoryUnsupported: bit(16),
  memoryAborted: bit(17),
  memoryTimeout: bit(18),
});
/** The log begins with the header and a word of the implementation's own; what is past them are TLP prefixes. */
const logName = (index: number): string =>
  index < 4 ? `header${index}` : index === 4 ? "implementation" : `prefix${index - 5}`;
const logAt = 0x20;
const withRootPort = mapPerCount((dwords) =>
  ownMap("DPC", logAt + 4 * dwords, () => ({
    ...registers,
    rootPortStatus: volatile(r32(0x0c, errors(rw1cs))),
    rootPortMask: reset(0x0007_0707, r32(0x10, errors(rws))),
    rootPortSeverity: r32(0x14, errors(rws)),
    rootPortSystemError: r32(0x18, errors(rws)),
    rootPortException: r32(0x1c, errors(rws)),
    ...repeat(dwords, (i) => ({ [`${logName(i)}Log`]: volatile(hex(r32(logAt + 4 * i, "ros"))) })),
  })),
);

/** Downstream Port Containment; a root port logs up to 31 DWORDs of a failed programmed I/O. */
export const dpc = extendedCapability(extendedCapabilityId.dpc, "DPC", (config, at, limit) => {
  const capability = limit >= 6 ? config.getUint16(at + 4, true) : 0;
  if (!(capability & 0x20)) return dpcCapability;
  const dwords = ((capability >>> 8) & 0xf) | ((capability >>> 9) & 0x10);
  return withRootPort(fitting(dwords, limit, logAt, 4));
});
