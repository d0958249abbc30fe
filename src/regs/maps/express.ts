import { slotPower } from "./slot-power.ts";
import { standardCapability, standardHead } from "../capability.ts";
import { hex, hwinit, ro, rw, rw1c, rws, volatile, type Fields } from "../field.ts";
import type { Entries } from "../entries.ts";
import { ownMap, type RegisterBlock } from "../map.ts";
import { r16, r32 } from "../register.ts";
import { expressDevice2 } from "./express-device2.ts";
import { expressLink, expressLink2 } from "./express-link.ts";
import { expressSlot, expressSlot2 } from "./express-slot.ts";
import { capabilityId } from "./ids.ts";

const capabilities = {
  flags: r16(
    0x02,
    {
      version: ro(3, 0, "Version"),
      portType: ro(
        7,
        4,
        {
          Endpoint: 0,
          "Legacy Endpoint": 1,
          "Root Port": 4,
          "Upstream Port": 5,
          "Downstream Port": 6,
          "PCI-Express to PCI/PCI-X Bridge": 7,
          "PCI/PCI-X to PCI-Express Bridge": 8,
          "Root Complex Integrated Endpoint": 9,
          "Root Complex Event Collector": 10,
        },
        "Type",
      ),
      slotImplemented: hwinit(8, "Slot"),
      interruptMessage: hex(ro(13, 9, "MSI")),
      flitMode: hwinit(15, "FlitMode"),
    },
    "Flags",
  ),
  deviceCapabilities: r32(
    0x04,
    {
      /** In bytes. */
      maxPayload: ro(2, 0, ["128", "256", "512", "1024", "2048", "4096"], "MaxPayload"),
      phantomFunctions: ro(4, 3, ["0", "1", "3", "7"], "PhantFunc"),
      extendedTag: ro(5, "ExtTag"),
      l0sLatency: ro(
        8,
        6,
        ["<64ns", "<128ns", "<256ns", "<512ns", "<1us", "<2us", "<4us", "unlimited"],
        "Latency L0s",
      ),
      l1Latency: ro(
        11,
        9,
        ["<1us", "<2us", "<4us", "<8us", "<16us", "<32us", "<64us", "unlimited"],
        "Latency L1",
      ),
      attentionButton: ro(12, "AttnBtn"),
      attentionIndicator: ro(13, "AttnInd"),
      powerIndicator: ro(14, "PwrInd"),
      roleBasedErrorReporting: ro(15, "RBE"),
      errCorSubclass: ro(16, "ErrCorSubclass"),
      rxMpsFixed: ro(17, "RxMPSFixed"),
      /** Times `slotPowerLimitScale`, in W; 0xf0 and above are steps from 250 W. Set by the slot when the link comes up. */
      slotPowerLimit: ro(25, 18, "SlotPowerLimit"),
      slotPowerLimitScale: ro(27, 26, ["1", "0.1", "0.01", "0.001"], "SlotPowerLimitScale"),
      functionLevelReset: ro(28, "FLReset"),
      mixedMps: ro(29, "MixedMPS"),
      teeIo: ro(30, "TEE-IO"),
    },
    "DevCap",
  ),
  slotPower: slotPower(
    "deviceCapabilities.slotPowerLimit",
    "deviceCapabilities.slotPowerLimitScale",
    "SlotPowerLimit",
  ),
  deviceStatus: r16(
    0x0a,
    {
      correctableError: volatile(rw1c(0, "CorrErr")),
      nonFatalError: volatile(rw1c(1, "NonFatalErr")),
      fatalError: volatile(rw1c(2, "FatalErr")),
      unsupportedRequest: volatile(rw1c(3, "UnsupReq")),
      auxPower: volatile(ro(4, "AuxPwr")),
      transactionsPending: volatile(ro(5, "TransPend")),
      emergencyPowerReduction: volatile(rw1c(6, "EmergencyPowerReduction")),
    },
    "DevSta",
  ),
} as const;

const deviceControl = <const F extends Fields>(top: F) => ({
  deviceControl: r16(
    0x08,
    {
      correctableErrorEnable: rw(0, "CorrErr"),
      nonFatalErrorEnable: rw(1, "NonFatalErr"),
      fatalErrorEnable: rw(2, "FatalErr"),
      unsupportedRequestEnable: rw(3, "UnsupReq"),
      relaxedOrdering: rw(4, "RlxdOrd"),
      /** In bytes. */
      maxPayload: rw(7, 5, ["128", "256", "512", "1024", "2048", "4096"], "MaxPayload"),
      extendedTag: rw(8, "ExtTag"),
      phantomFunctions: rw(9, "PhantFunc"),
      auxPower: rws(10, "AuxPwr"),
      noSnoop: rw(11, "NoSnoop"),
      /** In bytes. */
      maxReadRequest: rw(14, 12, ["128", "256", "512", "1024", "2048", "4096"], "MaxReadReq"),
      ...top,
    },
    "DevCtl",
  ),
});
// Bit 15 starts a function-level reset and reads as 0, except in a bridge to PCI.
const functionControl = deviceControl({ functionLevelReset: rw(15, "FLReset") });
const bridgeControl = deviceControl({ configurationRetry: rw(15, "BrConfRtry") });

const root = {
  rootControl: r16(
    0x1c,
    {
      serrOnCorrectable: rw(0, "ErrCorrectable"),
      serrOnNonFatal: rw(1, "ErrNon-Fatal"),
      serrOnFatal: rw(2, "ErrFatal"),
      pmeInterruptEnable: rw(3, "PMEIntEna"),
      retrySoftwareVisible: rw(4, "CRSVisible"),
      noNonFlitBelow: rw(5, "NoNFMBelow"),
    },
    "RootCtl",
  ),
  rootCapabilities: r16(0x1e, { retrySoftwareVisible: ro(0, "CRSVisible") }, "RootCap"),
  rootStatus: r32(
    0x20,
    {
      pmeRequesterId: volatile(hex(ro(15, 0, "PME ReqID"))),
      pmeStatus: volatile(rw1c(16, "PMEStatus")),
      pmePending: volatile(ro(17, "PMEPending")),
    },
    "RootSta",
  ),
} as const;

/** PCI Express Capability, PCI Express Base Specification 7.5.3: every register that a port of version 2 may have. */
export const expressCapability = ownMap("PCIe", 60, () => ({
  ...standardHead,
  ...capabilities,
  ...functionControl,
  ...expressLink,
  ...expressSlot,
  ...root,
  ...expressDevice2,
  ...expressLink2,
  ...expressSlot2,
}));

// A port without a slot keeps the place of these registers, reading zeros.
const reservedSlot2 = { reservedSlot: r32(0x34, "rsvdp"), reservedSlot2: r32(0x38, "rsvdp") } as const;
const layouts = new Map<number, RegisterBlock>();

export const express = standardCapability(capabilityId.express, "PCIe", (config, at, limit) => {
  const flags = limit >= 4 ? config.getUint16(at + 2, true) : 0;
  const version2 = (flags & 0xf) >= 2;
  const type = (flags >> 4) & 0xf;
  const slot = (flags & 0x100) !== 0 && (type === 4 || type === 6 || type === 8);
  const key = (version2 ? 1 : 0) | (type << 1) | (slot ? 0x20 : 0) | (limit >= 60 ? 0x40 : 0);
  let map = layouts.get(key);
  if (!map) layouts.set(key, (map = layout(version2, type, slot, limit >= 60)));
  return map;
});

function layout(version2: boolean, type: number, slot: boolean, room: boolean): RegisterBlock {
  const link = type !== 9 && type !== 10;
  const rooted = type === 4 || type === 10;
  const registers: Entries = {
    ...standardHead,
    ...capabilities,
    ...(type === 7 ? bridgeControl : functionControl),
    ...(link && expressLink),
    ...(slot && expressSlot),
    ...(rooted && root),
    ...(version2 && expressDevice2),
    ...(version2 && link && expressLink2),
    ...(version2 && (slot ? expressSlot2 : room && reservedSlot2)),
  };
  // A version 2 capability takes 60 bytes, of which some devices leave out the reserved end; one of version 1
  // ends with the last register that its port type has.
  const size = version2 ? (room || slot ? 60 : link ? 52 : 44) : rooted ? 36 : slot ? 28 : link ? 20 : 12;
  return ownMap("PCIe", size, () => registers);
}
