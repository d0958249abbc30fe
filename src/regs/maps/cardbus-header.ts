import { emulated, hex, ro, rw, rw1c, volatile } from "../field.ts";
import { ownMap } from "../map.ts";
import { r16, r32, r8 } from "../register.ts";
import { regions } from "./bar-values.ts";
import { cardbusWindows } from "./bridge-windows.ts";
import { bar, busStatus, conventionalRegisters, firstRegisters } from "./header-common.ts";

const registers = {
  ...firstRegisters,
  ...conventionalRegisters,
  /** The registers of the socket, in units of 4 KiB. */
  bar0: bar(0x10),
  capabilitiesPointer: emulated(hex(r8(0x14, "hwinit"))),
  secondaryStatus: r16(
    0x16,
    {
      mhz66: ro(5, "66MHz"),
      ...busStatus,
      receivedSystemError: volatile(rw1c(14, "<SERR")),
      detectedParityError: volatile(rw1c(15, "<PERR")),
    },
    "Secondary status",
  ),
  primaryBus: hex(r8(0x18, "rw", "Bus: primary")),
  secondaryBus: hex(r8(0x19, "rw", "Bus: secondary")),
  subordinateBus: hex(r8(0x1a, "rw", "Bus: subordinate")),
  secondaryLatencyTimer: r8(0x1b, "rw", "Bus: sec-latency"),
  memoryBase0: hex(r32(0x1c, "rw")),
  memoryLimit0: hex(r32(0x20, "rw")),
  memoryBase1: hex(r32(0x24, "rw")),
  memoryLimit1: hex(r32(0x28, "rw")),
  ioBase0: hex(r32(0x2c, "rw")),
  ioLimit0: hex(r32(0x30, "rw")),
  ioBase1: hex(r32(0x34, "rw")),
  ioLimit1: hex(r32(0x38, "rw")),
  interruptLine: r8(0x3c, "rw", "Interrupt: line"),
  /** 1 to 4 are INTA to INTD; 0 is none. */
  interruptPin: r8(0x3d, "hwinit", "Interrupt: pin"),
  bridgeControl: r16(
    0x3e,
    {
      parityErrorResponse: rw(0, "Parity"),
      serrEnable: rw(1, "SERR"),
      isaEnable: rw(2, "ISA"),
      vgaEnable: rw(3, "VGA"),
      masterAbortMode: rw(5, "MAbort"),
      cardbusReset: rw(6, ">Reset"),
      legacyInterrupt: rw(7, "16bInt"),
      prefetchMemory0: rw(8, "Prefetch0"),
      prefetchMemory1: rw(9, "Prefetch1"),
      writePosting: rw(10, "PostWrite"),
    },
    "BridgeCtl",
  ),
  ...regions(1),
  ...cardbusWindows,
} as const;

const size = 64;
/** As much of the header of a CardBus bridge as lies in the first 64 bytes. */
export const cardbusHeaderStart = ownMap("type 2 header", size, () => registers);
/** Type 2 configuration space header, of a CardBus bridge: PC Card Standard 8.0, volume 7, 4.5. */
export const cardbusHeader = ownMap("type 2 header", 72, () => ({
  ...registers,
  subsystemVendorId: hex(r16(0x40, "hwinit", "Subsystem: vendor")),
  subsystemId: hex(r16(0x42, "hwinit", "Subsystem: device")),
  /** Where the ports of a 16-bit card's controller lie; bit 0 is set. */
  legacyBase: hex(r32(0x44, "rw", "16-bit legacy interface ports")),
}));
