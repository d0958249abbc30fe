// machines: (vmm)
// takes: 90 s
// A guest may do with its device what it likes: it has it again afterwards, and the VMM takes no
// notice and holds what it held.
import { afterAll, expect, test } from "bun:test";
import { RegionIndex } from "../../../src/regs/vfio/regions.ts";
import { openDevice } from "../../../src/device/backends/kernel/open-device.ts";
import { bindTo, find, take } from "./support/devices.ts";
import { boot, makeInitramfs, withLibraries } from "./support/nested-linux.ts";

afterAll(() => bindTo(find("nvme"), undefined));

test("removing, rescanning, moving BARs, resetting, sleeping, binding 50 times, rebooting", async () => {
  const initramfs = makeInitramfs(
    `
      slot=/sys/bus/pci/devices/0000:00:01.0
      wait_for() { for i in $(seq 200); do [ ! -e $1 ] || return 0; usleep 50000; done; echo "no $1"; }
      # config OFFSET BYTE...: writes bytes in octal into config space, all at once
      config() { at=$1; shift; printf "$(printf '\\\\%s' "$@")" | dd of=$slot/config bs=$# oflag=seek_bytes seek=$at conv=notrunc 2>/dev/null; }
      hash() { wait_for /dev/nvme0n1; dd if=/dev/nvme0n1 bs=1M count=1 iflag=direct 2>/dev/null | sha256sum | cut -d' ' -f1; }
      wait_for /dev/nvme0n1
      if dd if=/dev/nvme0n1 bs=512 count=1 skip=4096 iflag=direct 2>/dev/null | grep -q "was here"; then
        echo "again after reboot"
        poweroff -f
      fi
      dd if=/dev/urandom of=/dev/nvme0n1 bs=1M count=1 oflag=direct 2>/dev/null
      before=$(hash)
      check() { if [ "$(hash)" = "$before" ]; then echo "ok $1"; else echo "broken $1"; fi; }
      check "as it is"
      read -r word
      echo 1 >$slot/remove
      echo 1 >/sys/bus/pci/rescan
      check "removed and rescanned"
      echo 1 >$slot/reset
      check "reset"
      lspci -xxxx >/dump
      echo "dump $(grep -c '^ff0:' /dump) of $(grep -c '^00: ' /dump), $(lspci -s 00:01.0 -xxxx | grep -c '^[0-9a-f]*0: ')"
      check "config space read"
      echo 0000:00:01.0 >/sys/bus/pci/drivers/nvme/unbind
      # The table of MSI-X, in the page after the registers, in every width.
      config 4 6 0
      table=$(($(head -1 $slot/resource | cut -d' ' -f1) + 0x2000))
      for width in 8 16 32 64; do
        devmem $((table + 8)) $width 0xff
        echo "$width $(devmem $((table + 8)) $width)"
      done
      # The BAR sized with decoding off and on, in every width, and left where nothing is; the driver's probe puts it back.
      config 4 0 0
      config 16 377 377 377 377
      config 16 377 377
      config 17 377
      config 4 6 0
      config 16 0 0 360 377 0 0 0 0
      config 16 4 0 0 0 0 0 0 0
      # D3 and back.
      pm=$(od -An -tu1 -j52 -N1 $slot/config | tr -d ' ')
      while [ "$pm" != 0 ] && [ "$(od -An -tu1 -j$pm -N1 $slot/config | tr -d ' ')" != 1 ]; do
        pm=$(od -An -tu1 -j$((pm + 1)) -N1 $slot/config | tr -d ' ')
      done
      config $((pm + 4)) 3 0
      usleep 20000
      config $((pm + 4)) 0 0
      usleep 20000
      # All ones to every capability, PCI Express's reset and D3 among them.
      for at in $(seq 64 4 252); do setpci -s 00:01.0 $(printf %x.L $at)=ffffffff; done
      tr '\\0' '\\377' </dev/zero | dd of=$slot/config bs=3840 count=1 iflag=fullblock oflag=seek_bytes seek=256 conv=notrunc 2>/dev/null
      usleep 200000
      config $((pm + 4)) 0 0
      usleep 20000
      echo 1 >$slot/remove
      echo 1 >/sys/bus/pci/rescan
      check "moved, slept, scribbled over"
      for i in $(seq 50); do
        echo 0000:00:01.0 >/sys/bus/pci/drivers/nvme/unbind
        echo 0000:00:01.0 >/sys/bus/pci/drivers/nvme/bind
      done
      check "bound 50 times"
      read -r word
      echo "was here" | dd of=/dev/nvme0n1 bs=512 count=1 seek=4096 conv=sync oflag=direct 2>/dev/null
      reboot -f
    `,
    ["nvme"],
    withLibraries("/bin/lspci", "/bin/setpci"),
  );
  const bdf = take("nvme");
  using vmm = boot(initramfs, "--device", bdf, "--api", "group");
  await vmm.hear("ok as it is");
  const before = vmm.held();
  expect(before.filter((name) => /vfio/.test(name)).length).toBeGreaterThan(1);
  vmm.type("\r");
  await vmm.hear("bound 50 times");
  expect(vmm.held()).toEqual(before);
  vmm.type("\r");
  const { status, output, said } = await vmm.end();
  expect(status).toBe(0);
  // What was put where there is no window for BARs was told.
  expect(said.match(/^vmm: .*$/gm)?.filter((line) => !line.includes("bar-unplaced"))).toEqual([]);
  expect([...(output.match(/^(ok|broken|no|again|dump|8|16|32|64) .*$/gm) ?? [])]).toEqual([
    ...["ok as it is", "ok removed and rescanned", "ok reset", "dump 2 of 2, 256"],
    ...["ok config space read"],
    ...["8 0xFF", "16 0x00FF", "32 0x000000FF", "64 0x00000000000000FF"],
    ...["ok moved, slept, scribbled over"],
    ...["ok bound 50 times", "again after reboot"],
  ]);
  // Who opens it next finds it as it was.
  using device = openDevice(bdf);
  const ids = new Uint8Array(4);
  device.read(RegionIndex.config, 0, ids);
  expect(new DataView(ids.buffer).getUint32(0, true)).toBe(0x0010_1b36);
  expect(device.regions[0]?.size).toBe(0x4000);
});
