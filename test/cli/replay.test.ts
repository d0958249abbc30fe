import { describe, expect, setDefaultTimeout, test } from "bun:test";
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { bunVfio, root, temporary } from "./run.ts";

// Each test starts the command, some several times.
setDefaultTimeout(60_000);

const names = readdirSync(join(root, "test/traces"))
  .map((file) => file.replace(/\.txt$/, ""))
  .sort();
const image = (name: string): string => `images/${name}.json`;
const trace = (name: string): string => `test/traces/${name}.txt`;
const replayed = (name: string, ...more: string[]) => bunVfio(["replay", image(name), trace(name), ...more]);

test.each(names)("%s: exit code 0, every difference on purpose", (name) => {
  const { code, out, err } = replayed(name);
  expect({ code, err }).toEqual({ code: 0, err: "" });
  expect(out).toEndWith("  every difference is one that the model makes on purpose\n");
  expect(out).not.toContain("unexplained");
});

describe("the account", () => {
  test("of nvme, whole", () => {
    const decoding = [79, 88, 90, 95, 97, 102, 104, 109, 111, 116, 118, 123].map(
      (line, i) =>
        `  line ${String(line).padStart(4)}  BAR0 ${i % 2 === 0 ? "stops decoding" : "decodes there again"}`,
    );
    expect(replayed("nvme").out.split("\n")).toEqual([
      "0000:02:00.0 1b36:0010 from images/nvme.json, driven as in test/traces/nvme.txt",
      "",
      "Capabilities",
      "  0x040  MSI-X                        shown",
      "  0x080  PCIe                         shown",
      "  0x060  PM                           shown",
      "",
      "Base address registers",
      "  BAR0  16 KiB     64-bit memory: given 0x1ffffffc000, decodes at 0xfd200000",
      "        mapped 0xfd200000-0xfd201fff, within reach of peers",
      "        8 KiB trapped",
      "  MSI-X 65 vectors, table BAR0+0x2000, PBA BAR0+0x3000, not relocated",
      "",
      "What the guest set off",
      "  line   45  BAR0 decodes 0xfd200000-0xfd203fff",
      "  line   45  BAR0 mapped 0xfd200000-0xfd201fff in memory slot 0",
      "  line   51  bus master on",
      ...decoding,
      "  line  252  interrupts: MSI-X",
      "  line  290  interrupts: INTx",
      "  line  295  interrupts: MSI-X",
      "",
      "Interrupts",
      "  the device has INTx (unmasked by resample eventfd), MSI-X with 65 vectors; at the end MSI-X is on",
      "",
      "Cost",
      expect.stringMatching(
        /^ {2}1283 guest reads took \d+ reads of the device: 0\.8\d\d a read, never more than 1$/,
      ),
      expect.stringMatching(/^ {2}59 guest writes took \d+ writes of the device and \d+ interrupt requests$/),
      "",
      "Values that differ from the recorded guest's",
      "     2  BAR registers: this guest got other addresses",
      "        first: line 12, offset 0x10: recorded 0x4, here 0xffffc004",
      "  1281  of 1283 reads gave exactly what the recorded guest read",
      "  every difference is one that the model makes on purpose",
      "",
    ]);
  });

  test("hidden capabilities, ports, and all rules that were needed", () => {
    const { out } = replayed("igb");
    expect(out).toMatch(/^ {2}0x160 {2}SR-IOV +hidden from the guest$/m);
    expect(out).toMatch(
      /^ {2}BAR2 {2}32 bytes {3}I\/O ports: given 0x[0-9a-f]+, decodes at 0x3000\n {8}32 bytes trapped$/m,
    );
    expect(out).toMatch(/^ {3}124 {2}a capability is hidden, or a list is linked past one$/m);
    expect(replayed("xhci").out).toMatch(/^ {5}3 {2}writable bits that the guest had not written yet: /m);
  });

  test("a device that interrupts in no way, and a guest that sets nothing off", () => {
    using folder = temporary();
    writeFileSync(folder.at("quiet"), "# nothing to see\n\nread 0x0 0x51b36\n");
    const { code, out } = bunVfio(["replay", image("pci-testdev"), folder.at("quiet")]);
    expect(code).toBe(0);
    expect(out).toContain("\nWhat the guest set off\n  nothing\n");
    expect(out).toContain("\n  the device has none; at the end none is on\n");
    expect(out).toMatch(/BAR0 .* not decoded\n/);
  });
});

test("a value that nothing explains: exit code 1, and the place", () => {
  using folder = temporary();
  writeFileSync(folder.at("trace"), "read 0x0 0x101b36\nread 0x0 0x101b37\n");
  const text = bunVfio(["replay", image("nvme"), folder.at("trace")]);
  expect({ code: text.code, err: text.err }).toEqual({ code: 1, err: "" });
  expect(text.out).toEndWith(
    "  unexplained: line 2, offset 0x0: recorded 0x101b37, here 0x101b36\n" +
      "     1  of 2 reads gave exactly what the recorded guest read\n",
  );
  const json = bunVfio(["replay", image("nvme"), folder.at("trace"), "--json"]);
  expect(json.code).toBe(1);
  expect(JSON.parse(json.out)).toMatchObject({
    differences: [{ line: 2, offset: 0, width: 4, recorded: 0x101b37, seen: 0x101b36, rule: null }],
  });
});

describe("one line and exit code 2", () => {
  const lines = readFileSync(join(root, trace("nvme")), "utf8").split("\n");
  const withLine = (line: number, text: string): string => lines.with(line - 1, text).join("\n");
  const expected = 'expected "read OFFSET VALUE" or "write OFFSET VALUE"';
  const traces: readonly (readonly [what: string, text: string | Uint8Array, message: string])[] = [
    [
      "a typo in line 17",
      withLine(17, "raed 0x14 0xffffffff"),
      `line 17: ${expected}, got "raed 0x14 0xffffffff"`,
    ],
    ["a bad digit in line 17", withLine(17, "read 0x1g 0x0"), `line 17: ${expected}, got "read 0x1g 0x0"`],
    [
      "an offset past 0xfff",
      withLine(17, "read 0x1000 0x0"),
      "line 17: offset 0x1000 lies past config space (0xfff)",
    ],
    [
      "a value of 33 bits",
      withLine(17, "write 0x10 4294967296"),
      "line 17: value 4294967296 does not fit 32 bits",
    ],
    ["an empty trace", "", "the trace has no access"],
    ["comments alone", "# recorded\n\n", "the trace has no access"],
    [
      "no text",
      Uint8Array.of(0x72, 0, 0xff),
      "not text; expected a trace: lines of `read OFFSET VALUE` or `write OFFSET VALUE`",
    ],
  ];
  test.each(traces.map(([what]) => what))("%s", (what) => {
    const [, text, message] = traces.find(([name]) => name === what)!;
    using folder = temporary();
    writeFileSync(folder.at("trace.txt"), text);
    for (const more of [[], ["--json"]])
      expect(bunVfio(["replay", image("nvme"), folder.at("trace.txt"), ...more])).toEqual({
        code: 2,
        out: "",
        err: `bun-vfio: ${folder.at("trace.txt")}: ${message}\n`,
      });
    expect(folder.list()).toEqual(["trace.txt"]);
  });

  test("an image that is missing, a directory, a dump, or broken; a trace that is missing", () => {
    using folder = temporary();
    mkdirSync(folder.at("directory"));
    writeFileSync(folder.at("broken"), readFileSync(join(root, image("nvme"))).subarray(0, 1000));
    const dump = join(root, "test/data/lspci-xxxx.txt");
    const config = join(root, "test/data/config/0000:02:00.0.bin");
    const needsImage =
      "replay needs an image, which knows the sizes of regions; make one with bun-vfio import";
    const missing = "cannot read it: no such file; check the path";
    const cases: [image: string, trace: string, message: string | RegExp][] = [
      [folder.at("none"), trace("nvme"), `${folder.at("none")}: ${missing}`],
      [
        folder.at("directory"),
        trace("nvme"),
        `${folder.at("directory")}: cannot read it: it is a directory; give one of its files`,
      ],
      [dump, trace("nvme"), `${dump}: ${needsImage}`],
      [config, trace("nvme"), `${config}: ${needsImage}`],
      [folder.at("broken"), trace("nvme"), /\/broken: line \d+, column \d+: not JSON: /],
      [image("nvme"), folder.at("none"), `${folder.at("none")}: ${missing}`],
      [image("nvme"), image("nvme"), `${image("nvme")}: line 1: ${expected}, got "{"`],
    ];
    for (const [first, second, message] of cases) {
      const { code, out, err } = bunVfio(["replay", first, second]);
      expect({ code, out }).toEqual({ code: 2, out: "" });
      if (typeof message === "string") expect(err).toBe(`bun-vfio: ${message}\n`);
      else expect(err).toMatch(message);
      expect(err.indexOf("\n")).toBe(err.length - 1);
    }
  });

  test("a device that cannot be attached: a bridge, one that does not answer", () => {
    using folder = temporary();
    const text = readFileSync(join(root, image("nvme")), "utf8");
    const head = text.split("\n").find((line) => line.includes('"00: '))!;
    const failure = (changed: string) => {
      writeFileSync(folder.at("image"), text.replace(head, changed));
      return bunVfio(["replay", folder.at("image"), trace("nvme")]);
    };
    expect(failure(head.replace(/ 00 00",$/, ' 01 00",'))).toEqual({
      code: 2,
      out: "",
      err: `bun-vfio: ${folder.at("image")}: 0000:02:00.0: header type 1 is not an endpoint's; bridges cannot be passed through; pass the devices behind them\n`,
    });
    expect(failure(head.replace(/: .*"/, `: ${Array(16).fill("ff").join(" ")}"`))).toMatchObject({
      code: 2,
      out: "",
      err: expect.stringMatching(
        /^bun-vfio: .*\/image: 0000:02:00\.0: config space reads all ones; the device is gone[^\n]*[^.\n]\n$/,
      ),
    });
  });

  test("usage", () => {
    expect(bunVfio(["replay"])).toEqual({
      code: 2,
      out: "",
      err: "bun-vfio: missing required argument 'image'; see bun-vfio --help\n",
    });
    expect(bunVfio(["replay", "--jsn", image("nvme"), trace("nvme")]).err).toBe(
      "bun-vfio: unknown option '--jsn' (Did you mean --json?); see bun-vfio --help\n",
    );
  });
});

test("colour is for terminals", () => {
  expect(replayed("nvme").out).not.toContain("\u001b");
});

test("an image whose BAR sizes nobody knows is refused with the next step", () => {
  using folder = temporary();
  const dump = join(root, "test/data/lspci-xxxx.txt");
  const one = folder.at("one.json");
  expect(bunVfio(["import", dump, "--device", "02:00.0", "-o", one]).code).toBe(0);
  expect(bunVfio(["replay", one, join(root, "test/traces/nvme.txt")])).toEqual({
    code: 2,
    out: "",
    err: `bun-vfio: ${one}: the sizes of its BARs are not known; import it again with --resource\n`,
  });
});
