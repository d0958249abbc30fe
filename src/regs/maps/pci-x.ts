import { composed } from "../derived.ts";
import { sizeText } from "../size-text.ts";
import { standardCapability, standardHead } from "../capability.ts";
import { hex, ro, rw, rw1c, volatile } from "../field.ts";
import { ownMap } from "../map.ts";
import { r16, r32 } from "../register.ts";
import { capabilityId } from "./ids.ts";

const outstanding = ["1", "2", "3", "4", "8", "12", "16", "32"] as const;
const readBytes = ["512", "1024", "2048", "4096"] as const;

/** Of any function: the low bits of an endpoint's Status and of a bridge's. */
const functionStatus = {
  functionNumber: ro(2, 0),
  deviceNumber: ro(7, 3),
  busNumber: ro(15, 8),
  wide64Bit: ro(16, "64bit"),
  mhz133: ro(17, "133MHz"),
  splitCompletionDiscarded: volatile(rw1c(18, "SCD")),
  unexpectedSplitCompletion: volatile(rw1c(19, "USC")),
} as const;

const endpointRegisters = {
  ...standardHead,
  command: r16(
    0x02,
    {
      dataParityErrorRecovery: rw(0, "DPERE"),
      relaxedOrdering: rw(1, "ERO"),
      /** In bytes. */
      maxReadByteCount: rw(3, 2, readBytes, "RBC"),
      maxOutstandingSplits: rw(6, 4, outstanding, "OST"),
      version: ro(13, 12, "Version"),
    },
    "Command",
  ),
  status: r32(
    0x04,
    {
      ...functionStatus,
      complexity: ro(20, 20, ["simple", "bridge"], "DC"),
      maxReadByteCount: ro(22, 21, readBytes, "DMMRBC"),
      maxOutstandingSplits: ro(25, 23, outstanding, "DMOST"),
      /** In units of 128 bytes; `cumulativeReads` in bytes. */
      maxCumulativeReadSize: ro(28, 26, ["8", "16", "32", "64", "128", "256", "512", "1024"], "DMCRS"),
      splitCompletionError: volatile(rw1c(29, "RSCEM")),
      mhz266: ro(30, "266MHz"),
      mhz533: ro(31, "533MHz"),
    },
    "Status",
  ),
  /** In bytes. */
  cumulativeReads: composed(["status.maxCumulativeReadSize"], (size) => 1024 << size!, {
    label: "Cumulative reads",
    text: (bytes) => sizeText(bytes),
  }),
} as const;

/** PCI-X capability of a type 0 header: PCI-X Protocol Addendum 2.0a, 7.2. */
export const pcixEndpointCapability = ownMap("PCI-X", 8, () => endpointRegisters);
/** The same with the ECC registers of PCI-X mode 2. */
export const pcixEccCapability = ownMap("PCI-X", 24, () => ({
  ...endpointRegisters,
  eccControl: volatile(hex(r32(0x08, "rw"))),
  eccFirstAddress: volatile(hex(r32(0x0c, "ro"))),
  eccSecondAddress: volatile(hex(r32(0x10, "ro"))),
  eccAttribute: volatile(hex(r32(0x14, "ro"))),
}));

const splits = {
  capacity: ro(15, 0, "Capacity"),
  commitmentLimit: rw(31, 16, "CommitmentLimit"),
} as const;

/** PCI-X capability of a type 1 header: PCI-X Protocol Addendum 2.0a, 8.6.2. */
export const pcixBridgeCapability = ownMap("PCI-X", 16, () => ({
  ...standardHead,
  secondaryStatus: r16(
    0x02,
    {
      wide64Bit: ro(0, "64bit"),
      mhz133: ro(1, "133MHz"),
      splitCompletionDiscarded: volatile(rw1c(2, "SCD")),
      unexpectedSplitCompletion: volatile(rw1c(3, "USC")),
      splitCompletionOverrun: volatile(rw1c(4, "SCO")),
      splitRequestDelayed: volatile(rw1c(5, "SRD")),
      clockFrequency: ro(8, 6, ["conv", "66MHz", "100MHz", "133MHz", "?4", "?5", "?6", "?7"], "Freq"),
    },
    "Secondary Status",
  ),
  status: r32(
    0x04,
    {
      ...functionStatus,
      splitCompletionOverrun: volatile(rw1c(20, "SCO")),
      splitRequestDelayed: volatile(rw1c(21, "SRD")),
    },
    "Status",
  ),
  upstreamSplits: r32(0x08, splits, "Upstream"),
  downstreamSplits: r32(0x0c, splits, "Downstream"),
}));

export const pcix = standardCapability(capabilityId.pcix, "PCI-X", (config, at, limit) => {
  if ((config.getUint8(0x0e) & 0x7f) === 1) return pcixBridgeCapability;
  const version = limit >= 4 ? (config.getUint8(at + 3) >> 4) & 3 : 0;
  return version > 0 && limit >= 24 ? pcixEccCapability : pcixEndpointCapability;
});
