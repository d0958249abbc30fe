import type { Access } from "../access.ts";
import { extendedCapability, extendedHead } from "../capability.ts";
import { hex, hwinit, ro, rw, rw1c, volatile, type Field } from "../field.ts";
import { ownMap } from "../map.ts";
import { r32 } from "../register.ts";
import { extendedCapabilityId } from "./ids.ts";

const states = <A extends Access>(bit: (bit: number, label?: string) => Field<A, boolean>) => ({
  ok: bit(2, "OK"),
  locate: bit(3, "Locate"),
  fail: bit(4, "Fail"),
  rebuild: bit(5, "Rebuild"),
  predictedFailure: bit(6, "PFA"),
  hotSpare: bit(7, "HotSpare"),
  criticalArray: bit(8, "InCriticalArray"),
  failedArray: bit(9, "InFailedArray"),
  invalidDeviceType: bit(10, "InvalidDevType"),
  disabled: bit(11, "Disabled"),
});

/** Native PCIe Enclosure Management, PCI Express Base Specification 7.9.19. */
export const enclosureCapability = ownMap("NPEM", 16, () => ({
  ...extendedHead,
  capability: r32(
    0x04,
    {
      capable: hwinit(0, "Capable"),
      reset: hwinit(1, "Reset"),
      ...states(hwinit),
      specific: hex(hwinit(31, 24)),
    },
    "NpemCap",
  ),
  // `reset` reads as zero.
  control: r32(
    0x08,
    { enable: rw(0, "Enable"), reset: rw(1, "Reset"), ...states(rw), specific: hex(rw(31, 24)) },
    "NpemCtl",
  ),
  status: volatile(
    r32(0x0c, { commandCompleted: rw1c(0, "CmdComplete"), specific: hex(ro(31, 24)) }, "NpemSta"),
  ),
}));

export const enclosure = extendedCapability(extendedCapabilityId.enclosure, "NPEM", enclosureCapability);
