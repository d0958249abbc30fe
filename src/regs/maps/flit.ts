// What Flit Mode has of its own: its error log, and errors injected on purpose.
import type { Access } from "../access.ts";
import { extendedCapability, extendedHead } from "../capability.ts";
import { hex, ro, ros, rw, rw1cs, rwsc, volatile, type Field } from "../field.ts";
import { ownMap } from "../map.ts";
import { r16, r32 } from "../register.ts";
import { linkWidth } from "./device3.ts";
import { extendedCapabilityId } from "./ids.ts";
import { repeat } from "./repeat.ts";

const errorsAt = 0x1c;

/** Flit Logging, PCI Express Base Specification 6.0, 7.7.8. */
export const flitLoggingCapability = ownMap("FlitLogging", 0x3c, () => ({
  ...extendedHead,
  errorLog1: volatile(
    r32(
      0x04,
      {
        valid: rw1cs(0, "Valid"),
        linkWidth: ros(3, 1, linkWidth, "Link Width"),
        offset: ros(7, 4),
        consecutiveErrors: ros(12, 8),
        moreEntries: ros(13, "More entries"),
        unrecognized: ros(14, "Unrecognized flit"),
        uncorrectable: ros(15, "FEC uncorrectable"),
        parityGroup0: hex(ros(23, 16, "SyndParityGrp0")),
        checkGroup0: hex(ros(31, 24, "SyndCheckGrp0")),
      },
      "Log1",
    ),
  ),
  errorLog2: volatile(
    r32(
      0x08,
      {
        parityGroup1: hex(ros(7, 0, "SyndParityGrp1")),
        checkGroup1: hex(ros(15, 8, "SyndCheckGrp1")),
        parityGroup2: hex(ros(23, 16, "SyndParityGrp2")),
        checkGroup2: hex(ros(31, 24, "SyndCheckGrp2")),
      },
      "Log2",
    ),
  ),
  counterControl: r16(
    0x0c,
    {
      enable: rw(0, "Flit Error Counter En"),
      interruptEnable: rw(1, "Flit Error Counter Interrupt En"),
      events: rw(3, 2, "Events to count"),
      trigger: hex(rw(11, 4, "Trigger Event on Error Count")),
    },
    "CntCtl",
  ),
  counterStatus: volatile(
    r16(
      0x0e,
      {
        linkWidth: ro(2, 0, linkWidth, "Link Width when Error Counter Started"),
        interrupt: rw1cs(3, "Interrupt Generated based on Trigger Event Count"),
        errors: ro(15, 8, "FlitErr"),
      },
      "CntSts",
    ),
  ),
  measurementControl: r32(
    0x10,
    {
      enable: rw(0, "En"),
      clear: rwsc(1),
      granularity: rw(3, 2, ["all", "even", "odd", "mismatch"], "Granularity"),
    },
    "MeasCtl",
  ),
  measuredFlits: volatile(r32(0x14, "ro", "MeasSts1: Flit Counter")),
  measuredInvalid: volatile(r32(0x18, { flits: ro(15, 0, "Invalid Flit Counter") }, "MeasSts2")),
  ...repeat(8, (i) => ({
    [`laneErrors${2 * i}`]: volatile(
      r32(
        errorsAt + 4 * i,
        { even: ro(15, 0, `Lane${2 * i}`), odd: ro(31, 16, `Lane${2 * i + 1}`) },
        `MeasSts${i + 3}`,
      ),
    ),
  })),
}));
export const flitLogging = extendedCapability(
  extendedCapabilityId.flitLogging,
  "FlitLogging",
  flitLoggingCapability,
);

const progress = ["not started", "started", "completed", "error"] as const;
type Bits<A extends Access> = (
  hi: number,
  lo: number,
  values: typeof progress,
  label: string,
) => Field<A, string>;
/** How far the injection into each kind of ordered set, and in each state of the link, has come. */
const injected = <A extends Access>(bits: Bits<A>) => ({
  ts0: bits(1, 0, progress, "TS0"),
  ts1: bits(3, 2, progress, "TS1"),
  ts2: bits(5, 4, progress, "TS2"),
  skp: bits(7, 6, progress, "SKP"),
  eieos: bits(9, 8, progress, "EIEOS"),
  eios: bits(11, 10, progress, "EIOS"),
  sds: bits(13, 12, progress, "SDS"),
  polling: bits(15, 14, progress, "Polling"),
  configuration: bits(17, 16, progress, "Configuration"),
  l0: bits(19, 18, progress, "L0"),
  recovery: bits(21, 20, progress, "non-EQ recovery"),
  equalization01: bits(23, 22, progress, "Eq01"),
  equalization2: bits(25, 24, progress, "Eq2"),
  equalization3: bits(27, 26, progress, "Eq3"),
});

/** Flit Error Injection, PCI Express Base Specification 6.0, 7.8.13. */
export const flitErrorInjectionCapability = ownMap("FlitErrorInjection", 0x24, () => ({
  ...extendedHead,
  control1: r32(
    0x08,
    {
      enable: rw(0, "En"),
      transmitted: rw(1, "Tx"),
      received: rw(2, "Rx"),
      rate2_5: rw(6, "2.5GT/s"),
      rate5: rw(7, "5.0GT/s"),
      rate8: rw(8, "8.0GT/s"),
      rate16: rw(9, "16.0GT/s"),
      rate32: rw(10, "32.0GT/s"),
      rate64: rw(11, "64.0GT/s"),
      errors: rw(20, 16, "Number of errors"),
      spacing: rw(28, 21, "Spacing between errors"),
      flitType: rw(
        31,
        29,
        [
          "any",
          "any non-IDLE",
          "only payload",
          "only NOP",
          "only IDLE",
          "only payload+seq",
          "only payload+1seq",
        ],
        "Flit Type",
      ),
    },
    "FlitEiCtl1",
  ),
  control2: r32(
    0x0c,
    {
      consecutive: rw(
        2,
        0,
        { none: 0, "1": 1, "2": 2, "3": 3, "4": 4, "5": 5, "6": 6, "pseudo-random": 7 },
        "Consecutive",
      ),
      type: rw(
        4,
        3,
        ["random", "correctable single group", "correctable three groups", "uncorrectable"],
        "Type",
      ),
      offset: rw(11, 5, "Offset"),
      magnitude: rw(19, 12, "Magnitude"),
    },
    "FlitEiCtl2",
  ),
  status: volatile(
    r32(0x10, { transmitted: ro(1, 0, progress, "Tx"), received: ro(3, 2, progress, "Rx") }, "FlitEiSts"),
  ),
  orderedSetControl1: r32(
    0x14,
    {
      enable: rw(0, "En"),
      transmitted: rw(1, "Tx"),
      received: rw(2, "Rx"),
      errors: rw(7, 3),
      spacing: rw(15, 8),
      ts0: rw(16, "TS0"),
      ts1: rw(17, "TS1"),
      ts2: rw(18, "TS2"),
      skp: rw(19, "SKP"),
      eieos: rw(20, "EIEOS"),
      eios: rw(21, "EIOS"),
      sds: rw(22, "SDS"),
      polling: rw(23, "Poll"),
      configuration: rw(24, "Conf"),
      l0: rw(25, "L0"),
      recovery: rw(26, "NoEq"),
      equalization01: rw(27, "Eq01"),
      equalization2: rw(28, "Eq2"),
      equalization3: rw(29, "Eq3"),
    },
    "FlitEiOsCtl1",
  ),
  orderedSetControl2: r32(
    0x18,
    { bytes: hex(rw(15, 0, "Bytes")), lanes: hex(rw(31, 16, "Lanes")) },
    "FlitEiOsCtl2",
  ),
  orderedSetTransmitted: volatile(r32(0x1c, injected(ro), "FlitEiOsTx")),
  orderedSetReceived: volatile(r32(0x20, injected(ro), "FlitEiOsRx")),
}));
export const flitErrorInjection = extendedCapability(
  extendedCapabilityId.flitErrorInjection,
  "FlitErrorInjection",
  flitErrorInjectionCapability,
);
