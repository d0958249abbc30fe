// machines: (vmm)
// takes: 60 s
// Several devices of the host in one guest that the example VMM boots: Linux's own drivers have them.
import { afterAll, expect, test } from "bun:test";
import { bindTo, find, take, type DeviceName } from "./support/devices.ts";
import { boot, makeInitramfs } from "./support/nested-linux.ts";

const passed: readonly DeviceName[] = ["e1000e", "igb", "edu"];
afterAll(() => {
  for (const name of passed) bindTo(find(name), undefined);
});

test("e1000e and igb have their links, their interrupts and an address; edu's registers are the guest's", async () => {
  const initramfs = makeInitramfs(
    `
      ip link set lo up
      for card in eth0 eth1; do
        ip link set $card up
        driver=$(basename "$(readlink /sys/class/net/$card/device/driver)")
        for i in $(seq 100); do [ "$(cat /sys/class/net/$card/carrier)" = 1 ] && break; usleep 100000; done
        echo "$driver link $(cat /sys/class/net/$card/carrier)"
        udhcpc -i $card -n -q -t 10 -s /bin/true 2>&1 | sed -n "s/.*lease of \\([0-9.]*\\) obtained.*/$driver address \\1/p"
        sed -n "s/^.*: *\\([0-9]*\\) .*PCI-MSIX.* \\($card[^ ]*\\)$/$driver interrupts \\2 \\1/p" /proc/interrupts
      done
      edu=/sys/bus/pci/devices/0000:00:03.0
      echo 1 >$edu/enable
      bar=$(head -1 $edu/resource | cut -d' ' -f1)
      echo "edu $(devmem $bar 32)"
      devmem $((bar + 4)) 32 0x12345678
      echo "edu $(devmem $((bar + 4)) 32)"
    `,
    ["e1000e", "igb"],
  );
  using vmm = boot(initramfs, ...passed.flatMap((name) => ["--device", take(name)]), "--api", "group");
  const { status, output, said } = await vmm.end();
  expect({ status, said }).toEqual({ status: 0, said: "" });
  for (const driver of ["e1000e", "igb"]) {
    expect(output).toContain(`${driver} link 1\n`);
    expect(output).toContain(`${driver} address 10.0.2.15\n`);
    const counts = [...output.matchAll(new RegExp(`^${driver} interrupts (\\S+) (\\d+)$`, "gm"))];
    expect(counts.length).toBeGreaterThan(1);
    expect(counts.filter(([, , count]) => Number(count) > 0).length).toBeGreaterThan(1);
  }
  expect(output).toContain("edu 0x010000ED\nedu 0xEDCBA987\n");
});
