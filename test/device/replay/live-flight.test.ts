// A recorder that others read while it records: real sockets, readers in processes of their own, and some that do not read.
import { expect, test } from "bun:test";
import { existsSync, statSync } from "node:fs";
import { join } from "node:path";
import { RecordedDevice } from "../../../src/device/backends/recorded/recorded-device.ts";
import { VfioPciDevice } from "../../../src/device/passthrough/vfio-pci-device.ts";
import { MemoryPlatform } from "../../../src/device/platforms/memory/memory-platform.ts";
import { FlightRecorder } from "../../../src/device/replay/flight-recorder.ts";
import { serveFlight } from "../../../src/device/replay/live-flight.ts";
import { readFlight } from "../../../src/device/replay/read-flight.ts";
import { TraceKind } from "../../../src/device/seam/trace.ts";
import { openDescriptors } from "../../support/descriptors.ts";
import { Sandbox } from "../../support/sandbox.ts";
import { syntheticImage } from "../../support/synthetic-image.ts";
import { root } from "../../support/tree.ts";

const command = join(root, "src/cli/main.ts");

/** The command that follows a recorder, in a process of its own. */
function follow(path: string, ...options: readonly string[]) {
  const child = Bun.spawn([process.execPath, command, "trace", "--live", path, "--json", ...options], {
    stdout: "pipe",
    stderr: "pipe",
  });
  const lines: { entry: number; kind: string }[] = [];
  const reading = (async () => {
    const decoder = new TextDecoder();
    let rest = "";
    for await (const chunk of child.stdout) {
      const parts = (rest + decoder.decode(chunk, { stream: true })).split("\n");
      rest = parts.pop()!;
      lines.push(...parts.map((part) => JSON.parse(part)));
    }
  })();
  return {
    lines,
    /** Once so many lines have come. */
    async has(count: number): Promise<void> {
      while (lines.length < count) await Bun.sleep(5);
    },
    async end(): Promise<{ code: number; err: string }> {
      const [code, err] = await Promise.all([child.exited, new Response(child.stderr).text(), reading]);
      return { code, err };
    },
  };
}

test("a reader gets what was before it and what comes after, once each, and ends with the recorder", async () => {
  using box = new Sandbox();
  const path = `${box.path}/live`;
  using recorder = new FlightRecorder({ entries: 4096 });
  const live = serveFlight(recorder, path);
  expect(statSync(path).mode & 0o777).toBe(0o600);
  const reader = (() => {
    using platform = new MemoryPlatform();
    const backend = new RecordedDevice(syntheticImage({ bars: { 0: { size: 0x4000 } } }));
    using device = VfioPciDevice.attach(backend, platform, { trace: recorder });
    device.configRead(0, 4);
    return follow(path);
  })();
  const before = recorder.count;
  await reader.has(before);
  for (let i = 0; i < 500; i++) recorder.record(TraceKind.configRead, 8, 4, i, 0, 0);
  await reader.has(before + 500);
  recorder.record(TraceKind.detach, 0, 0, 0, 0, 0);
  live[Symbol.dispose]();
  expect(await reader.end()).toEqual({ code: 0, err: "" });
  expect(reader.lines.map(({ entry }) => entry)).toEqual(Array.from({ length: recorder.count }, (_, i) => i));
  expect(reader.lines.at(-1)!.kind).toBe("detach");
  expect(existsSync(path)).toBe(false);
});

test("filters and redaction are those of a file", async () => {
  using box = new Sandbox();
  using recorder = new FlightRecorder({ entries: 64 });
  const live = serveFlight(recorder, `${box.path}/live`);
  const reader = follow(`${box.path}/live`, "--why", "--redact");
  recorder.record(TraceKind.configRead, 0, 4, 1, 0, 0);
  recorder.record(TraceKind.event, 0, 0, 0, 0, 0, "serial: ABC123456");
  await reader.has(1);
  live[Symbol.dispose]();
  expect(await reader.end()).toEqual({ code: 0, err: "" });
  expect(reader.lines.map(({ entry }) => entry)).toEqual([1]);
  expect(JSON.stringify(reader.lines)).not.toContain("ABC123456");
});

test("recording waits for nobody, and readers leave nothing behind", async () => {
  using box = new Sandbox();
  const before = openDescriptors();
  {
    using recorder = new FlightRecorder({ entries: 1024 });
    using _live = serveFlight(recorder, `${box.path}/live`);
    const connect = (): Promise<{ terminate(): void }> =>
      Bun.connect({ unix: `${box.path}/live`, socket: { open: (socket) => void socket.pause(), data() {} } });
    const silent = await Promise.all(Array.from({ length: 8 }, connect));
    await Bun.sleep(50);
    // They are turned away.
    silent.push(...(await Promise.all(Array.from({ length: 4 }, connect))));
    for (let round = 0; round < 50; round++) {
      for (let i = 0; i < 2000; i++) recorder.record(TraceKind.configRead, 0, 4, i, 0, 0);
      await Bun.sleep(2);
    }
    expect(recorder.count).toBe(100_000);
    for (const socket of silent) socket.terminate();
    await Bun.sleep(100);
  }
  // The event loop's own thread may still be ending.
  for (let i = 0; i < 100 && openDescriptors().length > before.length; i++) await Bun.sleep(10);
  expect(openDescriptors().length).toBeLessThanOrEqual(before.length);
});

test("what a reader was too slow for is told", () => {
  using recorder = new FlightRecorder({ entries: 4 });
  for (let i = 0; i < 10; i++) recorder.record(TraceKind.configRead, 0, 4, i, 0, 0);
  const since = (first: number, most: number) => {
    const { lost, count, entry } = readFlight(recorder.since(first, most), "it");
    return Array.from({ length: count - lost }, (_, i) => entry(lost + i).numbers[2]!);
  };
  expect(since(0, 100)).toEqual([6, 7, 8, 9]);
  expect(since(7, 100)).toEqual([7, 8, 9]);
  expect(since(7, 2)).toEqual([7, 8]);
  expect(since(10, 5)).toEqual([9]);
  using empty = new FlightRecorder({ entries: 4 });
  expect(readFlight(empty.since(0, 5), "it").count).toBe(0);
});

test("another that listens there is not believed", async () => {
  using box = new Sandbox();
  const path = `${box.path}/live`;
  const answers: readonly (readonly [Uint8Array, RegExp])[] = [
    [new Uint8Array(Uint32Array.of(0xffff_ffff).buffer), /sends a recording of 4294967295 bytes/],
    [new Uint8Array(Uint32Array.of(1).buffer), /sends a recording of 1 bytes/],
    [
      new Uint8Array([...new Uint8Array(Uint32Array.of(131_072).buffer), ...new Uint8Array(131_072)]),
      /it is no flight recorder's file/,
    ],
  ];
  for (const [answer, message] of answers) {
    using server = Bun.listen({
      unix: path,
      socket: { open: (socket) => void socket.end(answer), data() {} },
    });
    const { code, err } = await follow(path).end();
    expect([code, err]).toEqual([2, expect.stringMatching(message)]);
    server.stop(true);
  }
  const { code, err } = await follow(`${box.path}/nobody`).end();
  expect([code, err]).toEqual([2, expect.stringContaining("ENOENT")]);
});
