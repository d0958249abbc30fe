// Interrupts: 10.2.4.
import { array, r32, rcw1c, rw, rw1s, scaled, wo, type Access, type Field } from "bun-vfio/regs";

/** Causes of interrupts, in the same bits of ICR, ICS, IMS and IMC: 10.2.4.1. */
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

export const interrupts = {
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
  /** Which bits of the mask reading or acknowledging a cause clears. */
  interruptAutoMask: r32(0x00e0, causes(rw)),
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
} as const;
