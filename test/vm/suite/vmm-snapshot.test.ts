// machines: (vmm)
// takes: 80 s
// A machine as a file: saved while its guest counts, it counts on in another process.
import { afterAll, expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, renameSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { bindTo, take } from "./support/devices.ts";
import { boot, makeInitramfs, startExample } from "./support/nested-linux.ts";

const edu = take("edu");
afterAll(() => bindTo(edu, undefined));

/** For the guest's shell: `raise N` has edu raise its interrupt pin, and hears it by uio. */
const pinByPin = `
  edu=/sys/bus/pci/devices/0000:00:01.0
  # Memory and bus mastering; the second byte disables INTx with 4, as the driver does at each interrupt.
  command() { printf "$(printf '\\\\%s' 6 $1)" | dd of=$edu/config bs=2 oflag=seek_bytes seek=4 conv=notrunc 2>/dev/null; }
  echo "1234 11e8" >/sys/bus/pci/drivers/uio_pci_generic/new_id
  for i in $(seq 100); do [ ! -e /dev/uio0 ] || break; usleep 50000; done
  bar=$(head -1 $edu/resource | cut -d' ' -f1)
  reg() { at=$(($bar + $1)); shift; devmem $at "$@"; }
  exec 3</dev/uio0
  next() { timeout $1 dd bs=4 count=1 <&3 2>/dev/null | od -An -tu4 | tr -d ' '; }
  # Raised, heard, taken back.
  raise() { reg 0x60 32 $1; echo "$1 is number $(next 20)"; reg 0x64 32 $1; command 0; }
`;

test("interrupts by the pin go on where they were", async () => {
  const folder = mkdtempSync(join(tmpdir(), "saved-"));
  try {
    const file = join(folder, "machine.json");
    const initramfs = makeInitramfs(
      `
        ${pinByPin}
        command 0
        raise 1; raise 2
        echo "two before"
        read -r word
        raise 3; raise 4
        echo "then nothing: <$(next 1)>"
      `,
      ["uio_pci_generic"],
    );
    using before = boot(initramfs, "--device", edu, "--snapshot", file);
    await before.hear("two before");
    before.type("\x01s");
    const saved = await before.end();
    expect(saved.status).toBe(0);
    using after = startExample("--restore", file);
    after.type("\r");
    const { status, output } = await after.end();
    expect(status).toBe(0);
    const heard = (text: string): string[] => [...(text.match(/^(\d is|then) .*$/gm) ?? [])];
    expect(heard(saved.output)).toEqual(["1 is number 1", "2 is number 2"]);
    expect(heard(output)).toEqual(["3 is number 3", "4 is number 4", "then nothing: <>"]);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
});

test("two CPUs, a clock, a serial port, a device's BAR: nothing is lost between save and restore", async () => {
  const folder = mkdtempSync(join(tmpdir(), "saved-"));
  try {
    const file = join(folder, "machine.json");
    const initramfs = makeInitramfs(`
      edu=/sys/bus/pci/devices/0000:00:01.0
      echo 1 >$edu/enable
      bar=$(head -1 $edu/resource | cut -d' ' -f1)
      echo "edu $(devmem $bar 32)"
      for i in $(seq 1 12); do echo "count $i on $(taskset $((i % 2 + 1)) cat /proc/uptime)"; sleep 1; done
      echo "still $(devmem $bar 32)"
      echo "cpus $(grep -c ^processor /proc/cpuinfo)"
    `);
    using before = boot(initramfs, "--cpus", "2", "--device", edu, "--snapshot", file);
    await before.hear("count 3 on");
    before.type("\x01s");
    const saved = await before.end();
    expect([saved.status, saved.said]).toEqual([0, expect.stringContaining(`vmm: saved to ${file}\n`)]);
    for (const end of ["", ".ram"]) expect(statSync(`${file}${end}`).mode & 0o777).toBe(0o600);
    expect(JSON.parse(readFileSync(file, "utf8"))).toMatchObject({
      version: 2,
      devices: [{ slot: 1, bdf: edu }],
    });

    const elsewhere = join(folder, "elsewhere");
    mkdirSync(elsewhere);
    for (const end of ["", ".ram"]) renameSync(`${file}${end}`, join(elsewhere, `machine.json${end}`));
    using after = startExample("--restore", join(elsewhere, "machine.json"));
    const { status, output, said } = await after.end();
    expect([status, said.replace(/^.*peer-unavailable.*\n/gm, "")]).toEqual([0, ""]);
    expect(saved.output).toContain("edu 0x010000ED\n");
    expect(output).not.toContain("L2 up");
    expect(output).toContain("still 0x010000ED\ncpus 2\n");
    const counts = [...(saved.output + output).matchAll(/^count (\d+) on/gm)].map(([, count]) =>
      Number(count),
    );
    expect(counts).toEqual(Array.from({ length: 12 }, (_, i) => i + 1));
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
});

test("a disk that is full is said, and the guest runs on with its device; saved later, it goes on", async () => {
  const folder = mkdtempSync(join(tmpdir(), "saved-"));
  const mount = (options: string): void => {
    const { stderr, success } = Bun.spawnSync(["mount", "-t", "tmpfs", "-o", options, "tmpfs", folder]);
    if (!success) throw new Error(stderr.toString());
  };
  mount("size=1m");
  try {
    const file = join(folder, "machine.json");
    const initramfs = makeInitramfs(
      `
        ${pinByPin}
        command 0
        raise 1
        echo "one before"
        read -r word
        raise 2
        echo "master $(($(dd if=$edu/config bs=1 skip=4 count=1 2>/dev/null | od -An -tu1) & 4))"
        echo "one more"
        read -r word
        raise 3
      `,
      ["uio_pci_generic"],
    );
    using before = boot(initramfs, "--device", edu, "--snapshot", file);
    await before.hear("one before");
    before.type("\x01s");
    await before.hear("not saved, the guest runs on");
    expect(readdirSync(folder)).toEqual([]);
    before.type("\r");
    await before.hear("one more");
    mount("remount,size=300m");
    before.type("\x01s");
    const saved = await before.end();
    expect([saved.status, saved.said]).toEqual([0, expect.stringContaining(`vmm: saved to ${file}\n`)]);
    expect(saved.said).toContain("Make room on the file system");
    using after = startExample("--restore", file);
    after.type("\r");
    const { status, output } = await after.end();
    expect(status).toBe(0);
    const heard = (saved.output + output).match(/^(\d is|master) .*$/gm);
    expect([...(heard ?? [])]).toEqual(["1 is number 1", "2 is number 2", "master 4", "3 is number 3"]);
  } finally {
    Bun.spawnSync(["umount", folder]);
    rmSync(folder, { recursive: true, force: true });
  }
});
