// machines: (vmm)
// takes: 120 s
// The example VMM beside Debian's QEMU: the same kernel, initramfs and disk. What both did is compared; how long it took is
// only printed, since the machine is emulated and others may use its host.
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, expect, test } from "bun:test";
import { Mapping } from "../../../src/ffi/mapping.ts";
import { compileExample } from "../../support/vmm-executable.ts";
import { bindTo, take } from "./support/devices.ts";
import { bootWords, exampleCommand, makeInitramfs, Vmm } from "./support/nested-linux.ts";
import { peerCommand } from "./support/peer.ts";

const bdf = take("nvme");
/** Left alone when free memory is cleared, in bytes. */
const spared = 48 * 2 ** 20;
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

/**
 * Clears the machine's free memory. Its processor is emulated: what it has translated of a guest's code is thrown away where that
 * memory is written to again, and costs who comes next up to 3 s when the 256 MiB are cleared.
 */
function clearFreeMemory(): void {
  const [, free] = /^MemFree: +(\d+) kB$/m.exec(readFileSync("/proc/meminfo", "utf8"))!;
  using _ = new Mapping({ size: Number(free) * 1024 - spared, name: "free memory", populate: true });
}

/** Boots once and ends it: programs are in the page cache then, and translated. */
async function warmUp(command: readonly string[]): Promise<void> {
  const vmm = new Vmm(command);
  await vmm.hear("L2 up");
  vmm[Symbol.dispose]();
  await vmm.end();
}

async function measureFrom(command: readonly string[]): Promise<Result> {
  clearFreeMemory();
  const started = performance.now();
  using vmm = new Vmm(command);
  return await measure(vmm, started);
}

test("both boot, and hand the disk on; the example's guest reads it by as many interrupts", async () => {
  const folder = mkdtempSync(join(tmpdir(), "executable-"));
  try {
    const words = bootWords(initramfs, "--device", bdf, "--api", "group");
    const peer = peerCommand(initramfs, 1, `vfio-pci,host=${bdf}`);
    const example = [compileExample(folder), ...words];
    await warmUp(peer);
    await warmUp(example);
    const theirs = await measureFrom(peer);
    const ours = await measureFrom(example);
    // Their Bun is the one that runs this test, and warm.
    const sources = await measureFrom(exampleCommand(...words));
    // Seconds from the start of the program, exits till then, seconds of the guest's clock.
    console.table({ theirs, ours, sources });
    const queues = ({ interrupts }: Result): number[] =>
      [...interrupts!.matchAll(/nvme0q\d+ (\d+)/g)].map(([, count]) => Number(count));
    for (const result of [theirs, ours, sources]) {
      const [admin, reads] = queues(result);
      expect(admin).toBeGreaterThan(0);
      // A completion or two may come together, and boot reads a little.
      expect(reads).toBeGreaterThan(900);
    }
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
});
