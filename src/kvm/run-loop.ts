import { VfioError } from "../ffi/errors.ts";
import { kvmExitReason, kvmSystemEvent } from "../regs/ioctl/kvm-run.ts";
import { formatExit } from "./exit-text.ts";
import type { RunPage } from "./run-page.ts";
import type { VcpuControl } from "./vcpu-control.ts";

/** A `Vcpu`, as a loop needs it. */
export interface RunnableVcpu {
  /** Of its machine, from 0 on. */
  readonly id: number;
  /** What it shares with the VMM. */
  readonly page: RunPage;
  /** How another thread stops it. */
  readonly control: VcpuControl | undefined;
  /** Runs the guest. @returns whether `page` holds an exit to handle; false: a kick */
  run(): boolean;
}

/** What a guest's accesses go to. `data` belongs to the loop: it is filled, or looked at, before the call returns. */
export interface AccessHandlers {
  /** An IN of the guest. @param data 1, 2 or 4 bytes, to be filled */
  ioRead(port: number, data: Uint8Array): void;
  /** An OUT of the guest. @param data its 1, 2 or 4 bytes */
  ioWrite(port: number, data: Uint8Array): void;
  /** A read of memory that is in no slot. @param data 1 to 8 bytes, to be filled */
  mmioRead(address: number, data: Uint8Array): void;
  /** A write to memory that is in no slot, or in one that is read-only. @param data its 1 to 8 bytes */
  mmioWrite(address: number, data: Uint8Array): void;
}

/** All that a run loop hands on. */
export interface ExitHandlers extends AccessHandlers {
  /** Split interrupt chips: the guest has handled the level-triggered interrupt of this vector. */
  endOfInterrupt?(vector: number): void;
  /** A kick came, and the loop was not told to stop: whatever it was for can be done here, between two instructions. */
  kicked?(): void;
  /** Any other exit. @returns whether it is handled, and the guest goes on */
  other?(reason: number, page: RunPage): boolean;
}

/**
 * Why a run loop ended: `stopped` by the control; `shutdown`, a triple fault, with which guests reset a PC; `halted`, HLT
 * without interrupt chips in the kernel; and what KVM says for machines that have such events.
 */
export type RunEnd = "stopped" | "halted" | "shutdown" | "reset" | "power-off" | "crash";

const systemEvents: Readonly<Record<number, RunEnd>> = {
  [kvmSystemEvent.SHUTDOWN]: "power-off",
  [kvmSystemEvent.RESET]: "reset",
  [kvmSystemEvent.CRASH]: "crash",
};

/** One piece of memory for each width, made once: a loop allocates nothing an exit. */
const buffers = (): Uint8Array[] => Array.from({ length: 9 }, (_, width) => new Uint8Array(width));

function handleIo(page: RunPage, handlers: AccessHandlers, data: Uint8Array): void {
  const { port, ioCount, isOut } = page;
  for (let i = 0; i < ioCount; i++)
    if (isOut) {
      page.takeIo(i, data);
      handlers.ioWrite(port, data);
    } else {
      handlers.ioRead(port, data);
      page.giveIo(i, data);
    }
}

function handleMmio(page: RunPage, handlers: AccessHandlers, data: Uint8Array): void {
  const { address, isWrite } = page;
  if (isWrite) {
    page.takeMmio(data);
    handlers.mmioWrite(address, data);
  } else {
    handlers.mmioRead(address, data);
    page.giveMmio(data);
  }
}

/**
 * Runs a vCPU on this thread until something ends it. With interrupt chips in the kernel a guest that halts waits there.
 * @throws VfioError (`EVMEXIT`) for an exit that nobody handles, with what KVM says of it; and what a handler throws
 */
export function runLoop(vcpu: RunnableVcpu, handlers: ExitHandlers): RunEnd {
  const { page, control } = vcpu;
  const data = buffers();
  for (;;) {
    if (!vcpu.run()) {
      if (control?.stopping) return "stopped";
      handlers.kicked?.();
      continue;
    }
    const { reason } = page;
    if (reason === kvmExitReason.MMIO) handleMmio(page, handlers, data[page.width]!);
    else if (reason === kvmExitReason.IO) handleIo(page, handlers, data[page.ioWidth]!);
    else if (reason === kvmExitReason.IOAPIC_EOI) handlers.endOfInterrupt?.(page.eoiVector);
    else if (!handlers.other?.(reason, page)) {
      const end = endOf(reason, page);
      if (end) return end;
      if (reason !== kvmExitReason.INTR && reason !== kvmExitReason.IRQ_WINDOW_OPEN)
        throw new VfioError(`vCPU ${vcpu.id}: ${formatExit(page)}`, {
          code: "EVMEXIT",
          request: "KVM_RUN",
        });
    }
  }
}

function endOf(reason: number, page: RunPage): RunEnd | undefined {
  if (reason === kvmExitReason.HLT) return "halted";
  if (reason === kvmExitReason.SHUTDOWN) return "shutdown";
  return reason === kvmExitReason.SYSTEM_EVENT ? systemEvents[page.systemEvent] : undefined;
}
