// machines: (vmm)
// takes: 60 s
// This library in a guest of the example: its driver of edu has MSI and INTx there, by way of the guest's own VFIO.
import { readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, expect, test } from "bun:test";
import { bindTo, find, take } from "./support/devices.ts";
import { boot, makeInitramfs, withLibraries } from "./support/nested-linux.ts";

afterAll(() => bindTo(find("edu"), undefined));

const program = join(tmpdir(), "edu-in-guest.js");
afterAll(() => rmSync(program, { force: true }));

/** Bun with its libraries; the modules of VFIO as this machine loaded them, since Debian's know no device without an IOMMU. */
function filesForBun(): Record<string, string> {
  const modules = ["irqbypass", "iommufd", "vfio", "vfio_iommu_type1", "vfio-pci-core", "vfio-pci"];
  const loaded = readdirSync("/modules")
    .filter((name) => modules.some((module) => name.endsWith(`-${module}.ko`)))
    .map((name) => join("/modules", name));
  return {
    ...withLibraries("/bin/bun"),
    ...Object.fromEntries(loaded.map((path) => [path, path])),
    "/driver.js": program,
  };
}

test("a driver in the guest hears each of 40 MSIs and of 40 INTx, and no more", async () => {
  const source = join(import.meta.dir, "support/edu-in-guest.ts");
  const absent = ["--external=debug", "--external=iconv-lite"];
  const built = Bun.spawnSync([
    ...[process.execPath, "build", source, "--target=bun", ...absent, `--outfile=${program}`],
  ]);
  expect(built.stderr.toString()).toBe("");
  const initramfs = makeInitramfs(
    `
      edu=/sys/bus/pci/devices/0000:00:01.0
      echo 1 >/sys/module/vfio/parameters/enable_unsafe_noiommu_mode
      echo vfio-pci >$edu/driver_override
      echo 0000:00:01.0 >/sys/bus/pci/drivers_probe
      bun --no-install /driver.js 0000:00:01.0
      echo "driver ended with $?"
    `,
    [],
    filesForBun(),
  );
  using vmm = boot(initramfs, "--memory", "640M", "--device", take("edu"));
  const { status, output, said } = await vmm.end();
  expect([status, said.replace(/^.*peer-unavailable.*\n/gm, "")]).toEqual([0, ""]);
  expect([...(output.match(/^(MSI|INTx|driver|error).*$/gm) ?? [])]).toEqual([
    ...["MSI: 40 heard, then nothing", "INTx: 40 heard, then nothing", "driver ended with 0"],
  ]);
});
