// machines: (vmm)
// takes: 60 s
// The NVMe disk of examples/devices in a guest of the example VMM: Linux's own driver has it, through a reset, until it is unplugged
// under load.
import "./support/devices.ts";
import { createHash } from "node:crypto";
import { closeSync, openSync, readFileSync, truncateSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "bun:test";
import { serveDevice, type ServerEvent } from "bun-vfio/vfio-user";
import { Sandbox } from "../../support/sandbox.ts";
import { boot, makeInitramfs } from "./support/nested-linux.ts";

const MiB = 2 ** 20;

test("Linux's nvme writes and reads it, the file has it; after a reset, too; unplugged while it writes, it goes and so does the client", async () => {
  using box = new Sandbox();
  const [socket, path] = [join(box.path, "nvme.sock"), join(box.path, "disk")];
  closeSync(openSync(path, "w"));
  truncateSync(path, 16 * MiB);
  const events: ServerEvent[] = [];
  const module = new URL("../../../examples/devices/nvme/nvme.ts", import.meta.url);
  const options = { socket, onEvent: (event: ServerEvent) => void events.push(event) };
  await using server = serveDevice(module, options, { namespaces: [path], serial: "SOCKET" });
  await server.ready;
  const initramfs = makeInitramfs(
    `
      until [ -e /dev/nvme0n1 ]; do usleep 100000; done
      echo "serial $(cat /sys/class/nvme/nvme0/serial)"
      dd if=/dev/urandom of=data bs=1M count=4 2>/dev/null
      dd if=data of=/dev/nvme0n1 bs=1M oflag=direct 2>/dev/null
      echo "written $(sha256sum <data)"
      echo "read $(dd if=/dev/nvme0n1 bs=64k count=64 iflag=direct 2>/dev/null | sha256sum)"
      echo 1 >/sys/class/nvme/nvme0/reset_controller
      echo "after $(dd if=/dev/nvme0n1 bs=1M count=4 iflag=direct 2>/dev/null | sha256sum)"
      sed -n 's/^.*: *\\([0-9]*\\) *\\([0-9]*\\) .*PCI-MSIX.* \\(nvme0q[0-9]*\\)$/interrupts \\3 \\1 \\2/p' /proc/interrupts
      (while dd if=/dev/zero of=/dev/nvme0n1 bs=64k seek=128 count=16 oflag=direct 2>/dev/null; do :; done; echo "the writer ends") &
      usleep 300000
      echo ready
      while [ -e /sys/bus/pci/devices/0000:00:01.0 ]; do usleep 50000; done
      wait
      [ -e /dev/nvme0n1 ] || echo "the disk is gone"
    `,
    ["nvme"],
  );
  using vmm = boot(initramfs, "--cpus", "2", "--device", `vfio-user:${socket}`);
  await vmm.hear("ready");
  vmm.type("\x01d1\r");
  await vmm.hear(`vfio-user:${socket} has left slot 1`);
  const { status, output } = await vmm.end();
  expect(status).toBe(0);
  const after = (word: string): string | undefined =>
    new RegExp(`^${word} (.*)$`, "m").exec(output)?.[1]?.trim();
  expect(after("serial")).toBe("SOCKET");
  const hash = createHash("sha256")
    .update(readFileSync(path).subarray(0, 4 * MiB))
    .digest("hex");
  for (const word of ["written", "read", "after"]) expect([word, after(word)]).toEqual([word, `${hash}  -`]);
  const lines = [...output.matchAll(/^interrupts (\S+) (\d+) (\d+)$/gm)];
  expect(lines.map(([, queue]) => queue)).toEqual(["nvme0q0", "nvme0q1", "nvme0q2"]);
  const [own, ...others] = lines.map(([, , first, second]) => Number(first) + Number(second));
  // Of the other two, the queue of whichever CPU has read and written.
  expect([own! > 0, others.some((count) => count > 0)]).toEqual([true, true]);
  expect(output).toContain("the writer ends\n");
  expect(output).toContain("the disk is gone\n");
  expect(events.map(({ kind }) => kind)).toEqual(["client-connected", "client-left"]);
});
