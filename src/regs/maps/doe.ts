import { extendedCapability, extendedHead } from "../capability.ts";
import { hex, ro, rw, rw1c, precious, volatile } from "../field.ts";
import { ownMap } from "../map.ts";
import { r32 } from "../register.ts";
import { extendedCapabilityId } from "./ids.ts";

/** Data Object Exchange, PCI Express Base Specification 7.9.24. */
export const doeCapability = ownMap("DOE", 0x18, () => ({
  ...extendedHead,
  capabilities: r32(
    0x04,
    {
      interruptSupport: ro(0, "IntSup"),
      interruptMessage: hex(ro(11, 1, "Interrupt Message Number")),
      attentionMechanism: ro(12, "Attention"),
      asyncMessage: ro(13, "AsyncMsg"),
    },
    "DOECap",
  ),
  // `abort` and `go` read as zero.
  control: volatile(
    r32(
      0x08,
      {
        abort: rw(0, "Abort"),
        interruptEnable: rw(1, "IntEn"),
        attentionNotNeeded: rw(2, "AttentionNotNeeded"),
        asyncMessageEnable: rw(3, "AsyncMsgEn"),
        go: rw(31, "Go"),
      },
      "DOECtl",
    ),
  ),
  status: volatile(
    r32(
      0x0c,
      {
        busy: ro(0, "Busy"),
        interruptStatus: rw1c(1, "IntSta"),
        error: ro(2, "Error"),
        asyncMessage: rw1c(3, "AsyncMsg"),
        atAttention: ro(4, "AtAttention"),
        objectReady: ro(31, "ObjectReady"),
      },
      "DOESta",
    ),
  ),
  // Each write appends a DWORD to the request; it never reads back.
  writeMailbox: volatile(hex(r32(0x10, "rw"))),
  // The head of the response, which a transfer in progress takes DWORD by DWORD: never a dump's to touch.
  readMailbox: precious(hex(r32(0x14, "rw"))),
}));

export const doe = extendedCapability(extendedCapabilityId.doe, "DOE", doeCapability);
