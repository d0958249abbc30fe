// Whatever is wrong with its input, the command says so in one line that names the file, the place and what to do,
// exits with 2, and leaves no file.
import { expect, setDefaultTimeout, test } from "bun:test";
import { spawnSync } from "node:child_process";
import { chmodSync, closeSync, mkdirSync, openSync, readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { boundByModes, bunVfio, root, temporary } from "./run.ts";

// Each test starts the command several times.
setDefaultTimeout(60_000);

const image = readFileSync(join(root, "images/nvme.json"), "utf8");
const dump = readFileSync(join(root, "test/data/lspci-xxxx.txt"), "utf8");
const garbage = Uint8Array.from({ length: 5000 }, (_, i) => (i * 97 + (i >> 3)) & 0xff);

const files: readonly (readonly [name: string, content: string | Uint8Array, message: string | RegExp])[] = [
  ["empty", "", "the file is empty; expected an image, the output of lspci -xxxx, or a raw config space"],
  [
    "prose",
    "hello\n",
    /^no device in it; expected an image, the output of lspci -xxxx, or a raw config space$/,
  ],
  [
    "garbage",
    garbage,
    /^5000 bytes that are no text; a raw config space has 64, 256 or 4096 bytes, so this one is cut off/,
  ],
  ["cut-config", garbage.slice(0, 100), /^100 bytes that are no text; .* cut off or something else$/],
  [
    "no-dump",
    "00:00.0 Host bridge: x\n",
    "line 1: 0000:00:00.0 has no dump of its config space: run lspci with -xxxx",
  ],
  [
    "kernel-log",
    "[    1.2] pci 0000:01:00.0: [8086:10d3] type 00\n",
    /^no device in it: it looks like a kernel log; /,
  ],
  ["mail", "Subject: lspci\n\nhello\n", /^no device in it: it looks like a mail; /],
  [
    "tree",
    "-[0000:00]-+-00.0\n           +-02.0\n",
    /^no device in it: it looks like what lspci -t prints; /,
  ],
  ["access-list", "read 0x0 0x12345678\n", /^no device in it: it looks like an access list; /],
  [
    "resource",
    `${"0x0000000000000000 ".repeat(3).trim()}\n`,
    /^no device in it: it looks like the `resource` file /,
  ],
  ["gzip", Bun.gzipSync(dump), "it is compressed by gzip: decompress it first"],
  ["picture", Uint8Array.of(0x89, 0x50, 0x4e, 0x47, 0, 0), "it is a picture: the text itself is needed"],
  ["cut-image", image.slice(0, 1000), /^line \d+, column \d+: not JSON: /],
  [
    "newer",
    image.replace('"version": 1', '"version": 7'),
    "line 3, column 14: version: written by a newer bun-vfio (format 7; this one reads 2): update bun-vfio",
  ],
  [
    "bad-bdf",
    image.replace("0000:02:00.0", "0000:02:00.9"),
    /^line 4, column 10: bdf: .*function 9 is above 7$/,
  ],
  ["other-json", "[1, 2]", "line 1, column 1: not an image: expected a JSON object"],
  [
    "many-problems",
    image.replace('"resettable": true', '"resettable": 1').replaceAll('"read"', '"reed"'),
    /^line 11, column 17: resettable: .* \(and 2 more problems\)$/,
  ],
  ["control\u001b[31m", "{\n\u001b\n", /^no device in it; /],
];

const commands = (file: string, out: string): string[][] => [
  ["show", file],
  ["show", file, "--json"],
  ["diff", file, file],
  ["import", file, "-o", out],
  ["export", file, "-o", out],
];

for (const [name, content, message] of files)
  test(`one line and exit code 2: ${JSON.stringify(name)}`, () => {
    using folder = temporary();
    writeFileSync(folder.at(name), content);
    for (const command of commands(folder.at(name), folder.at("out"))) {
      const { code, out, err } = bunVfio(command);
      expect({ code, out }).toEqual({ code: 2, out: "" });
      const printed = folder.at(name).replace("\u001b", "\\u001b");
      expect(err).toStartWith(`bun-vfio: ${printed}: `);
      expect(err.indexOf("\n")).toBe(err.length - 1);
      const text = err.slice(`bun-vfio: ${printed}: `.length, -1);
      if (typeof message === "string") expect(text).toBe(message);
      else expect(text).toMatch(message);
    }
    expect(folder.list()).toEqual([name]);
  });

test("files that are not there, or are none", () => {
  using folder = temporary();
  mkdirSync(folder.at("directory"));
  symlinkSync("loop", folder.at("loop"));
  const cases: [string, string][] = [
    ["missing", "cannot read it: no such file; check the path"],
    ["directory", "cannot read it: it is a directory; give one of its files"],
    ["loop", "cannot read it: its symbolic links go in a circle; check the path"],
  ];
  for (const [name, message] of cases)
    for (const command of commands(folder.at(name), folder.at("out")))
      expect(bunVfio(command)).toEqual({
        code: 2,
        out: "",
        err: `bun-vfio: ${folder.at(name)}: ${message}\n`,
      });
  expect(bunVfio(["show", "/proc/self/mem"])).toMatchObject({
    code: 2,
    err: expect.stringMatching(/^bun-vfio: \/proc\/self\/mem: cannot read it: .*\n$/),
  });
  expect(folder.list()).toEqual(["directory", "loop"]);
});

test("a file without end is not read without end", () => {
  expect(bunVfio(["show", "/dev/zero"]).err).toMatch(
    /^bun-vfio: \/dev\/zero: more than 65536 bytes that are no text; a raw config space has/,
  );
});

test("a file that may not be read", () => {
  using folder = temporary();
  writeFileSync(folder.at("secret"), image);
  chmodSync(folder.at("secret"), 0o000);
  expect(boundByModes(["show", folder.at("secret")], folder.path)).toEqual({
    code: 2,
    out: "",
    err: `bun-vfio: ${folder.at("secret")}: cannot read it: permission denied; read it as a user who may, or copy it\n`,
  });
});

test("an output that takes nothing: one line and exit code 2, no stack", () => {
  const full = openSync("/dev/full", "w");
  const run = spawnSync(
    process.execPath,
    [join(root, "src/cli/main.ts"), "show", join(root, "images/nvme.json")],
    {
      stdio: ["ignore", full, "pipe"],
    },
  );
  closeSync(full);
  expect([run.status, run.stderr.toString()]).toEqual([
    2,
    expect.stringMatching(/^bun-vfio: cannot write the output: [^\n]*\n$/),
  ]);
});

test("a device that is not there, or is no BDF", () => {
  using folder = temporary();
  const path = join(root, "test/data/lspci-xxxx.txt");
  const one = join(root, "images/nvme.json");
  expect(bunVfio(["show", path, "--device", "1f:00.0"]).err).toMatch(
    /lspci-xxxx\.txt: no device 0000:1f:00\.0; it has 0000:00:00\.0, .*, 18 more\n$/,
  );
  expect(bunVfio(["show", one, "--device", "01:00.0"]).err).toBe(
    `bun-vfio: ${one}: no device 0000:01:00.0; it has 0000:02:00.0\n`,
  );
  for (const bad of ["nvme0", "01:00", "01:20.0", "01:00.8", ""])
    for (const command of [
      ["show", one],
      ["diff", one, one],
      ["import", one, "-o", folder.at("out")],
    ])
      expect(bunVfio([...command, "--device", bad])).toMatchObject({
        code: 2,
        out: "",
        err: expect.stringMatching(/^bun-vfio: --device: ".*" is no BDF: [^\n]*\n$/),
      });
  expect(folder.list()).toEqual([]);
});

test("usage: one line, the next step, exit code 2", () => {
  const cases: [string[], string][] = [
    [[], "no command"],
    [["shwo"], "unknown command 'shwo' (Did you mean show?)"],
    [["show"], "missing required argument 'file'"],
    [["diff", "a", "b", "c"], "too many arguments for 'diff'. Expected 2 arguments but got 3"],
    [["show", "--jsn", "a"], "unknown option '--jsn' (Did you mean --json?)"],
    [["diff", "a"], "missing required argument 'b'"],
    [["import", "a"], "required option '-o, --output <path>' not specified"],
    [["export"], "missing required argument 'image'"],
  ];
  for (const [args, message] of cases)
    expect(bunVfio(args)).toEqual({ code: 2, out: "", err: `bun-vfio: ${message}; see bun-vfio --help\n` });
});

test("help and version go to standard output, with exit code 0", () => {
  for (const args of [["--help"], ["show", "--help"], ["help", "diff"]]) {
    const { code, out, err } = bunVfio(args);
    expect({ code, err }).toEqual({ code: 0, err: "" });
    expect(out).toStartWith("Usage: bun-vfio");
  }
  const { version } = JSON.parse(readFileSync(join(root, "package.json"), "utf8")) as { version: string };
  expect(bunVfio(["--version"])).toEqual({ code: 0, out: `${version}\n`, err: "" });
});
