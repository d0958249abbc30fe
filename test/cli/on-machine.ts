// Runs of the command on a copy of a recorded machine.
import { spyOn } from "bun:test";
import { stdout } from "../../src/cli/output.ts";
import type { Machine } from "../support/host-machine.ts";
import { bunVfio, type Run } from "./run.ts";

export const nvme = "0000:02:00.0";

export const run = (machine: Machine, ...args: string[]): Run =>
  bunVfio(args, { env: { BUN_VFIO_ROOT: machine.root } });
export const json = (machine: Machine, ...args: string[]): Record<string, unknown> =>
  JSON.parse(run(machine, ...args, "--json").out) as Record<string, unknown>;

/** The disk is mounted, and the network is up. */
export function busy(machine: Machine): void {
  machine.block(nvme, "nvme/nvme0/nvme0n1", "259:0");
  machine.put("/proc/self/mountinfo", "22 1 259:0 / / rw - ext4 /dev/nvme0n1 rw");
  machine.network("0000:03:00.0", "eth0");
  machine.put("/proc/net/route", "Iface Destination\neth0 00000000 0100A8C0 0003 0 0 0 00000000 0 0 0");
}

/** What the commands that ran here printed since the last `inProcess`. */
export const printed: string[] = [];

/** Lets the command's functions run here, on a kernel that answers. */
export function inProcess(machine: Machine): Disposable {
  process.env["BUN_VFIO_ROOT"] = machine.root;
  printed.splice(0);
  const spies = [
    spyOn(stdout, "write").mockImplementation((text) => void printed.push(text)),
    spyOn(process.stderr, "write").mockImplementation((text: unknown) => printed.push(String(text)) > 0),
  ];
  return {
    [Symbol.dispose]: () => {
      for (const spy of spies) spy.mockRestore();
      delete process.env["BUN_VFIO_ROOT"];
    },
  };
}
