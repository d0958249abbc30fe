// The ways in which a PC is reset or turned off. Which one a guest takes depends on what it believes to run on.
import type { TrapTarget } from "bun-vfio/kvm";
import { powerOff } from "../acpi/dsdt.ts";
import { ports } from "../layout.ts";

/** What a guest wants of its machine. */
export type PowerRequest = "power-off" | "reset";
type Listener = (request: PowerRequest) => void;

/** Port of the reset control register, in the middle of CONFIG_ADDRESS, and what resets: bit 2, with bit 1 for a cold one. */
export const resetPort = 0xcf9;
export const resetValue = 0x06;
const resetBit = 0x04;

/**
 * What a CPU in real mode finds where a BIOS begins: mov dx, 0xcf9; mov al, 6; out dx, al; hlt and again. With tables of
 * reduced hardware Linux passes over the reset register, asks EFI, which is not there, and then jumps here.
 */
export const biosCode = Uint8Array.of(0xba, 0xf9, 0x0c, 0xb0, resetValue, 0xee, 0xf4, 0xeb, 0xfd);

/** The reset control register. */
export const resetControl = (tell: Listener): TrapTarget => ({
  ioRead: (_port, data) => data.fill(0),
  ioWrite: (_port, data) => {
    if (data[0]! & resetBit) tell("reset");
  },
});

const keyboardCommand = 0x64;
const pulseReset = 0xfe;

/** All that is left of the keyboard controller: the wire from it to the CPU's reset. Its ports read as if nothing was there. */
export const keyboardReset = (tell: Listener): TrapTarget => ({
  ioWrite: (port, data) => {
    if (port === keyboardCommand && data[0] === pulseReset) tell("reset");
  },
});

const sleepEnable = 0x20;
const sleepType = (value: number): number => (value >> 2) & 7;

/** Sleep control and status register (ACPI Specification 4.8.3.7): the guest turns itself off. */
export const sleepControl = (tell: Listener): TrapTarget => ({
  ioRead: (_port, data) => data.fill(0),
  ioWrite: (port, data) => {
    const value = data[0]!;
    if (port === ports.power.base && value & sleepEnable && sleepType(value) === powerOff) tell("power-off");
  },
});
