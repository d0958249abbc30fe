import { r32, registerMap, ro, rw } from "bun-vfio/regs";

/**
 * BAR 0 of QEMU's edu device (docs/specs/edu.rst). Described once, a register is read and written by name:
 * `eduMap.live(bar.registers).status.read().computing`.
 */
export const eduMap = registerMap("edu", 0x1000, {
  identification: r32(0x00, { magic: ro(7, 0), minor: ro(23, 16), major: ro(31, 24) }),
  /** Reads as the complement of what was written. */
  liveness: r32(0x04, "rw"),
  /** Written: the number whose factorial it is to compute. Read: the result, modulo 2^32. */
  factorial: r32(0x08, "rw"),
  status: r32(0x20, { computing: ro(0), interruptWhenDone: rw(7) }),
  /** Causes of the interrupt that is asserted: of a factorial 1, of a DMA 0x100, and whatever was written to `raise`. */
  causes: r32(0x24, "ro"),
  raise: r32(0x60, "rw"),
  acknowledge: r32(0x64, "rw"),
  // The device has 64 bits here, of which it uses 28.
  dmaSource: r32(0x80, "rw"),
  dmaDestination: r32(0x88, "rw"),
  dmaBytes: r32(0x90, "rw"),
  dma: r32(0x98, { run: rw(0), toMemory: rw(1), interruptWhenDone: rw(2) }),
});

/** The device's own memory, as its DMA engine sees it: all that a transfer can start or end in, besides ours. */
export const ownMemory = { address: 0x40000, size: 4096 };
/** DMA reaches IOVAs below this: the device drives 28 address lines. */
export const addressLimit = 2 ** 28;
/** What `causes` says of a DMA that is done. */
export const dmaDone = 0x100;
