// Without a tracer an access costs one load and one comparison more: counted in what the compiler makes of it.
import { expect, test } from "bun:test";
import { join } from "node:path";

const src = join(import.meta.dir, "../../../src");
const module = (path: string): string => JSON.stringify(join(src, path));

/** Accesses the device until the compiler has been at it. */
const program = `
  import { readFileSync } from "node:fs";
  import { RecordedDevice } from ${module("device/backends/recorded/recorded-device.ts")};
  import { MemoryPlatform } from ${module("device/platforms/memory/memory-platform.ts")};
  import { VfioPciDevice } from ${module("device/passthrough/vfio-pci-device.ts")};
  import { readImage } from ${module("image/read.ts")};
  const image = readImage(readFileSync(${JSON.stringify(join(src, "../images/nvme.json"))}, "utf8"));
  const device = VfioPciDevice.attach(new RecordedDevice(image), new MemoryPlatform());
  for (let i = 0; i < 20_000; i++) {
    device.configRead(0x10, 4);
    device.configWrite(0x3c, 1, i & 0xff);
  }`;

/** The graphs of JavaScriptCore's compiler, by the names of what was compiled. */
function graphs(): Map<string, string> {
  const env = { ...process.env, BUN_JSC_dumpDFGDisassembly: "1", BUN_JSC_useConcurrentJIT: "0" };
  const run = Bun.spawnSync([process.execPath, "-e", program], { env });
  expect(run.exitCode).toBe(0);
  const text = run.stdout.toString() + run.stderr.toString();
  const parts = text.split(/^(?=Generated (?:DFG|FTL) JIT code for )/m);
  return new Map(parts.map((part) => [/^Generated DFG JIT code for (\w+)#/.exec(part)?.[1] ?? "", part]));
}

test("a config read and a config write look at the tracer once, and compare it with undefined", () => {
  const compiled = graphs();
  for (const name of ["configRead", "configWrite"]) {
    const graph = compiled.get(name) ?? "";
    const loads = [...graph.matchAll(/^\s*(D@\d+):<[^>]*>\s+GetByOffset\(.*\{#trace\}/gm)].map(
      ([, node]) => node!,
    );
    expect([name, loads.length]).toEqual([name, 1]);
    const uses = graph.split("\n").filter((line) => new RegExp(`[:(, ]${loads[0]}[,)]`).test(line));
    const work = uses.filter((line) => !/\s(?:MovHint|Phantom\w*|FilterGetByStatus)\(/.test(line));
    expect(work.map((line) => /^\s*D@\d+:<[^>]*>\s+(\w+)\(/.exec(line)?.[1])).toEqual(["CompareStrictEq"]);
    // What only a tracer needs was never run, and is not compiled.
    expect(graph).not.toContain("{record}");
  }
});
