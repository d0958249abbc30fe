import { expect, setDefaultTimeout, spyOn, test } from "bun:test";
import { copyFileSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { readImage } from "../../src/image/index.ts";
import { decodeConfig } from "../../src/regs/index.ts";
import { wantsColor } from "../../src/cli/style.ts";
import { stdout } from "../../src/cli/output.ts";
import { showCommand } from "../../src/cli/show.ts";
import { classNameOf } from "../../src/regs/class-names.ts";
import { Machine } from "../support/host-machine.ts";
import { run } from "./on-machine.ts";
import { bunVfio, root, temporary } from "./run.ts";

// Each test starts the command several times.
setDefaultTimeout(60_000);

const nvme = join(root, "images/nvme.json");
const dump = join(root, "test/data/lspci-xxxx.txt");
const raw = join(root, "test/data/config/0000:02:00.0.bin");

test("an image: its place, regions, interrupts and capabilities, a line each", () => {
  const { code, out, err } = bunVfio(["show", nvme]);
  expect({ code, err }).toEqual({ code: 0, err: "" });
  expect(out)
    .toBe(`0000:02:00.0 Non-Volatile memory controller [0108]: 1b36:0010 (rev 02) (prog-if 02), endpoint header
\tRegion BAR0: size 0x4000, read write mmap, MSI-X mappable
\tRegion CONFIG: size 0x1000, read write
\tInterrupts: INTX 1, MSI 0, MSIX 65, ERR 1, REQ 1
\tCapabilities: [40] MSI-X
\tCapabilities: [80] PCIe
\tCapabilities: [60] PM
`);
});

test("-v adds registers by their flags, twice all of them with raw values", () => {
  const once = bunVfio(["show", nvme, "-v"]).out;
  expect(once).toContain("\tControl: I/O+ Mem+ BusMaster+ ");
  expect(once).not.toContain("0x0507");
  const twice = bunVfio(["show", "-vv", nvme]).out;
  expect(twice).toContain("[04] 0x0507 Control: I/O+ Mem+ BusMaster+ ");
  expect(bunVfio(["show", "-v", "-v", "-v", nvme]).out).toBe(twice);
});

test("a dump of many devices, or one of it", () => {
  const all = bunVfio(["show", dump]);
  expect(all.code).toBe(0);
  expect(all.out.match(/^\S/gm)).toHaveLength(26);
  const one = bunVfio(["show", dump, "--device", "2:0.0"]);
  expect(one.out.match(/^\S/gm)).toHaveLength(1);
  expect(one.out).toStartWith("0000:02:00.0 Non-Volatile memory controller");
  expect(all.out).toContain(one.out);
});

test("a raw config space has the BDF of its path, or the one given, or none", () => {
  expect(bunVfio(["show", raw]).out).toStartWith("0000:02:00.0 Non-Volatile");
  expect(bunVfio(["show", raw, "--device", "05:00.1"]).out).toStartWith("0000:05:00.1 Non-Volatile");
  using folder = temporary();
  copyFileSync(raw, folder.at("config"));
  expect(bunVfio(["show", folder.at("config")]).out).toStartWith("Non-Volatile");
});

test("standard input is a file like any other", () => {
  const { code, out } = bunVfio(["show", "/dev/stdin"], { input: readFileSync(dump) });
  expect(code).toBe(0);
  expect(out).toBe(bunVfio(["show", dump]).out);
});

test("a dump in a string of a JSON is shown, but for that of an image's note", () => {
  const text = readFileSync(dump, "utf8");
  expect(bunVfio(["show", "-"], { input: JSON.stringify({ stdout: text }) }).out).toBe(
    bunVfio(["show", dump]).out,
  );
  const image = JSON.parse(readFileSync(nvme, "utf8")) as { host: object };
  const noted = { ...image, host: { ...image.host, notes: [text.slice(0, 1500)] } };
  const { out, err } = bunVfio(["show", "-"], { input: JSON.stringify(noted) });
  expect({ out, err }).toEqual({ out: bunVfio(["show", nvme]).out, err: "" });
});

test("--json is what docs/show-json.md says", () => {
  const image = readImage(readFileSync(nvme, "utf8"));
  const shown = JSON.parse(bunVfio(["show", nvme, "--json"]).out) as Record<string, unknown>;
  expect(shown).toEqual({
    formatVersion: 2,
    source: "image",
    devices: [
      {
        bdf: "0000:02:00.0",
        configSize: 4096,
        unknown: [],
        config: JSON.parse(JSON.stringify(decodeConfig(image.config))),
        place: null,
        recording: {
          regions: [
            {
              index: 0,
              name: "BAR0",
              size: 0x4000,
              flags: ["read", "write", "mmap"],
              msixMappable: true,
              sparse: null,
              type: null,
              recordedBytes: 0,
            },
            {
              index: 7,
              name: "CONFIG",
              size: 0x1000,
              flags: ["read", "write"],
              msixMappable: false,
              sparse: null,
              type: null,
              recordedBytes: 0,
            },
          ],
          irqs: [
            { index: 0, name: "INTX", count: 1, flags: ["eventfd", "maskable", "automasked"] },
            { index: 1, name: "MSI", count: 0, flags: ["eventfd", "noresize"] },
            { index: 2, name: "MSIX", count: 65, flags: ["eventfd"] },
            { index: 3, name: "ERR", count: 1, flags: ["eventfd", "noresize"] },
            { index: 4, name: "REQ", count: 1, flags: ["eventfd", "noresize"] },
          ],
          unknownIrqs: [],
          resettable: true,
          host: image.host,
        },
      },
    ],
  });
  const lspci = JSON.parse(bunVfio(["show", dump, "--json"]).out);
  expect(lspci).toMatchObject({ source: "lspci" });
  expect(lspci.devices).toHaveLength(26);
  expect(lspci.devices[0]).toMatchObject({ bdf: "0000:00:00.0", configSize: 256, recording: null });
});

test("a malformed capability list is shown, with exit code 1", () => {
  using folder = temporary();
  const config = new Uint8Array(readFileSync(raw));
  config[0x41] = 0x40;
  writeFileSync(folder.at("looped"), config);
  const { code, out, err } = bunVfio(["show", folder.at("looped")]);
  expect({ code, err }).toEqual({ code: 1, err: "" });
  expect(out).toMatch(/\tMalformed: .*0x40 goes back to a capability seen before\n$/);
  expect(bunVfio(["show", "--json", folder.at("looped")]).code).toBe(1);
});

test("a dump of the header alone has no capabilities, which is no fault", () => {
  using folder = temporary();
  const config = new Uint8Array(readFileSync(raw)).slice(0, 64);
  const rows = config.toHex().match(/.{32}/g)!;
  const dumped = rows.map((row, index) => `${index}0: ${row.match(/../g)!.join(" ")}`).join("\n");
  writeFileSync(folder.at("lspci-x"), `02:00.0 Non-Volatile memory controller: x\n${dumped}\n`);
  writeFileSync(folder.at("config"), config);
  for (const name of ["lspci-x", "config"]) {
    const { code, out, err } = bunVfio(["show", folder.at(name)]);
    expect({ code, err }).toEqual({ code: 0, err: "" });
    expect(out).toEndWith("endpoint header\n\tNote: capabilities are not in this dump of 64 bytes\n");
    const json = bunVfio(["show", "--json", folder.at(name)]);
    expect(json.code).toBe(0);
    expect(JSON.parse(json.out).devices[0].config.malformations).toEqual([
      { kind: "truncated", offset: 0x34, message: "the capability at 0x40 lies past the 64 bytes there are" },
    ]);
  }
  // A pointer into the header is a fault at any size.
  config[0x34] = 0x10;
  writeFileSync(folder.at("config"), config);
  const { code, out } = bunVfio(["show", folder.at("config")]);
  expect(code).toBe(1);
  expect(out).toContain("\tMalformed: capability pointer 0x10 points into the header\n");
  expect(out).not.toContain("Note:");
});

test("colour is for terminals only, and not with NO_COLOR", () => {
  const before = { NO_COLOR: process.env["NO_COLOR"], TERM: process.env["TERM"] };
  try {
    delete process.env["NO_COLOR"];
    process.env["TERM"] = "xterm";
    expect(wantsColor({ isTTY: true })).toBe(true);
    expect(wantsColor({ isTTY: false })).toBe(false);
    expect(wantsColor({})).toBe(false);
    process.env["TERM"] = "dumb";
    expect(wantsColor({ isTTY: true })).toBe(false);
    process.env["TERM"] = "xterm";
    process.env["NO_COLOR"] = "1";
    expect(wantsColor({ isTTY: true })).toBe(false);
  } finally {
    for (const [name, value] of Object.entries(before))
      if (value === undefined) delete process.env[name];
      else process.env[name] = value;
  }
  expect(bunVfio(["show", nvme, "-vv"]).out).not.toContain("\u001b");
});

test("colour changes nothing but colour", () => {
  const shown: string[] = [];
  const spy = spyOn(stdout, "write").mockImplementation((text) => void shown.push(text));
  try {
    showCommand([nvme], { verbose: 0, color: true });
  } finally {
    spy.mockRestore();
  }
  const text = shown.join("");
  expect(text).toContain("\u001b[1m0000:02:00.0\u001b[22m");
  expect(Bun.stripANSI(text)).toBe(bunVfio(["show", nvme]).out);
});

test("a reader that leaves early is no failure", () => {
  const run = Bun.spawnSync(
    [
      "sh",
      "-c",
      '"$0" src/cli/main.ts show test/data/lspci-xxxx.txt -vv | head -n 1; wait',
      process.execPath,
    ],
    { cwd: root },
  );
  expect(run.stdout.toString()).toStartWith("0000:00:00.0 ");
  expect(run.stderr.toString()).toBe("");
});

test("-v: what the host's database calls it, its driver, and how large its BARs are, as lspci has them", () => {
  using machine = new Machine();
  const image = run(machine, "show", "-v", nvme);
  expect(image.out).toContain("\tDevice: Red Hat, Inc. QEMU NVM Express Controller\n");
  expect(image.out).toMatch(/^\tRegion 0: Memory at \w+ \(64-bit, non-prefetchable\) \[size=16K\]$/m);
  expect(run(machine, "show", "-vv", nvme).out).toMatch(/Region 0: Memory at .* \[size=16K\]$/m);
  expect(run(machine, "show", "-v", dump).out).not.toMatch(/Region \d: .*\[size=/);
  machine.put(`${machine.folder("0000:02:00.0")}/numa_node`, "1");
  const live = run(machine, "show", "0000:02:00.0");
  expect(live.out).toContain("\tKernel driver in use: nvme\n\tIOMMU group: 12\n\tNUMA node: 1\n");
});

test("lines fit the width that there is, and say the same", () => {
  const whole = bunVfio(["show", "-vv", nvme]).out;
  for (const columns of [60, 80, 200]) {
    const { out } = bunVfio(["show", "-vv", nvme], { env: { COLUMNS: String(columns) } });
    for (const line of out.split("\n"))
      expect(line.replaceAll("\t", " ".repeat(8)).length).toBeLessThanOrEqual(columns);
    expect(out.replace(/\n\t* {4}/g, " ")).toBe(whole);
  }
});

test("every class that lspci names has a name", () => {
  expect(classNameOf(0x01, 0x08)).toBe("Non-Volatile memory controller");
  expect(classNameOf(0x01, 0x80)).toBe("Mass storage controller");
  expect(classNameOf(0x06, 0x04)).toBe("PCI bridge");
  expect(classNameOf(0x50, 0)).toBe("Reserved class");
});
