import { hex, ro, rw, rw1c, scaled, volatile } from "../field.ts";
import { ownMap } from "../map.ts";
import { r16, r32, r8 } from "../register.ts";
import { regions } from "./bar-values.ts";
import { bridgeWindows } from "./bridge-windows.ts";
import { bar, busStatus, commonHeader, conventionalRegisters, rom, withoutBist } from "./header-common.ts";

// Bits 3:0 of a window say how wide it decodes; the address field is the base of its unit of 4 KiB, or of 1 MiB.
const ioWindow = (at: number, label: string) =>
  r8(at, { type: ro(3, 0, ["16-bit", "32-bit"]), address: hex(scaled(rw(7, 4), 0x1000)) }, label);
const memoryWindow = (at: number, label: string) =>
  r16(at, { type: ro(3, 0), address: hex(scaled(rw(15, 4), 0x10_0000)) }, label);
const prefetchableWindow = (at: number, label: string) =>
  r16(at, { type: ro(3, 0, ["32-bit", "64-bit"]), address: hex(scaled(rw(15, 4), 0x10_0000)) }, label);

/** Type 1 configuration space header, PCI Express Base Specification 7.5.1.3. */
export const bridgeHeader = ownMap("type 1 header", 64, () => ({
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
  ...regions(2),
  ...bridgeWindows,
}));

/** What a bridge of conventional PCI lets software write besides: PCI-to-PCI Bridge Architecture Specification 1.2, 3.2.5. */
const conventionalBridge = {
  ...conventionalRegisters,
  secondaryLatencyTimer: r8(0x1b, "rw", "Bus: sec-latency"),
  bridgeControl: r16(
    0x3e,
    {
      ...bridgeHeader.entries.bridgeControl.fields,
      masterAbortMode: rw(5, "MAbort"),
      fastBackToBack: rw(7, "FastB2B"),
      primaryDiscardTimer: rw(8, "PriDiscTmr"),
      secondaryDiscardTimer: rw(9, "SecDiscTmr"),
      discardTimerSerrEnable: rw(11, "DiscTmrSERREn"),
    },
    "BridgeCtl",
  ),
} as const;

const variant = (more: object) =>
  ownMap("type 1 header", 64, () => ({ ...bridgeHeader.entries, ...more }) as typeof bridgeHeader.entries);
/** The header of a bridge without a self test. */
export const bridgeHeaderWithoutBist = variant(withoutBist);
/** The header of a bridge of conventional PCI. */
export const conventionalBridgeHeader = variant(conventionalBridge);
/** The same without a self test. */
export const conventionalBridgeHeaderWithoutBist = variant({ ...conventionalBridge, ...withoutBist });
