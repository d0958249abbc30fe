// machines: (vmm)
// takes: 60 s
// Two guests of the example VMM at once, each with a virtual function of the same network card, which stays the host's.
import { afterAll, beforeAll, expect, test } from "bun:test";
import { readdirSync, readlinkSync, writeFileSync } from "node:fs";
import { bindTo, find, sysDevices } from "./support/devices.ts";
import { boot, makeInitramfs } from "./support/nested-linux.ts";

const physical = `${sysDevices}/${find("igb")}`;
const functions = (): string[] =>
  [0, 1].map((i) => readlinkSync(`${physical}/virtfn${i}`).split("/").at(-1)!);

beforeAll(() => {
  expect(Bun.spawnSync(["modprobe", "igb"]).exitCode).toBe(0);
  bindTo(find("igb"), "igb");
  writeFileSync(`${physical}/sriov_numvfs`, "2");
  const [card] = readdirSync(`${physical}/net`);
  expect(Bun.spawnSync(["ip", "link", "set", card!, "up"]).exitCode).toBe(0);
  for (const bdf of functions()) bindTo(bdf, "vfio-pci");
});
afterAll(() => {
  writeFileSync(`${physical}/sriov_numvfs`, "0");
  bindTo(find("igb"), undefined);
});

test("each guest's driver has its own function, with a link and interrupts, while the other's runs", async () => {
  const initramfs = makeInitramfs(
    `
      ip link set eth0 up
      for i in $(seq 200); do [ "$(cat /sys/class/net/eth0/carrier)" = 1 ] && break; usleep 100000; done
      echo "driver $(basename "$(readlink /sys/class/net/eth0/device/driver)") link $(cat /sys/class/net/eth0/carrier)"
      echo "address $(cat /sys/class/net/eth0/address)"
      udhcpc -i eth0 -n -q -t 5 -T 1 -s /bin/true 2>&1 | sed -n "s/.*lease of \\([0-9.]*\\) obtained.*/lease \\1/p"
      sed -n "s/^.*: *\\([0-9]*\\) .*PCI-MSIX.* \\(eth0[^ ]*\\)$/interrupts \\2 \\1/p" /proc/interrupts
      echo ready
      read -r word
    `,
    ["igbvf"],
  );
  const [first, second] = functions() as [string, string];
  using one = boot(initramfs, "--device", first, "--api", "group");
  await one.hear("ready");
  using two = boot(initramfs, "--device", second, "--api", "group");
  await two.hear("ready");
  for (const vmm of [one, two]) vmm.type("\r");
  const runs = [await one.end(), await two.end()];
  const addresses = runs.map(({ status, output, said }) => {
    expect({ status, said }).toEqual({ status: 0, said: "" });
    expect(output).toContain("driver igbvf link 1\n");
    expect(output).toMatch(/^lease 10\.0\.2\.\d+$/m);
    const counts = [...output.matchAll(/^interrupts (\S+) (\d+)$/gm)];
    expect(counts.map(([, vector]) => vector)).toEqual(["eth0-tx-0", "eth0-rx-0", "eth0"]);
    for (const [line, , count] of counts.slice(0, 2)) expect([line, Number(count) > 0]).toEqual([line, true]);
    return /^address (.*)$/m.exec(output)?.[1];
  });
  expect(new Set(addresses).size).toBe(2);
});
