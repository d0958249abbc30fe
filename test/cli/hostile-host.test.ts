// What a host's own names hold is text: none of them drives the terminal of who asks.
import { expect, setDefaultTimeout, test } from "bun:test";
import { Machine } from "../support/host-machine.ts";
import { nvme, run } from "./on-machine.ts";

setDefaultTimeout(60_000);

const red = "\u001b[31m";
const override = "\u202e";
const network = "0000:03:00.0";

/** A machine on which everything that has a name has a bad one. */
function hostile(): Machine {
  const machine = new Machine();
  const name = `e${red}${override}0`;
  machine.network(network, name);
  machine.put("/proc/net/route", `Iface Destination\n${name} 00000000 0100A8C0 0003 0 0 0 00000000 0 0 0`);
  machine.block(nvme, `nvme/nvme0/nv\u001b]0;x\u0007me`, "259:0");
  machine.put("/proc/self/mountinfo", `22 1 259:0 / /mnt/${red}<b> rw - ext4 /dev/nvme0n1 rw`);
  machine.put("/proc/cmdline", `intel_iommu=${red}on`);
  machine.put("/proc/version", `Linux ${red}6.1`);
  machine.put(`${machine.folder(nvme)}/driver_override`, `${red}x`);
  return machine;
}

const commands: readonly (readonly string[])[] = [
  ["ls"],
  ["ls", "--tree"],
  ["ls", "--json"],
  ["ls", override],
  ["groups"],
  ["doctor", nvme],
  ["show", "-v", nvme],
  ["record", nvme, "-o", "-"],
  ["bind", network],
  ["bind", nvme],
  ["bind", "--dry-run", "--force", nvme],
  ["unbind", "--dry-run", nvme],
  ["unbind", nvme],
];
test.each(commands.map((words) => [words.join(" "), words] as const))("%s", (_, words) => {
  using machine = hostile();
  const { out, err } = run(machine, ...words);
  expect(out + err).not.toBe("");
  expect(out + err).not.toMatch(/[\u001b\u0007\u202e]|internal error/);
});
