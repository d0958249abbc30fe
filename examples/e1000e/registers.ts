// The registers of Intel's 82574L Gigabit Ethernet Controller, which Linux's e1000e drives and QEMU models: from its datasheet,
// revision 3.4, chapter 10. All of BAR 0; a driver reads and writes them live, a model answers for them, `show` prints them.
import { registerMap } from "bun-vfio/regs";
import { diagnostics } from "./diagnostics.ts";
import { filters } from "./filters.ts";
import { general } from "./general.ts";
import { interrupts } from "./interrupts.ts";
import { rings } from "./rings.ts";
import { statistics } from "./statistics.ts";

/** All registers of BAR 0. */
export const e1000eRegisters = registerMap("82574L", 0x2_0000, {
  ...general,
  ...interrupts,
  ...rings,
  ...statistics,
  ...filters,
  ...diagnostics,
});
