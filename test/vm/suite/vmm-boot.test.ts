// machines: (vmm)
// takes: 30 s
// The example VMM boots Debian's kernel: its machine is what Linux needs, and no more.
import { expect, test } from "bun:test";
import "./support/devices.ts";
import { boot, makeInitramfs } from "./support/nested-linux.ts";

test("Linux finds two CPUs, the devices, config space by both ways, and turns the machine off", async () => {
  using vmm = boot(
    makeInitramfs(`
      echo "cpus $(grep -c ^processor /proc/cpuinfo)"
      echo "bridge $(cat /sys/bus/pci/devices/0000:00:00.0/class)"
      echo "config space $(wc -c </sys/bus/pci/devices/0000:00:00.0/config)"
      echo "clock $(cat /sys/devices/system/clocksource/clocksource0/current_clocksource)"
      echo "year $(cut -d- -f1 /sys/class/rtc/rtc0/date)"
      echo "memory $(sed -n 's/MemTotal: *\\([0-9]*\\).*/\\1/p' /proc/meminfo)"
      taskset -p 1 $$ >/dev/null && taskset -p 2 $$ >/dev/null && echo "both CPUs run"
      grep ttyS0 /proc/interrupts | grep -q -- '4-edge' && echo "serial port by interrupt"
    `),
    ...["--cpus", "2"],
  );
  const { status, output, said } = await vmm.end();
  expect({ status, said }).toEqual({ status: 0, said: "" });
  for (const line of [
    ...[
      "cpus 2",
      "bridge 0x060000",
      "config space 4096",
      "clock kvm-clock",
      `year ${new Date().getUTCFullYear()}`,
    ],
    ...["both CPUs run", "serial port by interrupt"],
  ])
    expect(output).toContain(`${line}\n`);
  expect(Number(/memory (\d+)/.exec(output)?.[1])).toBeWithin(180 * 1024, 256 * 1024);
});

test("a guest that resets itself begins again; Ctrl-A x ends it", async () => {
  using vmm = boot(makeInitramfs("read -r word; echo $word; reboot -f"));
  await vmm.hear("L2 up");
  vmm.type("first\r");
  await vmm.hear("first\n");
  await vmm.hear("L2 up", 2);
  vmm.type("\x01x");
  expect((await vmm.end()).status).toBe(0);
});
