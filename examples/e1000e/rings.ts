// Receive and transmit: 10.2.5 and 10.2.6. Many registers are also where the first device of the family, the 82542, had them.
import { alias, array, composed, hex, r32, reset, rw, scaled, wo } from "bun-vfio/regs";

const queues = 2;
const queueStride = 0x100;

/** One descriptor ring: `base` is where its five registers begin. */
const ring = (base: number) => ({
  baseLow: r32(base, { address: hex(scaled(rw(31, 4), 16)) }),
  baseHigh: hex(r32(base + 4, "rw")),
  /** In bytes, a multiple of 128. */
  length: r32(base + 8, { bytes: scaled(rw(19, 7), 128) }),
  head: r32(base + 0x10, { index: rw(15, 0) }),
  tail: r32(base + 0x18, { index: rw(15, 0) }),
});
/** How long an interrupt waits, in units of 1.024 us. */
const delay = (at: number) => r32(at, { delay: scaled(rw(15, 0), 1024, { unit: "ns" }), flush: wo(31) });
const absoluteDelay = (at: number) => r32(at, { delay: scaled(rw(15, 0), 1024, { unit: "ns" }) });
/** When descriptors are fetched and written back, in descriptors or in cache lines. */
const thresholds = (at: number) =>
  array(
    queues,
    queueStride,
    r32(at, {
      prefetch: rw(5, 0),
      host: rw(13, 8),
      writeBack: rw(21, 16),
      descriptors: rw(24),
      low: rw(31, 25),
    }),
  );
/** Bytes in the receive buffer at which flow control begins or ends. */
const flowControl = (at: number) => r32(at, { bytes: scaled(rw(15, 3), 8), send: rw(31) });

export const rings = {
  /** Receive Control, 10.2.5.1. */
  receiveControl: r32(0x0100, {
    enable: rw(1),
    storeBadPackets: rw(2),
    unicastPromiscuous: rw(3),
    multicastPromiscuous: rw(4),
    longPackets: rw(5),
    loopback: rw(7, 6, { none: 0, MAC: 1 }),
    descriptorType: rw(11, 10, { legacy: 0, packetSplit: 1 }),
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
  /** Sizes of the four buffers of a packet that is split, 10.2.5.2. */
  packetSplit: r32(0x2170, {
    buffer0: scaled(rw(6, 0), 128),
    buffer1: scaled(rw(13, 8), 1024),
    buffer2: scaled(rw(21, 16), 1024),
    buffer3: scaled(rw(29, 24), 1024),
  }),
  flowControlLow: flowControl(0x2160),
  flowControlLowAgain: alias("flowControlLow", flowControl(0x0168)),
  flowControlHigh: flowControl(0x2168),
  flowControlHighAgain: alias("flowControlHigh", flowControl(0x0160)),
  receiveRings: array(queues, queueStride, ring(0x2800)),
  receiveRingsAgain: alias("receiveRings", array(1, queueStride, ring(0x0110))),
  receiveDelay: delay(0x2820),
  receiveDelayAgain: alias("receiveDelay", delay(0x0108)),
  receiveAbsoluteDelay: absoluteDelay(0x282c),
  receiveThresholds: thresholds(0x2828),
  /** Packets below this size interrupt at once. */
  smallPackets: r32(0x2c00, { bytes: rw(11, 0) }),
  acknowledgeDelay: r32(0x2c08, { delay: scaled(rw(15, 0), 1024, { unit: "ns" }) }),
  receiveChecksum: r32(0x5000, { start: rw(7, 0), ip: rw(8), tcpUdp: rw(9), packetChecksumDisable: rw(13) }),
  receiveFilter: r32(0x5008, {
    iScsiDisable: rw(0),
    nfsWriteDisable: rw(6),
    nfsReadDisable: rw(7),
    nfsVersion: rw(9, 8, ["2", "3", "4"]),
    ipv6Disable: rw(10),
    acknowledgeDisable: rw(12),
    extendedStatus: rw(15),
    ipv6ExtensionDisable: rw(16),
  }),

  /** Transmit Control, 10.2.6.1. */
  transmitControl: r32(0x0400, {
    enable: rw(1),
    padShortPackets: reset(true, rw(3)),
    collisionThreshold: rw(11, 4),
    backOff: rw(21, 12),
    retransmitOnLateCollision: rw(24),
  }),
  transmitControlExtended: r32(0x0404, { gigabitCarrierExtend: rw(9, 0), backOff: rw(19, 10) }),
  interpacketGap: r32(0x0410, { back: rw(9, 0), part1: rw(19, 10), part2: rw(29, 20) }),
  adaptiveSpacing: r32(0x0458, { value: rw(15, 0) }),
  transmitRings: array(queues, queueStride, ring(0x3800)),
  transmitRingsAgain: alias("transmitRings", array(1, queueStride, ring(0x0420))),
  transmitDelay: delay(0x3820),
  transmitDelayAgain: alias("transmitDelay", delay(0x0440)),
  transmitAbsoluteDelay: absoluteDelay(0x382c),
  transmitThresholds: thresholds(0x3828),
  transmitArbitration: array(
    queues,
    queueStride,
    r32(0x3840, { count: rw(6, 0), enable: reset(true, rw(10)) }),
  ),
} as const;
