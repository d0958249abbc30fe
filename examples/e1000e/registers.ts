// The registers of Intel's 82574L Gigabit Ethernet Controller, which Linux's e1000e drives and QEMU models: from its datasheet,
// revision 3.4, chapter 10. All of BAR 0; a driver reads and writes them live, a model answers for them, `show` prints them.
import {
  alias,
  array,
  big,
  bitArray,
  composed,
  hex,
  joinedBig,
  r32,
  r64,
  r8,
  rc,
  rcw1c,
  registerMap,
  reset,
  ro,
  rsvdz,
  rw,
  rw0c,
  rw1c,
  rw1s,
  rwsc,
  scaled,
  volatile,
  wo,
  type Access,
  type Field,
} from "bun-vfio/regs";

/** Causes of interrupts, in the same bits of ICR, ICS, IMS and IMC: 10.2.4. */
const causes = <A extends Access>(bit: (bit: number) => Field<A, boolean>) => ({
  transmitDone: bit(0),
  transmitQueueEmpty: bit(1),
  linkChange: bit(2),
  receiveMinimum: bit(4),
  receiveOverrun: bit(6),
  receiveTimer: bit(7),
  mdioDone: bit(9),
  receiveQueue0: bit(20),
  receiveQueue1: bit(21),
  transmitQueue0: bit(22),
  transmitQueue1: bit(23),
  other: bit(24),
});
const speeds = ["10Mb/s", "100Mb/s", "1000Mb/s", "1000Mb/s (11)"] as const;
const queues = 2;
const queueStride = 0x100;

/** One descriptor ring: `base` is where its five registers begin, 10.2.5 and 10.2.6. */
const ring = (base: number) => ({
  baseLow: r32(base, { address: hex(scaled(rw(31, 4), 16)) }),
  baseHigh: hex(r32(base + 4, "rw")),
  /** In bytes, a multiple of 128. */
  length: r32(base + 8, { bytes: scaled(rw(19, 7), 128) }),
  head: r32(base + 0x10, { index: rw(15, 0) }),
  tail: r32(base + 0x18, { index: rw(15, 0) }),
});
/** Counts that a read clears, one after the other. */
const counters = (count: number, at: number) => array(count, 4, r32(at, "rc"));
/** 64 bits in two registers: a read of the upper half clears both, so they are read low first. */
const octets = (at: number) => r64(at, { count: big(rc(63, 0)) });

/** All registers of BAR 0. */
export const e1000eRegisters = registerMap("82574L", 0x2_0000, {
  /** Device Control, 10.2.2.1. */
  control: r32(0x0000, {
    fullDuplex: reset(true, rw(0)),
    /** A 1 stops new requests of the device's as bus master. */
    masterDisable: rw(2),
    autoSpeedDetect: rw(5),
    /** Without it the physical layer is ignored. */
    setLinkUp: rw(6),
    speed: reset("1000Mb/s", rw(9, 8, speeds)),
    forceSpeed: rw(11),
    forceDuplex: rw(12),
    d3ColdWakeUp: rw(20),
    /** Starts a reset of all but the physical layer, and goes back to 0 by itself. */
    reset: rwsc(26),
    receiveFlowControl: rw(27),
    transmitFlowControl: rw(28),
    vlanMode: rw(30),
    phyReset: rw(31),
  }),
  /** Another place of the same register, 10.2.2.1. */
  controlAgain: alias("control", r32(0x0004, { reset: rwsc(26), phyReset: rw(31) })),
  /** Device Status, 10.2.2.2. */
  status: volatile(
    r32(0x0008, {
      fullDuplex: ro(0),
      linkUp: ro(1),
      transmitPaused: ro(4),
      speed: ro(7, 6, speeds),
      autoSpeedDetected: ro(9, 8, speeds),
      /** 0 to clear: the physical layer was reset. */
      phyResetAsserted: rw0c(10),
      masterEnable: ro(19),
    }),
  ),
  /** EEPROM Control, 10.2.2.3: the wires of the chip, one bit each. */
  eepromControl: r32(0x0010, {
    clock: rw(0),
    chipSelect: rw(1),
    dataIn: rw(2),
    dataOut: ro(3),
    request: rw(6),
    grant: volatile(ro(7)),
    present: ro(8),
    autoReadDone: volatile(ro(9)),
  }),
  /** EEPROM Read, 10.2.2.4. */
  eepromRead: volatile(r32(0x0014, { start: wo(0), done: ro(1), address: rw(15, 2), data: hex(ro(31, 16)) })),
  /** Extended Device Control, 10.2.2.5. */
  extendedControl: r32(0x0018, {
    autoSpeedBypass: rw(15),
    linkMode: rw(23, 22, { copper: 0, reserved1: 1, reserved2: 2, SerDes: 3 }),
    clearTimersOnRead: rw(27),
    driverLoaded: rw(28),
    pbaClear: rw(31),
  }),
  /** MDI Control, 10.2.2.7: one register of the physical layer, read or written. */
  mdi: volatile(
    r32(0x0020, {
      data: hex(rw(15, 0)),
      register: rw(20, 16),
      phy: rw(25, 21),
      operation: rw(27, 26, { write: 1, read: 2 }),
      ready: rw(28),
      interruptEnable: rw(29),
      error: rw1c(30),
      // Reserved: software writes 0.
      top: rsvdz(31),
    }),
  ),
  flowControlAddressLow: reset(0x00c2_8001, hex(r32(0x0028, "rw"))),
  flowControlAddressHigh: reset(0x0100, hex(r32(0x002c, "rw"))),
  flowControlType: reset(0x8808, hex(r32(0x0030, "rw"))),
  flowControlAddress: joinedBig(["flowControlAddressHigh", "flowControlAddressLow"], { hex: true }),
  vlanEtherType: reset(0x8100, hex(r32(0x0038, "rw"))),
  /** Interrupt Cause: a read clears it, and so does writing 1, 10.2.4.1. */
  interruptCause: r32(0x00c0, { ...causes(rcw1c), asserted: rcw1c(31) }),
  /** The least time between two interrupts, in units of 256 ns, 10.2.4.2. */
  throttle: r32(0x00c4, { interval: scaled(rw(15, 0), 256, { unit: "ns" }) }),
  /** Interrupt Cause Set: as if it had happened. */
  interruptSet: r32(0x00c8, causes(wo)),
  /** Interrupt Mask Set and Read: writing 1 sets. */
  interruptMask: r32(0x00d0, causes(rw1s)),
  /** Interrupt Mask Clear: writing 1 clears the bit of the mask. */
  interruptMaskClear: r32(0x00d8, causes(wo)),
  interruptAutoClear: r32(0x00dc, { queues: rw(24, 20) }),
  /** Which vector each cause has, and whether it has one: 10.2.4.9. */
  vectors: r32(0x00e4, {
    receive0: rw(2, 0),
    receive0Valid: rw(3),
    receive1: rw(6, 4),
    receive1Valid: rw(7),
    transmit0: rw(10, 8),
    transmit0Valid: rw(11),
    transmit1: rw(14, 12),
    transmit1Valid: rw(15),
    other: rw(18, 16),
    otherValid: rw(19),
    everyWriteBack: rw(31),
  }),
  vectorThrottles: array(5, 4, r32(0x00e8, { interval: scaled(rw(15, 0), 256, { unit: "ns" }) })),
  /** Receive Control, 10.2.5.1. */
  receiveControl: r32(0x0100, {
    enable: rw(1),
    storeBadPackets: rw(2),
    unicastPromiscuous: rw(3),
    multicastPromiscuous: rw(4),
    longPackets: rw(5),
    loopback: rw(7, 6, { none: 0, MAC: 1 }),
    multicastOffset: rw(13, 12, ["47:36", "46:35", "45:34", "43:32"]),
    broadcast: rw(15),
    bufferSize: rw(17, 16, ["2048", "1024", "512", "256"]),
    vlanFilter: rw(18),
    passMacControl: rw(23),
    bufferSizeTimes16: rw(25),
    stripCrc: rw(26),
  }),
  /** In bytes; undefined for the size that 16 times has no meaning for. */
  receiveBufferBytes: composed(
    ["receiveControl.bufferSize", "receiveControl.bufferSizeTimes16"],
    (size = 0, times16 = 0) => (times16 === 0 ? 2048 >> size : size === 0 ? undefined : (2048 >> size) * 16),
  ),
  /** Transmit Control, 10.2.6.1. */
  transmitControl: r32(0x0400, {
    enable: rw(1),
    padShortPackets: reset(true, rw(3)),
    collisionThreshold: rw(11, 4),
    backOff: rw(21, 12),
    retransmitOnLateCollision: rw(24),
  }),
  interpacketGap: r32(0x0410, { back: rw(9, 0), part1: rw(19, 10), part2: rw(29, 20) }),
  ledControl: reset(0x0706_8302, hex(r32(0x0e00, "rw"))),
  /** Two rings, 10.2.5.3 and on; at 0x0110 the first has its place of the 82542. */
  receiveRings: array(queues, queueStride, ring(0x2800)),
  receiveDelays: array(
    queues,
    queueStride,
    r32(0x2820, { delay: scaled(rw(15, 0), 1024, { unit: "ns" }), flush: wo(31) }),
  ),
  receiveThresholds: array(
    queues,
    queueStride,
    r32(0x2828, { prefetch: rw(5, 0), host: rw(13, 8), writeBack: rw(21, 16), descriptors: rw(24) }),
  ),
  transmitRings: array(queues, queueStride, ring(0x3800)),
  transmitArbitration: array(
    queues,
    queueStride,
    r32(0x3840, { count: rw(6, 0), enable: reset(true, rw(10)) }),
  ),
  /** Statistics, 10.2.7: a read clears each. */
  crcErrors: r32(0x4000, "rc"),
  alignmentErrors: r32(0x4004, "rc"),
  receiveErrors: r32(0x400c, "rc"),
  missedPackets: r32(0x4010, "rc"),
  collisions: counters(3, 0x4014),
  packetsReceivedBySize: counters(6, 0x405c),
  goodOctetsReceived: octets(0x4088),
  goodOctetsTransmitted: octets(0x4090),
  packetsTransmittedBySize: counters(6, 0x40d8),
  receiveChecksum: r32(0x5000, { start: rw(7, 0), ip: rw(8), tcpUdp: rw(9), packetChecksumDisable: rw(13) }),
  /** A hash's bit lets a multicast address in. */
  multicastFilter: bitArray(0x5200, 4096, "rw"),
  receiveAddresses: array(16, 8, {
    low: hex(r32(0x5400, "rw")),
    high: r32(0x5404, { part: hex(rw(15, 0)), select: rw(17, 16), valid: rw(31) }),
  }),
  vlanFilter: bitArray(0x5600, 4096, "rw"),
  /** Wake-up status: bits of its own are cleared by writing 1, 10.2.11. */
  wakeUpStatus: volatile(r32(0x5810, { linkChange: rw1c(0), magicPacket: rw1c(1), unicast: rw1c(2) })),
  receiveQueues: r32(0x5818, { mode: rw(1, 0, { none: 0, RSS: 1 }), hashes: rw(20, 16) }),
  /** Which queue a hash goes to: a byte each. */
  redirection: array(128, 1, r8(0x5c00, { queue: rw(7) })),
  hashKey: array(40, 1, r8(0x5c80, "wo")),
  /** Whether firmware or software holds the physical layer: 0 to take it by reading it 0. */
  softwareSemaphore: r32(0x5b50, { held: rw(0), firmware: rw(1), driver: rw(2) }),
  firmwareSemaphore: volatile(r32(0x5b54, { mode: ro(3, 1), valid: ro(15) })),
});
