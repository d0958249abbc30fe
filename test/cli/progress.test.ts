// How far long work has come: for a person at a terminal alone, and gone when the work is done.
import { afterEach, describe, expect, setDefaultTimeout, spyOn, test } from "bun:test";
import { spawnSync } from "node:child_process";
import { closeSync, openSync, readFileSync, writeSync } from "node:fs";
import { bindCommand } from "../../src/cli/bind.ts";
import { counted, Progress, progress, ProgressLine, type ProgressTerminal } from "../../src/cli/progress.ts";
import { recordCommand } from "../../src/cli/record.ts";
import { RecordedDevice } from "../../src/device/backends/recorded/recorded-device.ts";
import { readImage } from "../../src/image/index.ts";
import { Machine } from "../support/host-machine.ts";
import { recordFlight } from "../view/recorded-flight.ts";
import { inProcess, nvme } from "./on-machine.ts";
import { onTerminal, screenOf } from "./on-terminal.ts";
import { temporary } from "./run.ts";

setDefaultTimeout(60_000);

/** A terminal that keeps what is written to it. */
function terminal(columns?: number): ProgressTerminal & { readonly written: string[] } {
  const written: string[] = [];
  return { columns, written, write: (text) => void written.push(text) };
}
const erase = "\r\u001b[K";

describe("the line", () => {
  test("is not there in the first second; then once a hundredth of the work, however many parts that has", () => {
    for (const total of [1, 7, 100, 1_000_000]) {
      let time = 0;
      const line = new ProgressLine(() => time);
      const seen = terminal();
      line.open(seen);
      using work = new Progress("reading a", total, line);
      const half = Math.floor(total / 2);
      for (let i = 0; i < half; i++) work.add(1);
      expect(seen.written).toEqual([]);
      time = 1000;
      for (let i = half; i < total; i++) work.add(1);
      expect(seen.written.length).toBeLessThanOrEqual(51);
      expect(seen.written.at(-1)).toBe(`${erase}100 %: reading a`);
    }
  });

  test("asks the clock once a hundredth of the work", () => {
    let asked = 0;
    const line = new ProgressLine(() => asked++);
    line.open(terminal());
    asked = 0;
    using work = new Progress("reading a", 1_000_000, line);
    for (let i = 0; i < 1_000_000; i++) work.add(1);
    expect(asked).toBe(100);
  });

  test("tells of a stream how much has come, a line a MiB", () => {
    const line = new ProgressLine(() => 1000);
    const seen = terminal();
    line.open(seen);
    spyOn(line, "show").mockImplementation((text) => line.wait(text));
    using work = new Progress("reading standard input", undefined, line);
    for (let i = 0; i < 48; i++) work.add(65536);
    expect(seen.written).toEqual([1, 2, 3].map((n) => `${erase}${n} MiB: reading standard input`));
  });

  test("goes away with the work, and where something is told; then it waits a second again", () => {
    let time = 0;
    const line = new ProgressLine(() => time);
    const seen = terminal();
    line.open(seen);
    time = 5000;
    for (const _ of counted(["a", "b"], "replaying", 2)) line.show("100 %: replaying");
    line.clear();
    expect(seen.written).toEqual([`${erase}100 %: replaying`, erase]);
    line.show("too soon");
    time = 6000;
    line.show("again");
    line.clear();
    line.clear();
    expect(seen.written.slice(2)).toEqual([`${erase}again`, erase]);
  });

  test("is shorter than the terminal is wide, whatever a name is made of", () => {
    for (const columns of [1, 2, 20, 60]) {
      const line = new ProgressLine();
      const seen = terminal(columns);
      line.open(seen);
      line.wait(`reading \u001b[31m${"漢字".repeat(40)}\r\n`);
      expect(seen.written).toHaveLength(columns <= 2 ? 0 : 1);
      for (const text of seen.written) {
        expect(text.startsWith(erase)).toBe(true);
        expect(Bun.stringWidth(text.slice(erase.length))).toBeLessThan(columns);
        expect(text.slice(erase.length)).not.toMatch(/[\u001b\r\n]/);
      }
    }
  });

  test("a terminal that takes nothing ends it, not the work", () => {
    let tried = 0;
    const line = new ProgressLine();
    line.open({
      write() {
        tried++;
        throw Object.assign(new Error("gone"), { code: "EIO" });
      },
    });
    line.wait("a");
    line.wait("b");
    line.clear();
    expect(tried).toBe(1);
  });

  test("stands on no terminal that nobody gave it", () => {
    const line = new ProgressLine();
    line.wait("a");
    line.show("b");
    line.clear();
    expect(screenOf("ab\rc\nd\r\u001b[Ke")).toEqual(["cb", "e"]);
  });
});

describe("in this process", () => {
  afterEach(() => progress.open(undefined));

  test("bind says what it has the kernel do, before it does that", () => {
    using machine = new Machine();
    using _ = inProcess(machine);
    const seen = terminal(100);
    progress.open(seen);
    const before: string[] = [];
    const write: typeof machine.write = (one, bdf) => {
      before.push(seen.written.at(-1)!);
      machine.write(one, bdf);
    };
    expect(bindCommand(["9:0.0"], {}, write)).toBe(0);
    const commands = [
      "echo vfio-pci > /sys/bus/pci/devices/0000:09:00.0/driver_override",
      "echo 0000:09:00.0 > /sys/bus/pci/devices/0000:09:00.0/driver/unbind",
      "echo 0000:09:00.0 > /sys/bus/pci/drivers_probe",
    ];
    expect(before).toEqual(commands.map((command) => erase + command));
  });

  test("record says that it opens a device, and how much of it is read", () => {
    using machine = new Machine();
    machine.bind(nvme, "vfio-pci");
    using folder = temporary();
    using _ = inProcess(machine);
    const seen = terminal(100);
    progress.open(seen);
    let time = performance.now();
    using clock = spyOn(performance, "now").mockImplementation(() => (time += 2000));
    const image = readImage(readFileSync("images/nvme.json", "utf8"));
    const options = { output: folder.at("nvme.json"), barContents: true };
    expect(recordCommand(nvme, options, () => new RecordedDevice(image))).toBe(0);
    expect(clock).toHaveBeenCalled();
    expect(seen.written.slice(0, 2)).toEqual([`${erase}opening ${nvme}`, erase]);
    const shares = seen.written
      .slice(2)
      .map((text) => Number(/(\d+) %: recording 0000:02:00.0$/.exec(text)?.[1]));
    expect(shares.length).toBeGreaterThan(3);
    expect(shares).toEqual(shares.toSorted((a, b) => a - b));
    expect(shares.at(-1)).toBeLessThanOrEqual(100);
  });
});

describe("the command", () => {
  const page = ["view", "images/edu.json"];
  const making = `${erase}making the page`;

  test("shows what it does on a terminal, and leaves what it printed alone", async () => {
    using folder = temporary();
    const path = folder.at("page.html");
    const { code, written, screen } = await onTerminal([...page, "-o", path]);
    expect([code, screen]).toEqual([0, [path, ""]]);
    expect(written).toContain(making);
    recordFlight(folder.at("a.flight"));
    const redacted = await onTerminal([
      "trace",
      "--redact",
      folder.at("a.flight"),
      "-o",
      folder.at("b.flight"),
    ]);
    expect([redacted.code, redacted.screen]).toEqual([0, [""]]);
    expect(redacted.written).toContain("redacting");
  });

  test("before a file, too", async () => {
    using folder = temporary();
    const { code, screen, written } = await onTerminal(page, { shell: `exec "$@" >'${folder.at("page")}'` });
    expect([code, screen, written.includes(making)]).toEqual([0, [""], true]);
    expect(readFileSync(folder.at("page"), "utf8")).toStartWith("<!doctype html>");
  });

  test.each([
    ["before a pipe, whose reader may draw on the terminal", page, { shell: '"$@" | wc -l' }],
    ["where standard error is a file", page, { shell: 'exec "$@" 2>/dev/null >/dev/null' }],
    ["where standard error is a pipe", page, { shell: '"$@" 2>&1 >/dev/null | cat' }],
    ["on a terminal that moves no cursor", [...page, "-o", "/dev/null"], { env: { TERM: "dumb" } }],
  ] as const)("shows nothing %s", async (_, args, options) => {
    const { written } = await onTerminal(args, options);
    expect(written).not.toMatch(/making|\u001b/);
  });

  test("shows nothing beside JSON", async () => {
    using folder = temporary();
    recordFlight(folder.at("a.flight"));
    const args = ["trace", "--redact", folder.at("a.flight")];
    const { code, written } = await onTerminal([...args, "--json"]);
    expect([code, written.includes("redacting")]).toEqual([0, false]);
    for (const line of written.trim().split("\r\n"))
      expect(JSON.parse(line)).toMatchObject({ entry: expect.any(Number) });
    expect((await onTerminal(args)).written).toContain("redacting");
  });

  test("tells of a long input how much has come, and forgets it", async () => {
    using folder = temporary();
    const pipe = folder.at("pipe");
    expect(spawnSync("mkfifo", [pipe]).status).toBe(0);
    const dump = readFileSync("test/data/lspci-xxxx.txt");
    const comments = Buffer.alloc(65536, "# a line that is none of lspci's\n");
    const { promise, resolve } = Promise.withResolvers<void>();
    const ran = onTerminal(["import", "-", "-o", folder.at("out")], {
      shell: `exec "$@" <'${pipe}'`,
      heard: (written) => written.includes(" MiB: reading standard input") && resolve(),
    });
    const writer = openSync(pipe, "w");
    let shown = false;
    void promise.then(() => (shown = true));
    while (!shown) {
      writeSync(writer, comments);
      await Bun.sleep(1);
    }
    writeSync(writer, dump);
    closeSync(writer);
    const { code, screen } = await ran;
    expect(code).toBe(0);
    expect(screen[0]).toStartWith("bun-vfio: note: ");
    expect(screen.join("\n")).not.toContain("MiB");
    expect(folder.list()).toEqual(["out", "pipe"]);
  });
});
