// machines: (vmm)
// takes: 40 s
// Devices leave the example VMM's guest while it runs: a person wants one back, and the host the other.
import { afterAll, expect, test } from "bun:test";
import { bindTo, driverOf, find, take } from "./support/devices.ts";
import { boot, makeInitramfs } from "./support/nested-linux.ts";

afterAll(() => {
  for (const name of ["nvme", "edu"] as const) bindTo(find(name), undefined);
});

test("the guest lets go of both, and the host has them again before the guest ends", async () => {
  const [nvme, edu] = [take("nvme"), take("edu")];
  const initramfs = makeInitramfs(
    `
      slots=/sys/bus/pci/devices
      until [ -e /dev/nvme0n1 ]; do usleep 100000; done
      echo ready
      while [ -e $slots/0000:00:01.0 ]; do usleep 50000; done
      [ -e /dev/nvme0n1 ] || echo "the disk is gone"
      while [ -e $slots/0000:00:02.0 ]; do usleep 50000; done
      echo "left: $(ls $slots)"
      read -r word
      echo "read $word"
    `,
    ["nvme"],
  );
  using vmm = boot(initramfs, "--device", nvme, "--device", edu, "--api", "iommufd");
  await vmm.hear("ready");
  vmm.type("\x01d1\r");
  await vmm.hear(`${nvme} has left slot 1`);
  bindTo(nvme, undefined);
  await vmm.hear("the disk is gone");
  // It waits in the kernel until the VMM has closed the device.
  const unbind = Bun.spawn(["sh", "-c", `echo ${edu} >/sys/bus/pci/drivers/vfio-pci/unbind`]);
  await vmm.hear(`the host wants ${edu} back`);
  await vmm.hear(`${edu} has left slot 2`);
  expect([await unbind.exited, driverOf(edu)]).toEqual([0, undefined]);
  await vmm.hear("left:");
  vmm.type("on\r");
  const { status, output } = await vmm.end();
  expect(status).toBe(0);
  expect(output).toContain("left: 0000:00:00.0\n");
  expect(output).toContain("read on\n");
});
