// Addresses, hashes, wake-up and management: 10.2.5 to 10.2.9.
import { alias, array, bitArray, hex, r32, ro, rw, rw1c, volatile } from "bun-vfio/regs";

const address = (at: number) => ({
  low: hex(r32(at, "rw")),
  high: r32(at + 4, { part: hex(rw(15, 0)), select: rw(17, 16), valid: rw(31) }),
});
/** What wakes the machine, in the same bits of WUFC and WUS. */
const wakeUps = {
  linkChange: rw(0),
  magicPacket: rw(1),
  unicast: rw(2),
  multicast: rw(3),
  broadcast: rw(4),
  arp: rw(5),
  ipv4: rw(6),
  ipv6: rw(7),
  flexible: rw(19, 16),
} as const;

export const filters = {
  /** A hash's bit lets a multicast address in. */
  multicastFilter: bitArray(0x5200, 4096, "rw"),
  multicastFilterAgain: alias("multicastFilter", bitArray(0x0200, 4096, "rw")),
  receiveAddresses: array(16, 8, address(0x5400)),
  receiveAddressesAgain: alias("receiveAddresses", array(16, 8, address(0x0040))),
  vlanFilter: bitArray(0x5600, 4096, "rw"),
  vlanFilterAgain: alias("vlanFilter", bitArray(0x0600, 4096, "rw")),
  receiveQueues: r32(0x5818, { mode: rw(1, 0, { none: 0, RSS: 1 }), hashes: rw(20, 16) }),
  /** Which queue a hash goes to: a byte each. */
  redirection: array(32, 4, r32(0x5c00, { queue0: rw(7), queue1: rw(15), queue2: rw(23), queue3: rw(31) })),
  hashKey: array(10, 4, hex(r32(0x5c80, "rw"))),

  wakeUpControl: volatile(
    r32(0x5800, { advanced: rw(0), pmeEnable: rw(1), pmeStatus: rw1c(2), assertOnWakeUp: rw(3) }),
  ),
  wakeUpFilter: r32(0x5808, { ...wakeUps, ignoreManagement: rw(15) }),
  /** Bits of its own are cleared by writing 1. */
  wakeUpStatus: volatile(
    r32(0x5810, {
      linkChange: rw1c(0),
      magicPacket: rw1c(1),
      unicast: rw1c(2),
      others: rw1c(7, 3),
      flexible: rw1c(19, 16),
    }),
  ),
  ipAddressValid: r32(0x5838, { ipv4: rw(3, 0), ipv6: rw(16) }),
  ipv4Addresses: array(4, 8, hex(r32(0x5840, "rw"))),
  ipv6Address: array(4, 4, hex(r32(0x5880, "rw"))),
  wakeUpPacketLength: volatile(r32(0x5900, { bytes: ro(11, 0) })),
  wakeUpPacket: array(32, 4, volatile(hex(r32(0x5a00, "ro")))),
  flexibleLengths: array(4, 8, r32(0x5f00, { bytes: rw(7, 0) })),
  flexibleMasks: array(128, 8, r32(0x9000, { bytes: rw(3, 0) })),
  flexibleValues: array(
    128,
    8,
    r32(0x9800, { filter0: rw(7, 0), filter1: rw(15, 8), filter2: rw(23, 16), filter3: rw(31, 24) }),
  ),
  tcoFilter: array(64, 4, hex(r32(0x9400, "rw"))),

  management: r32(0x5820, {
    receiveTco: rw(17),
    blockPhyReset: volatile(ro(18)),
    receiveAll: rw(19),
    macFilter: rw(20),
    passToHost: rw(21),
    ipAddressFilter: rw(22),
    checksumFilter: rw(23),
    broadcast: rw(24),
  }),
  managementFilters: r32(0x5824, { mac: rw(3, 0), vlan: rw(11, 8), ipv4: rw(19, 16), ipv6: rw(27, 24) }),
  managementPorts: array(2, 8, r32(0x5828, { first: rw(15, 0), second: rw(31, 16) })),
  managementToHost: r32(0x5860, { filters: rw(7, 0) }),
  managementDecisions: array(8, 4, hex(r32(0x5890, "rw"))),
  managementVlans: array(4, 4, r32(0x5010, { tag: rw(11, 0) })),
  managementAddresses: array(16, 4, hex(r32(0x58b0, "rw"))),
  hostInterfaceControl: r32(0x8f00, { enable: rw(0), command: rw(1), statusValid: rw(2) }),
} as const;
