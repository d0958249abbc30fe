// machines: (vmm)
// takes: 40 s
// edu in a Linux guest: its line-based interrupts one after the other, its DMA both ways, and none past the guest's memory.
import { afterAll, expect, test } from "bun:test";
import { bindTo, find, take } from "./support/devices.ts";
import { boot, commandLine, makeInitramfs } from "./support/nested-linux.ts";

afterAll(() => bindTo(find("edu"), undefined));

test("INTx 40 times, none lost and none stuck; DMA both ways; DMA past the memory is blocked, and all goes on", async () => {
  // Linux leaves the last 16 MiB alone, and lets /dev/mem have them.
  const initramfs = makeInitramfs(
    `
      edu=/sys/bus/pci/devices/0000:00:01.0
      config() { at=$1; shift; printf "$(printf '\\\\%s' "$@")" | dd of=$edu/config bs=$# oflag=seek_bytes seek=$at conv=notrunc 2>/dev/null; }
      echo "1234 11e8" >/sys/bus/pci/drivers/uio_pci_generic/new_id
      for i in $(seq 100); do [ ! -e /dev/uio0 ] || break; usleep 50000; done
      bar=$(head -1 $edu/resource | cut -d' ' -f1)
      reg() { at=$(($bar + $1)); shift; devmem $at "$@"; }
      # Open all the time: who opens hears of what comes later.
      exec 3</dev/uio0
      next() { timeout $1 dd bs=4 count=1 <&3 2>/dev/null | od -An -tu4 | tr -d ' '; }
      # Memory, bus mastering, INTx not disabled, which the driver does at each interrupt.
      config 4 6 0
      for i in $(seq 40); do
        reg 0x60 32 $i
        number=$(next 20)
        [ "$number" = $i ] || echo "interrupt $i is number $number"
        [ $(($(reg 0x24 32))) = $i ] || echo "cause of $i is $(reg 0x24 32)"
        reg 0x64 32 $i
        config 4 6 0
      done
      echo "then nothing: <$(next 1)>"
      echo "counted $(sed -n 's/^ *[0-9]*: *\\([0-9]*\\) .*uio_pci_generic$/\\1/p' /proc/interrupts)"
      dma() {
        reg 0x80 64 $1; reg 0x88 64 $2; reg 0x90 64 8; reg 0x98 64 $3
        for i in $(seq 200); do [ $(($(reg 0x98 64) & 1)) != 0 ] || return; usleep 20000; done
        echo "DMA does not end"
      }
      own=$((176 << 20))
      devmem $own 32 0x11223344
      devmem $((own + 4)) 32 0x55667788
      dma $own 0x40000 1
      dma 0x40000 $((own + 4096)) 3
      echo "moved $(devmem $((own + 4096)) 32) $(devmem $((own + 4100)) 32)"
      dma 0x40000 $((200 << 20)) 3
      dma 0x40000 $((own + 8192)) 3
      echo "on $(devmem $((own + 8192)) 32)"
    `,
    ["uio_pci_generic"],
  );
  Bun.spawnSync(["dmesg", "-c"]);
  const size = ["--memory", "192M", "--cmdline", `${commandLine} memmap=16M$176M iomem=relaxed`];
  using vmm = boot(initramfs, ...size, "--device", take("edu"));
  const { status, output, said } = await vmm.end();
  expect([status, said.replace(/^.*peer-unavailable.*\n/gm, "")]).toEqual([0, ""]);
  const lines = output.match(/^(interrupt|cause|then|counted|DMA|moved|on) ?.*$/gm) ?? [];
  expect([...lines]).toEqual([
    ...["then nothing: <>", "counted 40", "moved 0x11223344 0x55667788", "on 0x11223344"],
  ]);
  expect(Bun.spawnSync(["dmesg"]).stdout.toString()).toMatch(/DMAR: .*fault/);
});
