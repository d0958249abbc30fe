// Input and output go through as they come: many devices and hostile files cost no more memory than few and good ones.
import { expect, setDefaultTimeout, test } from "bun:test";
import { closeSync, openSync, readFileSync, writeFileSync, writeSync } from "node:fs";
import { join } from "node:path";
import { readLspci, writeLspci } from "../../src/image/index.ts";
import { bunVfio, root, temporary } from "./run.ts";

setDefaultTimeout(120_000);

const image = join(root, "images/nvme.json");
const dump = join(root, "test/data/lspci-xxxx.txt");
const megabyte = 2 ** 20;

/** What a run took at most, in bytes, with its output thrown away. */
function measured(...args: string[]): { code: number | null; err: string; peak: number } {
  const preload = join(root, "test/support/peak-memory.ts");
  const run = Bun.spawnSync(
    [process.execPath, "--preload", preload, join(root, "src/cli/main.ts"), ...args],
    { stdout: "ignore", stderr: "pipe" },
  );
  const [, err, peak] = /^([\s\S]*)peak (\d+)\n$/.exec(run.stderr.toString())!;
  return { code: run.exitCode, err: err!, peak: Number(peak) };
}

/** A file of pieces, written without holding it. */
function put(path: string, pieces: number, piece: (at: number) => string): void {
  const fd = openSync(path, "w");
  for (let at = 0; at < pieces; at++) writeSync(fd, piece(at));
  closeSync(fd);
}

/** A dump of so many devices of 4 KiB, without holding it. */
function putDevices(path: string, count: number): void {
  const rows = writeLspci([
    { bdf: "0000:00:00.0", config: readLspci(readFileSync(dump, "utf8")).at(-1)!.config },
  ]);
  const body = rows.slice(rows.indexOf("\n"));
  const zeros = Array.from(
    { length: 256 - 16 },
    (_, at) => `${(256 + 16 * at).toString(16)}:${" 00".repeat(16)}\n`,
  );
  const device = `${body.trimEnd()}\n${zeros.join("")}\n`;
  put(
    path,
    count,
    (at) =>
      `${(at >> 8).toString(16).padStart(4, "0")}:${(at & 255).toString(16).padStart(2, "0")}:00.0 Made up${device}`,
  );
}

test("20,000 devices of 4 KiB, 272 MB of text: everything of them, below 150 MB", () => {
  using folder = temporary();
  putDevices(folder.at("many"), 20_000);
  const { code, err, peak } = measured("show", "-vv", folder.at("many"));
  expect([code, err, peak < 150 * megabyte]).toEqual([0, "", true]);
});

test("5000 devices of 4 KiB, 68 MB of text: below 150 MB, in text, as JSON, and compared", () => {
  using folder = temporary();
  putDevices(folder.at("many"), 5000);
  for (const args of [
    ["show"],
    ["show", "-v"],
    ["show", "-vv"],
    ["show", "--json"],
    ["diff", folder.at("many")],
    ["export"],
  ]) {
    const { code, err, peak } = measured(...args, folder.at("many"));
    expect([args[0]!, code, err, peak < 150 * megabyte]).toEqual([args[0]!, 0, "", true]);
  }
});

const hostile: readonly (readonly [name: string, write: (path: string) => void, message: RegExp])[] = [
  [
    "three million keys",
    (path) =>
      put(
        path,
        30,
        (at) =>
          `${at === 0 ? "{" : ""}${Array.from({ length: 100_000 }, (_, i) => `"k${at}_${i}":0,`).join("")}`,
      ),
    /more than 64 keys in one object/,
  ],
  ["ten million brackets", (path) => put(path, 10, () => "[".repeat(1_000_000)), /nested more than 32 deep/],
  [
    "64 MB of blanks",
    (path) => put(path, 64, (at) => (at === 0 ? '{"' : "") + " ".repeat(1_000_000)),
    /not JSON: a string/,
  ],
  [
    "ten million values",
    (path) => put(path, 10, (at) => (at === 0 ? "[" : "") + "10,".repeat(1_000_000)),
    /more than 1048576 values/,
  ],
  [
    "millions of letters that are no ASCII",
    (path) => put(path, 30, (at) => (at === 0 ? '{"a":"' : "") + "\u00fc".repeat(1_000_000)),
    /not JSON/,
  ],
  ["a line of 64 MB", (path) => put(path, 64, () => "x".repeat(1_000_000)), /no device in it/],
  [
    "millions of headings",
    (path) => put(path, 10, () => "01:00.0 x\n".repeat(100_000)),
    /has no dump of its config space/,
  ],
];
for (const [name, write, message] of hostile)
  test(`below 200 MB: ${name}`, () => {
    using folder = temporary();
    write(folder.at("file"));
    const { code, err, peak } = measured("show", folder.at("file"));
    expect(code).toBe(2);
    expect(err).toMatch(message);
    expect(peak).toBeLessThan(200 * megabyte);
  });

test("below 200 MB: 64 MB of newlines in an access list, and a million accesses", () => {
  using folder = temporary();
  put(folder.at("newlines"), 64, () => "\n".repeat(1_000_000));
  const empty = measured("replay", image, folder.at("newlines"));
  expect(empty).toMatchObject({ code: 2, err: expect.stringMatching(/the trace has no access/) });
  expect(empty.peak).toBeLessThan(200 * megabyte);
  put(folder.at("reads"), 11, () => "read 0x0 0x101b36\n".repeat(100_000));
  const many = measured("replay", image, folder.at("reads"));
  expect(many).toMatchObject({ code: 2, err: expect.stringMatching(/more than 1000000 accesses/) });
  expect(many.peak).toBeLessThan(200 * megabyte);
});

/** A million accesses each, and the exit code of their replay. */
const millions: readonly (readonly [what: string, accesses: string, code: number])[] = [
  ["reads that differ", "read 0x0 0x101b37\n".repeat(4), 1],
  ["writes that set something off", "write 0x4 0x4\nwrite 0x4 0\n".repeat(2), 0],
  [
    "writes that move a BAR",
    "write 0x10 0xffffffff\nread 0x10 0\nwrite 0x10 0x80000000\nwrite 0x10 0x80100000\n",
    1,
  ],
];
test.each(millions)("below 200 MB: a million %s, as a report and as a trace", (_, accesses, code) => {
  using folder = temporary();
  put(folder.at("accesses"), 10, () => accesses.repeat(25_000));
  for (const args of [[], ["--json"], ["--trace"], ["--trace", "--json"]]) {
    const run = measured("replay", image, folder.at("accesses"), ...args);
    expect([args, run.code, run.err, run.peak < 200 * megabyte]).toEqual([args, code, "", true]);
  }
});

test("what is read on standard input: - for each command", () => {
  using folder = temporary();
  const text = readFileSync(dump, "utf8");
  expect(bunVfio(["show", "-"], { input: text })).toEqual(bunVfio(["show", dump]));
  expect(bunVfio(["diff", "-", dump], { input: text })).toEqual({ code: 0, out: "", err: "" });
  expect(bunVfio(["export", "-"], { input: text })).toEqual(bunVfio(["export", dump]));
  expect(bunVfio(["import", "-", "-o", folder.at("out")], { input: text }).code).toBe(0);
  expect(folder.list()).toEqual(["out"]);
  const one = ["--device", "2:0.0"];
  const written = bunVfio(["import", "-", "-o", "-", ...one], { input: text });
  expect(written.out).toBe(readFileSync(folder.at("out/0000:02:00.0.json"), "utf8"));
  expect(bunVfio(["show", "-"], { input: readFileSync(image) }).out).toBe(bunVfio(["show", image]).out);
  const raw = join(root, "test/data/config/0000:02:00.0.bin");
  expect(bunVfio(["show", "-", ...one], { input: readFileSync(raw) }).out).toBe(bunVfio(["show", raw]).out);
  const list = join(root, "test/traces/nvme.txt");
  expect(bunVfio(["replay", image, "-", "--json"], { input: readFileSync(list) }).code).toBe(
    bunVfio(["replay", image, list, "--json"]).code,
  );
  expect(bunVfio(["import", "-", "-o", "-"], { input: text }).err).toContain("has several devices");
  expect(bunVfio(["diff", "-", "-"], { input: text }).code).toBe(2);
});

test("of several files each is shown, under its name", () => {
  const { code, out } = bunVfio(["show", image, dump]);
  expect(code).toBe(0);
  expect(out).toBe(`${image}:\n${bunVfio(["show", image]).out}\n${dump}:\n${bunVfio(["show", dump]).out}`);
  const json = JSON.parse(bunVfio(["show", "--json", image, dump]).out);
  expect(
    json.files.map(({ path, source, devices }: { path: string; source: string; devices: unknown[] }) => [
      path,
      source,
      devices.length,
    ]),
  ).toEqual([
    [image, "image", 1],
    [dump, "lspci", 26],
  ]);
  const { formatVersion: _, ...alone } = JSON.parse(bunVfio(["show", "--json", image]).out);
  expect(json.files[0]).toEqual({ path: image, ...alone });
});

test("what is skipped is said, with a count, and is no failure", () => {
  using folder = temporary();
  const text = writeLspci([{ bdf: "01:00.0", config: readLspci(readFileSync(dump, "utf8"))[0]!.config }]);
  writeFileSync(folder.at("mail"), `Hello,\nthis is it:\n${text}02:00.0 Other\n\n`);
  const { code, out, err } = bunVfio(["show", folder.at("mail")]);
  expect(code).toBe(0);
  expect(out.match(/^\S/gm)).toHaveLength(1);
  expect(err).toBe(
    `bun-vfio: note: ${folder.at("mail")}: skipped 2 lines that lspci does not print, first line 1: "Hello,"; skipped 1 device without a dump, first 0000:02:00.0\n`,
  );
  expect(JSON.parse(bunVfio(["show", "--json", folder.at("mail")]).out).skipped).toEqual({
    lines: 2,
    rows: 0,
    cutRows: 0,
    devicesWithoutRows: 1,
    devices: 0,
    repeated: 0,
  });
});

test("a name with control characters is printed with them escaped", () => {
  using folder = temporary();
  const name = "a\u001b[31m\u202eb\u0085\n";
  writeFileSync(
    folder.at(name),
    `${writeLspci([{ bdf: "01:00.0", config: new Uint8Array(64) }])}x\u001b]0;t\u0007\n`,
  );
  for (const args of [
    ["show", folder.at(name), folder.at(name)],
    ["diff", folder.at(name), image],
    ["show", folder.at("\u009bnone")],
  ]) {
    const { out, err } = bunVfio(args);
    expect(`${out}${err}`).not.toMatch(/[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u202e]/);
  }
});

test("nothing of a file's or a path's text drives a terminal in what is printed as JSON", () => {
  using folder = temporary();
  const name = "a\u001b[31m\u202eb\u0085\u007f";
  const title = "Ethernet controller: \u009b31mmade\u202e up\u007f\u2028";
  writeFileSync(
    folder.at(name),
    `01:00.0 ${title}\n${writeLspci([{ bdf: "01:00.0", config: new Uint8Array(64) }]).replace(/^.*\n/, "")}`,
  );
  for (const args of [
    ["import", folder.at(name), "-o", "-"],
    ["show", "--json", folder.at(name), folder.at(name)],
    ["diff", "--json", folder.at(name), image],
  ]) {
    const { out } = bunVfio(args);
    expect(out).not.toMatch(/[\u0000-\u0009\u000b-\u001f\u007f-\u009f\u2028-\u202e]/);
    expect(() => JSON.parse(out) as unknown).not.toThrow();
  }
  const notes = [title];
  const recorded = JSON.parse(readFileSync(image, "utf8")) as { host: object };
  writeFileSync(folder.at("image"), JSON.stringify({ ...recorded, host: { ...recorded.host, notes } }));
  const { out } = bunVfio(["show", "--json", folder.at("image")]);
  expect(out).not.toMatch(/[\u007f-\u009f\u2028-\u202e]/);
  expect(JSON.parse(out).devices[0].recording.host.notes).toEqual(notes);
});
