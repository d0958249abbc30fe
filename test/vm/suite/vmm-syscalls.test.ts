// machines: (vmm)
// takes: 60 s
// System calls of the example VMM and of Debian's QEMU, from the moment at which they open the device until its driver has it
// and the guest turns itself off: of the whole program, and of the device.
import { readFileSync } from "node:fs";
import { afterAll, expect, test } from "bun:test";
import { bindTo, take } from "./support/devices.ts";
import { bootCommand, makeInitramfs, Vmm } from "./support/nested-linux.ts";
import { peerCommand } from "./support/peer.ts";

const bdf = take("nvme");
afterAll(() => bindTo(bdf, undefined));

const initramfs = makeInitramfs(
  `
    for i in $(seq 100); do [ ! -e /dev/nvme0n1 ] || break; usleep 100000; done
    [ -e /dev/nvme0n1 ] && echo bound
  `,
  ["nvme"],
);

interface Counts {
  readonly all: number;
  readonly [call: string]: number;
}

/** Runs a VMM under strace. @returns how often it made each call since it opened the group of the device */
async function count(who: string, command: readonly string[]): Promise<Counts> {
  const file = `/run/${who}.strace`;
  using vmm = new Vmm(["strace", "-f", "-qq", "-y", "-e", "signal=none", "-o", file, ...command]);
  const { status, output } = await vmm.end();
  expect([status, output]).toEqual([0, expect.stringContaining("bound\n")]);
  const lines = readFileSync(file, "utf8").split("\n");
  const opened = lines.findIndex((line) => /"\/dev\/vfio\/\d/.test(line));
  expect(opened).toBeGreaterThan(0);
  const counts: Record<string, number> = { all: 0 };
  const add = (name: string): number => (counts[name] = (counts[name] ?? 0) + 1);
  for (const line of lines.slice(opened)) {
    const [, name, rest = ""] = /^\d+ +(\w+)\((.*)/.exec(line) ?? [];
    if (name === undefined) continue;
    add("all");
    const request = name === "ioctl" ? /, (\w+)/.exec(rest)?.[1] : undefined;
    if (request === "KVM_RUN") add(request);
    if (/^\d+<anon_inode:\[vfio-device\]>/.test(rest)) {
      add("of the device");
      add(request ?? name);
    }
  }
  return counts as unknown as Counts;
}

test("from the device's opening to its driver's binding the example makes fewer, in all and of the device", async () => {
  const ours = await count("ours", bootCommand(initramfs, "--device", bdf, "--api", "group"));
  const theirs = await count("theirs", peerCommand(initramfs, 1, `vfio-pci,host=${bdf}`));
  console.table({ ours, theirs });
  expect(ours.all).toBeLessThan(theirs.all);
  expect(ours["KVM_RUN"]).toBeLessThan(theirs["KVM_RUN"]! / 4);
  expect(ours["of the device"]).toBeLessThan(theirs["of the device"]!);
});
