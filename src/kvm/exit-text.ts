import { valueName } from "../ffi/ioctl.ts";
import { kvmExitReason, kvmInternalError, kvmSystemEvent } from "../regs/ioctl/kvm-run.ts";
import type { RunPage } from "./run-page.ts";
import { hex } from "../regs/hex-text.ts";

/** An exit for a message: `KVM_EXIT_MMIO read of 4 at 0xfebf0000`. */
export function formatExit(page: RunPage): string {
  const { reason } = page;
  const name = `KVM_EXIT_${valueName(kvmExitReason, reason)}`;
  switch (reason) {
    case kvmExitReason.IO:
      return `${name} ${page.isOut ? "write" : "read"} of ${page.ioWidth} at port ${hex(page.port)}`;
    case kvmExitReason.MMIO:
      return `${name} ${page.isWrite ? "write" : "read"} of ${page.width} at ${hex(page.address)}`;
    case kvmExitReason.SYSTEM_EVENT:
      return `${name} ${valueName(kvmSystemEvent, page.systemEvent)}`;
    case kvmExitReason.IOAPIC_EOI:
      return `${name} of vector ${page.eoiVector}`;
    case kvmExitReason.FAIL_ENTRY:
      return `${name} ${hex(page.entryFailure.reason)} on CPU ${page.entryFailure.cpu}`;
    case kvmExitReason.INTERNAL_ERROR: {
      const isEmulation = page.suberror === kvmInternalError.EMULATION;
      const more = isEmulation ? page.instruction.toHex() : page.internalData.map(hex).join(" ");
      return `${name} ${valueName(kvmInternalError, page.suberror)} ${more}`.trimEnd();
    }
    default:
      return name;
  }
}
