// What the layouts of the configuration space header share.
import { composed } from "../derived.ts";
import { emulated, hex, hwinit, ro, rw, rw1c, scaled, volatile } from "../field.ts";
import { r16, r32, r8 } from "../register.ts";

/** Of a bus, in the same bits of Status and of a bridge's Secondary Status (PCI Express Base Specification 7.5.1.1.4, 7.5.1.3.7). */
export const busStatus = {
  fastBackToBack: ro(7, "FastB2B"),
  masterDataParityError: volatile(rw1c(8, "ParErr")),
  devselTiming: ro(10, 9, ["fast", "medium", "slow", "??"], "DEVSEL"),
  signaledTargetAbort: volatile(rw1c(11, ">TAbort")),
  receivedTargetAbort: volatile(rw1c(12, "<TAbort")),
  receivedMasterAbort: volatile(rw1c(13, "<MAbort")),
} as const;

/** The first 16 bytes, the same in every header layout: PCI Express Base Specification 7.5.1.1. */
export const firstRegisters = {
  vendorId: hex(r16(0x00, "hwinit")),
  deviceId: hex(r16(0x02, "hwinit")),
  // Bits 3, 4, 5, 7 and 9 were writable in conventional PCI; PCI Express hardwires them to 0.
  command: r16(
    0x04,
    {
      ioSpace: rw(0, "I/O"),
      memorySpace: rw(1, "Mem"),
      busMaster: rw(2, "BusMaster"),
      specialCycle: ro(3, "SpecCycle"),
      memoryWriteInvalidate: ro(4, "MemWINV"),
      vgaSnoop: ro(5, "VGASnoop"),
      parityErrorResponse: rw(6, "ParErr"),
      stepping: ro(7, "Stepping"),
      serrEnable: rw(8, "SERR"),
      fastBackToBack: ro(9, "FastB2B"),
      interruptDisable: rw(10, "DisINTx"),
    },
    "Control",
  ),
  status: r16(
    0x06,
    {
      immediateReadiness: ro(0, "ImmReady"),
      interruptStatus: volatile(ro(3, "INTx")),
      capabilityList: ro(4, "Cap"),
      mhz66: ro(5, "66MHz"),
      userDefinable: ro(6, "UDF"),
      ...busStatus,
      signaledSystemError: volatile(rw1c(14, ">SERR")),
      detectedParityError: volatile(rw1c(15, "<PERR")),
    },
    "Status",
  ),
  revisionId: hex(r8(0x08, "hwinit")),
  programmingInterface: hex(r8(0x09, "hwinit")),
  subclass: hex(r8(0x0a, "hwinit")),
  baseClass: hex(r8(0x0b, "hwinit")),
  /** In units of 4 bytes. */
  cacheLineSize: r8(0x0c, "rw"),
  /** In bytes; undefined where none is set. */
  cacheLine: composed(["cacheLineSize"], (size) => (size === 0 ? undefined : 4 * size!), {
    label: "Cache Line Size",
    unit: " bytes",
  }),
  latencyTimer: r8(0x0d, "ro"),
  headerType: r8(0x0e, {
    layout: ro(6, 0, ["endpoint", "bridge", "cardbus"]),
    multiFunction: emulated(ro(7)),
  }),
  bist: r8(0x0f, { completionCode: volatile(ro(3, 0)), start: volatile(rw(6)), capable: hwinit(7) }, "BIST"),
} as const;

/**
 * What a function of conventional PCI lets software write besides: PCI Local Bus Specification 3.0, 6.2.2 and 6.2.4. PCI Express
 * hardwires all of it to 0.
 */
export const conventionalRegisters = {
  command: r16(
    0x04,
    {
      ...firstRegisters.command.fields,
      specialCycle: rw(3, "SpecCycle"),
      memoryWriteInvalidate: rw(4, "MemWINV"),
      vgaSnoop: rw(5, "VGASnoop"),
      stepping: rw(7, "Stepping"),
      fastBackToBack: rw(9, "FastB2B"),
    },
    "Control",
  ),
  /** In clocks of the bus. */
  latencyTimer: r8(0x0d, "rw"),
} as const;

// A function without a self test has nothing that changes in the register.
export const withoutBist = { bist: r8(0x0f, { capable: hwinit(7) }, "BIST") } as const;

/** What types 0 and 1 have in common, PCI Express Base Specification 7.5.1.1. */
export const commonHeader = {
  ...firstRegisters,
  capabilitiesPointer: emulated(hex(r8(0x34, "hwinit"))),
  interruptLine: r8(0x3c, "rw", "Interrupt: line"),
  /** 1 to 4 are INTA to INTD; 0 is none. */
  interruptPin: r8(0x3d, "hwinit", "Interrupt: pin"),
} as const;

export const bar = (at: number) => emulated(hex(r32(at, "rw", `BAR${(at - 0x10) / 4}`)));
export const rom = (at: number) =>
  emulated(r32(at, { enable: rw(0), address: hex(scaled(rw(31, 11), 0x800)) }, "Expansion ROM"));
