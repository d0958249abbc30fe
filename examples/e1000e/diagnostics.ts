// PCI Express, time and diagnostics: 10.2.3, 10.2.10 and 10.2.11.
import { alias, array, hex, joinedBig, r32, ro, rw, volatile } from "bun-vfio/regs";

/** A place in the packet buffer, in units of 8 bytes. */
const fifo = (at: number) => r32(at, { place: rw(12, 0) });
const time = (at: number) => volatile(hex(r32(at, "ro")));

export const diagnostics = {
  pcieControl: r32(0x5b00, {
    noSnoop: rw(5, 0),
    completionTimeoutResend: rw(16),
    l1ActWithoutL0s: rw(27),
  }),
  pcieControl2: hex(r32(0x5b64, "rw")),
  functionTag: hex(r32(0x5b08, "rw")),
  pcieStatisticsControl: array(4, 4, hex(r32(0x5b10, "rw"))),
  pcieStatistics: array(4, 4, volatile(r32(0x5b20, "rw"))),
  powerState: volatile(
    r32(0x5b30, { function0: ro(1, 0, ["DR", "D0u", "D0a", "D3"]), managementClockGated: ro(29) }),
  ),
  /** Whether firmware or software holds the physical layer: 0 to take it by reading it 0. */
  softwareSemaphore: r32(0x5b50, { held: rw(0), firmware: rw(1), driver: rw(2) }),
  firmwareSemaphore: volatile(r32(0x5b54, { mode: ro(3, 1), valid: ro(15) })),
  softwareSemaphore2: r32(0x5b58, { held: rw(1) }),
  softwareFirmwareSync: r32(0x5b5c, { software: rw(15, 0), firmware: rw(31, 16) }),
  /** A 1 clears the pending bit of a vector. */
  pendingClear: r32(0x5b68, { vectors: rw(4, 0) }),

  systemTimeLow: volatile(hex(r32(0xb600, "rw"))),
  systemTimeHigh: volatile(hex(r32(0xb604, "rw"))),
  systemTime: joinedBig(["systemTimeHigh", "systemTimeLow"]),
  timeIncrement: r32(0xb608, { value: rw(23, 0), period: rw(31, 24) }),
  timeAdjustLow: hex(r32(0xb60c, "rw")),
  timeAdjustHigh: hex(r32(0xb610, "rw")),
  transmitTimeControl: volatile(r32(0xb614, { valid: ro(0), enable: rw(4) })),
  transmitTimeLow: time(0xb618),
  transmitTimeHigh: time(0xb61c),
  transmitTime: joinedBig(["transmitTimeHigh", "transmitTimeLow"]),
  receiveTimeControl: volatile(
    r32(0xb620, {
      valid: ro(0),
      type: rw(3, 1, ["V2 of layer 2", "V1", "V2", "reserved3", "all", "V2 events"]),
      enable: rw(4),
    }),
  ),
  receiveTimeLow: time(0xb624),
  receiveTimeHigh: time(0xb628),
  receiveTime: joinedBig(["receiveTimeHigh", "receiveTimeLow"]),
  receiveSourceLow: time(0xb62c),
  receiveSourceHigh: r32(0xb630, { part: ro(15, 0), sequence: ro(31, 16) }),
  receiveTimeTypes: r32(0xb634, { etherType: hex(rw(15, 0)), v1Control: rw(23, 16), v2Message: rw(31, 24) }),
  receiveTimePort: r32(0xb638, { port: rw(15, 0) }),

  receiveFifoHead: fifo(0x2410),
  receiveFifoHeadAgain: alias("receiveFifoHead", fifo(0x8000)),
  receiveFifoTail: fifo(0x2418),
  receiveFifoTailAgain: alias("receiveFifoTail", fifo(0x8008)),
  receiveFifoHeadSaved: fifo(0x2420),
  receiveFifoTailSaved: fifo(0x2428),
  receiveFifoPackets: fifo(0x2430),
  transmitFifoHead: fifo(0x3410),
  transmitFifoHeadAgain: alias("transmitFifoHead", fifo(0x8010)),
  transmitFifoTail: fifo(0x3418),
  transmitFifoTailAgain: alias("transmitFifoTail", fifo(0x8018)),
  transmitFifoHeadSaved: fifo(0x3420),
  transmitFifoTailSaved: fifo(0x3428),
  transmitFifoPackets: fifo(0x3430),
  /** 40 KiB. */
  packetBufferMemory: array(0x2800, 4, hex(r32(0x1_0000, "rw"))),
} as const;
