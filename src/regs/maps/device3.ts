import { extendedCapability, extendedHead } from "../capability.ts";
import { hwinit, ro, rw, rw1c, volatile } from "../field.ts";
import { ownMap } from "../map.ts";
import { r16, r32 } from "../register.ts";
import { extendedCapabilityId } from "./ids.ts";

const exitLatency = [
  "Less than 1us",
  "1us to less than 2us",
  "2us to less than 4us",
  "4us to less than 8us",
  "8us to less than 16us",
  "16us to less than 32us",
  "32us-64us",
  "More than 64us",
] as const;
/** Link widths of the registers that came with Flit Mode. */
export const linkWidth = { x1: 0, x2: 1, x4: 2, x8: 3, x16: 4 } as const;

/** Device 3, PCI Express Base Specification 6.0, 7.7.9. */
export const device3Capability = ownMap("Device3", 0x10, () => ({
  ...extendedHead,
  capabilities: r32(
    0x04,
    {
      deferrableWriteRouting: ro(0, "DMWr Request Routing"),
      tag14BitCompleter: hwinit(1, "14-Bit Tag Completer"),
      tag14BitRequester: hwinit(2, "14-Bit Tag Requester"),
      l0p: hwinit(3, "L0p"),
      portL0pExitLatency: hwinit(6, 4, exitLatency, "Port L0p Exit Latency"),
      retimerL0pExitLatency: hwinit(9, 7, exitLatency, "Retimer L0p Exit Latency"),
      uioCompleter: hwinit(10, "UIO Mem RdWr Completer"),
      uioRequester: hwinit(11, "UIO Mem RdWr Requester"),
    },
    "DevCap3",
  ),
  control: r16(
    0x08,
    {
      deferrableWriteRequester: rw(0, "DMWr Requester"),
      deferrableWriteEgressBlocking: rw(1, "DMWr Egress Blocking"),
      tag14BitRequester: rw(2, "14-Bit Tag Requester"),
      l0p: rw(3, "L0p"),
      targetLinkWidth: rw(6, 4, { ...linkWidth, Dynamic: 7 }, "Target Link Width"),
      uioRequester: rw(7, "UIO Mem RdWr Requester"),
      /** Set: requests may cross 256 bytes. */
      uioBoundaryDisable: rw(8, "UIO Request 256B Boundary Disable"),
    },
    "DevCtl3",
  ),
  status: volatile(
    r16(
      0x0c,
      {
        initialLinkWidth: ro(2, 0, linkWidth, "Initial Link Width"),
        segmentCaptured: rw1c(3, "Segment Captured"),
        remoteL0p: ro(4, "Remote L0p"),
      },
      "DevSta3",
    ),
  ),
}));

export const device3 = extendedCapability(extendedCapabilityId.device3, "Device3", device3Capability);
