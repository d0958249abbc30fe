// The two machines that QEMU has for the two architectures, and what of a command line is their own.
import type { Machine } from "../machines.ts";

export interface Board {
  /** QEMU's program for it. */
  readonly program: string;
  readonly args: readonly string[];
  /** Of the kernel's command line. */
  readonly words: readonly string[];
  /** Where on bus 0 the shared folders are. */
  readonly shareAddresses: readonly [string, string, string, string];
}

/** https://www.qemu.org/docs/master/system/i386/pc.html */
const q35: Board = {
  program: "qemu-system-x86_64",
  args: [
    ...["-M", "q35,kernel-irqchip=split", "-cpu", "max"],
    // With a thread for each CPU, QEMU loses timers of the one when the other moves a BAR.
    ...["-accel", "tcg,thread=single"],
  ],
  words: [
    ...["console=ttyS0", "reboot=t", "tsc=reliable"],
    // On a busy host the ticks that the kernel counts here come late, and it panics for want of a timer.
    "no_timer_check",
  ],
  shareAddresses: ["1f.7", "1f.6", "1f.5", "1f.4"],
};

/** https://www.qemu.org/docs/master/system/arm/virt.html. `pauth-impdef`: what the architecture has for it costs half of the time. */
const virt = ({ iommu, virtualization }: Machine): Board => ({
  program: "qemu-system-aarch64",
  args: [
    "-M",
    `virt,gic-version=3${iommu === "smmuv3" ? ",iommu=smmuv3" : ""}${virtualization ? ",virtualization=on" : ""}`,
    ...["-cpu", "max,pauth-impdef=on", "-accel", "tcg,thread=multi"],
  ],
  words: ["console=ttyAMA0"],
  shareAddresses: ["17", "16", "15", "14"],
});

export const boardOf = (machine: Machine): Board => (machine.arch === "aarch64" ? virt(machine) : q35);
