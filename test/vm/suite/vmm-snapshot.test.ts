// machines: vmm
// takes: 50 s
// A machine as a file: saved while its guest counts, it counts on in another process.
import { expect, test } from "bun:test";
import { mkdtempSync, readFileSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { boot, makeInitramfs, Vmm } from "./support/nested-linux.ts";

test("two CPUs, a clock, a serial port: nothing is lost between save and restore", async () => {
  const folder = mkdtempSync(join(tmpdir(), "saved-"));
  try {
    const file = join(folder, "machine.json");
    const initramfs = makeInitramfs(`
      for i in $(seq 1 12); do echo "count $i on $(taskset $((i % 2 + 1)) cat /proc/uptime)"; sleep 1; done
      echo "cpus $(grep -c ^processor /proc/cpuinfo)"
    `);
    using before = boot(initramfs, "--cpus", "2", "--snapshot", file);
    await before.hear("count 3 on");
    before.type("\x01s");
    const saved = await before.end();
    expect([saved.status, saved.said]).toEqual([0, `vmm: saved to ${file}\n`]);
    expect(statSync(`${file}.ram`).size).toBe(256 * 2 ** 20);
    expect(JSON.parse(readFileSync(file, "utf8"))).toMatchObject({ version: 1, devices: [] });

    using after = new Vmm("--restore", file);
    const { status, output, said } = await after.end();
    expect([status, said]).toEqual([0, ""]);
    expect(output).not.toContain("L2 up");
    expect(output).toContain("cpus 2\n");
    const counts = [...(saved.output + output).matchAll(/^count (\d+) on/gm)].map(([, count]) =>
      Number(count),
    );
    expect(counts).toEqual(Array.from({ length: 12 }, (_, i) => i + 1));
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
});
