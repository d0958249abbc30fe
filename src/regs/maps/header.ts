import { emulated, hex, hwinit, ro, rw, rw1c, volatile } from "../field.ts";
import { registerMap } from "../map.ts";
import { r16, r32, r8 } from "../register.ts";

/** Of a bus, in the same bits of Status and of a bridge's Secondary Status (PCI Express Base Specification 7.5.1.1.4, 7.5.1.3.7). */
const busStatus = {
  fastBackToBack: ro(7, "FastB2B"),
  masterDataParityError: volatile(rw1c(8, "ParErr")),
  devselTiming: ro(10, 9, ["fast", "medium", "slow", "??"], "DEVSEL"),
  signaledTargetAbort: volatile(rw1c(11, ">TAbort")),
  receivedTargetAbort: volatile(rw1c(12, "<TAbort")),
  receivedMasterAbort: volatile(rw1c(13, "<MAbort")),
} as const;

/** The first 16 bytes, the same in every header layout: PCI Express Base Specification 7.5.1.1. */
const firstRegisters = {
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
  latencyTimer: r8(0x0d, "ro"),
  headerType: r8(0x0e, {
    layout: ro(6, 0, ["endpoint", "bridge", "cardbus"]),
    multiFunction: emulated(ro(7)),
  }),
  bist: r8(0x0f, { completionCode: volatile(ro(3, 0)), start: volatile(rw(6)), capable: hwinit(7) }, "BIST"),
} as const;

/** What types 0 and 1 have in common, PCI Express Base Specification 7.5.1.1. */
export const commonHeader = {
  ...firstRegisters,
  capabilitiesPointer: emulated(hex(r8(0x34, "hwinit"))),
  interruptLine: r8(0x3c, "rw", "Interrupt: line"),
  /** 1 to 4 are INTA to INTD; 0 is none. */
  interruptPin: r8(0x3d, "hwinit", "Interrupt: pin"),
} as const;

const bar = (at: number) => emulated(hex(r32(at, "rw", `BAR${(at - 0x10) / 4}`)));
const rom = (at: number) => emulated(r32(at, { enable: rw(0), address: hex(rw(31, 11)) }, "Expansion ROM"));

/** Type 0 configuration space header, PCI Express Base Specification 7.5.1.2. */
export const endpointHeader = registerMap("type 0 header", 64, {
  ...commonHeader,
  bar0: bar(0x10),
  bar1: bar(0x14),
  bar2: bar(0x18),
  bar3: bar(0x1c),
  bar4: bar(0x20),
  bar5: bar(0x24),
  cardbusCisPointer: hex(r32(0x28, "hwinit")),
  subsystemVendorId: hex(r16(0x2c, "hwinit", "Subsystem: vendor")),
  subsystemId: hex(r16(0x2e, "hwinit", "Subsystem: device")),
  rom: rom(0x30),
  /** In units of 250 ns. */
  minGrant: r8(0x3e, "hwinit"),
  /** In units of 250 ns. */
  maxLatency: r8(0x3f, "hwinit"),
});

// Bits 3:0 of a window say how wide it decodes; the address field holds the bits above them.
const ioWindow = (at: number, label: string) =>
  r8(at, { type: ro(3, 0, ["16-bit", "32-bit"]), address: hex(rw(7, 4)) }, label);
const memoryWindow = (at: number, label: string) =>
  r16(at, { type: ro(3, 0), address: hex(rw(15, 4)) }, label);
const prefetchableWindow = (at: number, label: string) =>
  r16(at, { type: ro(3, 0, ["32-bit", "64-bit"]), address: hex(rw(15, 4)) }, label);

/** Type 1 configuration space header, PCI Express Base Specification 7.5.1.3. */
export const bridgeHeader = registerMap("type 1 header", 64, {
  ...commonHeader,
  bar0: bar(0x10),
  bar1: bar(0x14),
  primaryBus: hex(r8(0x18, "rw", "Bus: primary")),
  secondaryBus: hex(r8(0x19, "rw", "Bus: secondary")),
  subordinateBus: hex(r8(0x1a, "rw", "Bus: subordinate")),
  secondaryLatencyTimer: r8(0x1b, "ro", "Bus: sec-latency"),
  ioBase: ioWindow(0x1c, "I/O base"),
  ioLimit: ioWindow(0x1d, "I/O limit"),
  secondaryStatus: r16(
    0x1e,
    {
      mhz66: ro(5, "66MHz"),
      ...busStatus,
      receivedSystemError: volatile(rw1c(14, "<SERR")),
      detectedParityError: volatile(rw1c(15, "<PERR")),
    },
    "Secondary status",
  ),
  memoryBase: memoryWindow(0x20, "Memory base"),
  memoryLimit: memoryWindow(0x22, "Memory limit"),
  prefetchableBase: prefetchableWindow(0x24, "Prefetchable base"),
  prefetchableLimit: prefetchableWindow(0x26, "Prefetchable limit"),
  prefetchableBaseUpper: hex(r32(0x28, "rw", "Prefetchable base upper")),
  prefetchableLimitUpper: hex(r32(0x2c, "rw", "Prefetchable limit upper")),
  ioBaseUpper: hex(r16(0x30, "rw", "I/O base upper")),
  ioLimitUpper: hex(r16(0x32, "rw", "I/O limit upper")),
  rom: rom(0x38),
  bridgeControl: r16(
    0x3e,
    {
      parityErrorResponse: rw(0, "Parity"),
      serrEnable: rw(1, "SERR"),
      isaEnable: rw(2, "NoISA"),
      vgaEnable: rw(3, "VGA"),
      vga16BitDecode: rw(4, "VGA16"),
      masterAbortMode: ro(5, "MAbort"),
      secondaryBusReset: rw(6, ">Reset"),
      fastBackToBack: ro(7, "FastB2B"),
      primaryDiscardTimer: ro(8, "PriDiscTmr"),
      secondaryDiscardTimer: ro(9, "SecDiscTmr"),
      discardTimerStatus: volatile(rw1c(10, "DiscTmrStat")),
      discardTimerSerrEnable: ro(11, "DiscTmrSERREn"),
    },
    "BridgeCtl",
  ),
});

// A function without a self test has nothing that changes in the register.
const withoutBist = { bist: r8(0x0f, { capable: hwinit(7) }, "BIST") } as const;
/** The header of an endpoint without a self test. */
export const endpointHeaderWithoutBist = registerMap("type 0 header", 64, {
  ...endpointHeader.registers,
  ...withoutBist,
});
/** The header of a bridge without a self test. */
export const bridgeHeaderWithoutBist = registerMap("type 1 header", 64, {
  ...bridgeHeader.registers,
  ...withoutBist,
});

/** Of a header whose layout has no map (CardBus, or a reserved one): the 16 bytes that all layouts share. */
export const unknownHeader = registerMap("unknown header", 16, firstRegisters);
