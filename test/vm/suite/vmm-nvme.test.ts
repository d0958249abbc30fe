// machines: (vmm)
// takes: 60 s
// A disk of the host in a guest that the example VMM boots: Linux's own driver has it, interrupts and DMA included.
import { createHash } from "node:crypto";
import { closeSync, openSync, readSync } from "node:fs";
import { afterAll, expect, test } from "bun:test";
import { MiB } from "../../../examples/vmm/layout.ts";
import { bindTo, find, take } from "./support/devices.ts";
import { boot, makeInitramfs } from "./support/nested-linux.ts";

const size = 8 * MiB;
const hashOf = (bytes: Uint8Array): string => createHash("sha256").update(bytes).digest("hex");

/** The beginning of what is behind the disk, as the host of this machine has it. */
function backing(): Uint8Array {
  const bytes = new Uint8Array(size);
  const file = openSync("/out/disk-nvme.img", "r");
  try {
    for (let done = 0; done < size;) {
      const count = readSync(file, bytes, done, size - done, done);
      if (count === 0) throw new Error("the disk is too short");
      done += count;
    }
  } finally {
    closeSync(file);
  }
  return bytes;
}

const initramfs = makeInitramfs(
  `
    for i in $(seq 100); do [ ! -e /dev/nvme0n1 ] || break; usleep 100000; done
    slot=/sys/bus/pci/devices/0000:00:01.0
    echo "driver $(basename "$(readlink $slot/driver)")"
    echo "serial $(cat /sys/class/nvme/nvme0/serial)"
    for cpu in 0 1; do
      echo 3 >/proc/sys/vm/drop_caches
      dd if=/dev/urandom of=data bs=1M count=4 2>/dev/null
      cat data >>all
      taskset $((cpu + 1)) dd if=data of=/dev/nvme0n1 bs=1M seek=$((4 * cpu)) oflag=direct 2>/dev/null
    done
    dd if=/dev/nvme0n1 of=back bs=1M count=8 iflag=direct 2>/dev/null
    echo "written $(sha256sum <all | cut -d' ' -f1)"
    echo "read $(sha256sum <back | cut -d' ' -f1)"
    sed -n 's/^.*: *\\([0-9]*\\) *\\([0-9]*\\) .*PCI-MSIX.* \\(nvme0q[0-9]*\\)$/interrupts \\3 \\1 \\2/p' /proc/interrupts
  `,
  ["nvme"],
);

afterAll(() => bindTo(find("nvme"), undefined));

for (const api of ["group", "iommufd"])
  test(`${api}: the driver binds, each of its queues has its interrupt, 8 MiB are on the disk`, async () => {
    using vmm = boot(initramfs, "--cpus", "2", "--device", take("nvme"), "--api", api);
    const { status, output, said } = await vmm.end();
    expect(status).toBe(0);
    // An iommufd of this kernel maps no BAR for other devices, which is told; nothing else is worth a word.
    const words = said.split("\n").filter(Boolean);
    expect(words).toEqual(api === "group" ? [] : [expect.stringContaining("peer-unavailable: BAR0")]);
    const after = (word: string): string | undefined =>
      new RegExp(`^${word} (.*)$`, "m").exec(output)?.[1]?.trim();
    expect([after("driver"), after("serial")]).toEqual(["nvme", "BUNVFIO0"]);
    expect(after("written")).toBe(hashOf(backing()));
    expect(after("read")).toBe(after("written"));
    const lines = [...output.matchAll(/^interrupts (\S+) (\d+) (\d+)$/gm)];
    expect(lines.map(([, queue]) => queue)).toEqual(["nvme0q0", "nvme0q1", "nvme0q2"]);
    for (const [line, , first, second] of lines)
      expect([line, Number(first) + Number(second) > 0]).toEqual([line, true]);
  });
