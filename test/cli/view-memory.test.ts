// A served page is made of what is there at each visit, and reads no file twice that has not changed.
import { afterEach, beforeEach, expect, setDefaultTimeout, spyOn, test } from "bun:test";
import { copyFileSync, readdirSync, readFileSync, renameSync, utimesSync, writeFileSync } from "node:fs";
import { FileSource } from "../../src/cli/byte-source.ts";
import { fileReader, viewData } from "../../src/cli/view-data.ts";
import { remembered } from "../../src/cli/view-memory.ts";
import { FlightRecorder } from "../../src/device/replay/flight-recorder.ts";
import { TraceKind } from "../../src/device/seam/trace.ts";
import { Machine } from "../support/host-machine.ts";
import { recordFlight } from "../view/recorded-flight.ts";
import { nvme } from "./on-machine.ts";
import { bunVfio, root, temporary } from "./run.ts";

setDefaultTimeout(60_000);

/** As if it had been there for a while. */
const settle = (path: string): void => utimesSync(path, 1000, 1000);
const folder = temporary();
let reads = 0;
let counted: ReturnType<typeof spyOn>;
beforeEach(() => {
  const all = FileSource.prototype.all;
  reads = 0;
  counted = spyOn(FileSource.prototype, "all").mockImplementation(function (this: FileSource, ...args) {
    reads++;
    return all.apply(this, args);
  });
});
afterEach(() => counted.mockRestore());

/** Makes the page of a file again and again. */
function visits(path: string) {
  const read = remembered(fileReader(undefined));
  return () => viewData([path], undefined, true, read);
}

test("a file that has not changed is read once, and one that has is read again", () => {
  const path = folder.at("card.json");
  copyFileSync("images/edu.json", path);
  settle(path);
  const visit = visits(path);
  const first = visit();
  expect(visit().devices[0]).toBe(first.devices[0]!);
  expect([visit().devices[0]!.name, reads]).toEqual(["0000:01:00.0", 1]);
  writeFileSync(path, readFileSync(path, "utf8").replaceAll("0000:01:00.0", "0000:07:00.0"));
  // The same size, and told to be as old.
  settle(path);
  expect([visit().devices[0]!.name, reads]).toEqual(["0000:07:00.0", 2]);
  copyFileSync("images/nvme.json", folder.at("other"));
  settle(folder.at("other"));
  renameSync(folder.at("other"), path);
  expect([visit().devices[0]!.name, reads]).toEqual(["0000:02:00.0", 3]);
  expect([visit().devices[0]!.name, reads]).toEqual(["0000:02:00.0", 3]);
});

test("one that was written a moment ago is read again, since it may be written again within a tick", () => {
  const path = folder.at("fresh.json");
  copyFileSync("images/edu.json", path);
  const visit = visits(path);
  visit();
  visit();
  expect(reads).toBe(2);
});

test("a mapped recording is read again for each entry that came, though nobody notes when it is written", () => {
  const path = folder.at("mapped.flight");
  using recorder = new FlightRecorder({ entries: 100, file: path });
  recorder.record(TraceKind.configRead, 0, 4, 1, 0, 0);
  settle(path);
  const visit = visits(path);
  const first = visit().flight!.bytes;
  expect([visit().flight!.bytes === first, reads]).toEqual([true, 1]);
  recorder.record(TraceKind.configRead, 4, 4, 2, 0, 0);
  expect([visit().flight!.bytes === first, reads]).toEqual([false, 2]);
});

test("a device of this host is asked each time", () => {
  using machine = new Machine();
  process.env["BUN_VFIO_ROOT"] = machine.root;
  try {
    const visit = visits(nvme);
    const before = visit().devices[0]!.config;
    const file = `${machine.root}${machine.folder(nvme)}/config`;
    const config = new Uint8Array(readFileSync(file));
    config[0x3c] = config[0x3c]! ^ 0xff;
    writeFileSync(file, config);
    expect(visit().devices[0]!.config).not.toBe(before);
  } finally {
    delete process.env["BUN_VFIO_ROOT"];
  }
});

test("no file stays open", () => {
  recordFlight(folder.at("card.flight"));
  settle(folder.at("card.flight"));
  copyFileSync("test/data/config/0000:02:00.0.bin", folder.at("0000:02:00.0"));
  const paths = [folder.at("card.flight"), folder.at("0000:02:00.0"), "test/data/lspci-xxxx.txt"];
  const open = (): number => readdirSync("/proc/self/fd").length;
  for (const path of paths) {
    const visit = visits(path);
    const before = open();
    for (let i = 0; i < 5; i++) visit();
    expect([path, open()]).toEqual([path, before]);
  }
  const many = Array.from({ length: 300 }, () => folder.at("0000:02:00.0"));
  const run = Bun.spawnSync(
    ["sh", "-c", 'ulimit -n 64; exec "$@"', "sh", process.execPath, "src/cli/main.ts", "show", ...many],
    { cwd: root },
  );
  expect([run.exitCode, run.stderr.toString()]).toEqual([0, ""]);
});

test("what came on standard input is there at each visit", async () => {
  const shell = 'exec "$@" <images/edu.json';
  const command = ["sh", "-c", shell, "sh", process.execPath, "src/cli/main.ts", "view", "-", "--serve"];
  const server = Bun.spawn(command, { cwd: root, stdout: "pipe" });
  const { value } = await server.stdout.getReader().read();
  const url = new TextDecoder().decode(value).trim();
  for (let i = 0; i < 2; i++) expect(await (await fetch(url)).text()).toContain('"name":"0000:01:00.0"');
  server.kill("SIGTERM");
  expect(await server.exited).toBe(0);
  expect(bunVfio(["view", "-"], { input: "" }).err).toContain("the file is empty");
});
