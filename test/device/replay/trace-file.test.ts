import { expect, test } from "bun:test";
import { spawnSync } from "bun";
import {
  chmodSync,
  existsSync,
  lstatSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { TraceFile } from "../../../src/device/replay/trace-file.ts";
import { TraceKind } from "../../../src/device/seam/trace.ts";

function folder(): Disposable & { readonly path: string } {
  const path = mkdtempSync(join(tmpdir(), "trace-file-"));
  return { path, [Symbol.dispose]: () => rmSync(path, { recursive: true, force: true }) };
}

test("each entry is a line with time and name, in a file of its owner's", () => {
  using there = folder();
  const path = join(there.path, "trace");
  {
    using file = new TraceFile(path);
    file.of("0000:01:00.0").record(TraceKind.configWrite, 4, 2, 6, 0, 0);
  }
  expect(readFileSync(path, "utf8")).toMatch(/^\d+\.\d{6} 0000:01:00\.0 config write 0x004 2 = 0x0006\n$/);
  expect(statSync(path).mode & 0o777).toBe(0o600);
});

test("a full file makes room: there are two of them at most, and the newest entry is in the newer", () => {
  using there = folder();
  const path = join(there.path, "trace");
  const maxBytes = 2 ** 16;
  {
    using file = new TraceFile(path, { maxBytes });
    const tracer = file.of("device");
    for (let i = 0; i < 20_000; i++) tracer.record(TraceKind.configRead, 0, 4, i, 0, 0);
  }
  expect(readFileSync(path, "utf8").trimEnd()).toEndWith("0x00004e1f");
  expect(existsSync(`${path}.1`)).toBe(true);
  for (const name of [path, `${path}.1`]) expect(statSync(name).size).toBeLessThanOrEqual(maxBytes);
});

test("an older file that others could read is the owner's alone from then on", () => {
  using there = folder();
  const path = join(there.path, "trace");
  writeFileSync(path, "old");
  chmodSync(path, 0o644);
  using _ = new TraceFile(path);
  expect(statSync(path)).toMatchObject({ size: 0, mode: 0o100600 });
});

test("what is no file keeps its name, however much is written, and a link stays one", async () => {
  using there = folder();
  const [pipe, link, target] = ["pipe", "link", "target"].map((name) => join(there.path, name)) as [
    string,
    string,
    string,
  ];
  expect(spawnSync(["mkfifo", pipe]).success).toBe(true);
  symlinkSync(target, link);
  const reader = Bun.spawn(["cat", pipe], { stdout: "ignore" });
  for (const path of [pipe, link]) {
    using file = new TraceFile(path, { maxBytes: 2 ** 16 });
    const tracer = file.of("device");
    for (let i = 0; i < 20_000; i++) tracer.record(TraceKind.configRead, 0, 4, i, 0, 0);
  }
  await reader.exited;
  expect(readdirSync(there.path).sort()).toEqual(["link", "pipe", "target", "target.1"]);
  expect([lstatSync(pipe).isFIFO(), lstatSync(link).isSymbolicLink()]).toEqual([true, true]);
});

test("a disk that is full stops the trace, not who traces", () => {
  using file = new TraceFile("/dev/full");
  const tracer = file.of("device");
  tracer.record(TraceKind.deviceReset, 0, 0, 0, 0, 0);
  file.flush();
  expect(file.failure).toMatchObject({ code: "ENOSPC" });
  tracer.record(TraceKind.deviceReset, 0, 0, 0, 0, 0);
});

test("a size that is none is refused", () => {
  expect(() => new TraceFile("/dev/null", { maxBytes: 1 })).toThrow(
    '"maxBytes" must be an integer from 65536, not 1',
  );
});
