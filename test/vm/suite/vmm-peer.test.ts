// machines: (vmm)
// takes: 100 s
// The example VMM beside Debian's QEMU: the same kernel, initramfs and disk. What both did is compared; how long it took is
// only printed, since the machine is emulated and others may use its host.
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, expect, test } from "bun:test";
import { bundleExample } from "../../support/vmm-bundle.ts";
import { bindTo, take } from "./support/devices.ts";
import { boot, bootCommand, makeInitramfs, Vmm } from "./support/nested-linux.ts";
import { bootPeer } from "./support/peer.ts";

const bdf = take("nvme");
afterAll(() => bindTo(bdf, undefined));

const initramfs = makeInitramfs(
  `
    for i in $(seq 100); do [ ! -e /dev/nvme0n1 ] || break; usleep 100000; done
    echo bound
    now() { cut -d' ' -f1 /proc/uptime; }
    for way in "4k 1000" "1M 16"; do
      set -- $way
      begin=$(now)
      dd if=/dev/nvme0n1 of=/dev/null bs=$1 count=$2 iflag=direct 2>/dev/null
      echo "read $2 of $1 from $begin to $(now)"
    done
    echo "interrupts $(sed -n 's/^.*: *\\([0-9]*\\) .*PCI-MSIX.* \\(nvme0q[0-9]*\\)$/\\2 \\1/p' /proc/interrupts | tr '\\n' ' ')"
    echo asked
    read -r word
  `,
  ["nvme"],
);

/** What KVM counts of the machine that runs. */
function counted(name: string): number {
  const folder = "/sys/kernel/debug/kvm";
  const [machine] = readdirSync(folder, { withFileTypes: true }).filter((entry) => entry.isDirectory());
  return Number(readFileSync(`${folder}/${machine!.name}/${name}`, "utf8"));
}

interface Result {
  readonly [what: string]: string;
}

async function measure(vmm: Vmm, started: number): Promise<Result> {
  const since = (): string => ((performance.now() - started) / 1000).toFixed(1);
  await vmm.hear("L2 up");
  const userland = since();
  await vmm.hear("bound");
  const driver = since();
  const exits = { io: counted("io_exits"), mmio: counted("mmio_exits") };
  await vmm.hear("asked");
  vmm.type("\r");
  const { status, output } = await vmm.end();
  expect(status).toBe(0);
  const found = (what: RegExp): string => what.exec(output)?.[1] ?? "none";
  const took = (what: string): string => {
    const [, begin, end] = new RegExp(`^read ${what} from (\\S+) to (\\S+)$`, "m").exec(output) ?? [];
    return (Number(end) - Number(begin)).toFixed(2);
  };
  return {
    ...{ userland, driver, "I/O exits": String(exits.io), "MMIO exits": String(exits.mmio) },
    ...{
      "1000 of 4 KiB": took("1000 of 4k"),
      "16 MiB": took("16 of 1M"),
    },
    interrupts: found(/^interrupts (.*)$/m).trim(),
  };
}

/** The example as the few files that its README makes of it. */
async function measureBundle(): Promise<Result> {
  const folder = mkdtempSync(join(tmpdir(), "bundle-"));
  try {
    const main = bundleExample(folder);
    const [bun, , ...words] = bootCommand(initramfs, "--device", bdf, "--api", "group");
    const started = performance.now();
    using vmm = new Vmm([bun!, main, ...words]);
    return await measure(vmm, started);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

test("both boot, and hand the disk on; the example's guest reads it by as many interrupts", async () => {
  let started = performance.now();
  using peer = bootPeer(initramfs, 1, `vfio-pci,host=${bdf}`);
  const theirs = await measure(peer, started);
  started = performance.now();
  using vmm = boot(initramfs, "--device", bdf, "--api", "group");
  const ours = await measure(vmm, started);
  const bundled = await measureBundle();
  // Seconds from the start of the program, exits till then, seconds of the guest's clock.
  console.table({ theirs, ours, bundled });
  const queues = ({ interrupts }: Result): number[] =>
    [...interrupts!.matchAll(/nvme0q\d+ (\d+)/g)].map(([, count]) => Number(count));
  expect([ours, theirs, bundled].map((result) => queues(result).length)).toEqual([2, 2, 2]);
  // A completion or two may come together, and boot reads a little.
  expect(queues(ours)[1]).toBeGreaterThan(900);
  expect(queues(theirs)[1]).toBeGreaterThan(900);
});
