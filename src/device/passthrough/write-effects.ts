// Which dwords of config space mean more to the model than bytes: found once at attach, looked up on each write.
import type { ConfigLayout } from "../../regs/index.ts";
import type { Bar } from "../pci/bars.ts";
import type { InterruptControl } from "./interrupts/interrupt-control.ts";
import { msiLength } from "./interrupts/msi-state.ts";

/** What a guest write to a dword sets off. */
export const Hook = {
  none: 0,
  command: 1,
  bar: 2,
  power: 3,
  pcieReset: 4,
  afReset: 5,
  msi: 6,
  msix: 7,
} as const;

export interface ConfigHooks {
  /** One of `Hook` a dword. */
  readonly table: Uint8Array;
  /** Byte offset of PMCSR, the first bytes of its dword; undefined without power management. */
  readonly pmcsr: number | undefined;
}

const pm = 0x01;
const pcie = 0x10;
const af = 0x13;

export function configHooks(
  config: Uint8Array,
  layout: ConfigLayout,
  bars: readonly Bar[],
  interrupts: InterruptControl,
): ConfigHooks {
  const table = new Uint8Array(config.length / 4);
  const mark = (offset: number, hook: number, size = 4): void => {
    // The first meaning holds: capabilities that overlap are malformed.
    for (let dword = offset >>> 2; dword < Math.ceil((offset + size) / 4); dword++) table[dword] ||= hook;
  };
  mark(0x04, Hook.command);
  for (const bar of bars) mark(bar.register, Hook.bar, bar.kind === "memory64" ? 8 : 4);
  const { msi, msix } = interrupts;
  if (msi) mark(msi.state.layout.offset, Hook.msi, msiLength(msi.state.layout));
  if (msix) mark(msix.offset, Hook.msix);
  let pmcsr: number | undefined;
  for (const { id, offset, extended, limit } of layout.capabilities) {
    if (extended) continue;
    const flag = (at: number, bit: number): boolean => ((config[at]! >>> bit) & 1) === 1;
    if (id === pm && limit >= 8 && pmcsr === undefined) mark((pmcsr = offset + 4), Hook.power);
    // Function-level reset where the device says that it can: Device Capabilities bit 28, AF Capabilities bit 1.
    if (id === pcie && limit >= 12 && flag(offset + 7, 4)) mark(offset + 8, Hook.pcieReset);
    if (id === af && limit >= 6 && flag(offset + 3, 1)) mark(offset + 4, Hook.afReset);
  }
  return { table, pmcsr };
}
