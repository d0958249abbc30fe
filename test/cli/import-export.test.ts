import { expect, setDefaultTimeout, test } from "bun:test";
import { existsSync, mkdirSync, readFileSync, statSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { imageFromConfig, readImage, readLspci, writeImage, writeLspci } from "../../src/image/index.ts";
import { oracleTest, parseLspci } from "../support/lspci.ts";
import { bunVfio, root, temporary } from "./run.ts";

// Each test starts the command several times.
setDefaultTimeout(60_000);

const dump = join(root, "test/data/lspci-xxxx.txt");
const raw = join(root, "test/data/config/0000:02:00.0.bin");
const resource = join(root, "test/data/recordings/0000:02:00.0.resource");
const names = "edu nvme e1000e igb pci-testdev virtio-net virtio-blk xhci ahci".split(" ");
const images = names.map((name) => join(root, "images", `${name}.json`));

test("every device of a dump becomes an image, in a directory that is made for them", () => {
  using folder = temporary();
  const { code, out } = bunVfio(["import", dump, "-o", folder.at("new/images")]);
  expect(code).toBe(0);
  const devices = readLspci(readFileSync(dump, "utf8"));
  expect(out.trim().split("\n")).toEqual(devices.map(({ bdf }) => folder.at(`new/images/${bdf}.json`)));
  for (const { bdf, title, config } of devices)
    expect(readImage(readFileSync(folder.at(`new/images/${bdf}.json`), "utf8"))).toStrictEqual(
      imageFromConfig(bdf, config, { notes: ["from the output of lspci", title] }),
    );
});

test("config space and resource file give the image that VFIO's own words give", () => {
  using folder = temporary();
  const run = bunVfio(["import", raw, "--resource", resource, "-o", folder.at("nvme.json")]);
  expect(run).toEqual({ code: 0, out: `${folder.at("nvme.json")}\n`, err: "" });
  const made = readImage(readFileSync(folder.at("nvme.json"), "utf8"));
  // Which bits the device takes and keeps is known from a guest that tried.
  const { readOnlyBits: _, writable: __, ...shipped } = readImage(readFileSync(images[1]!, "utf8"));
  expect(made).toStrictEqual({ ...shipped, host: { notes: ["from a raw config space"] } });
});

test("a note, and no failure, where sizes stay unknown", () => {
  using folder = temporary();
  const all = bunVfio(["import", dump, "-o", folder.at("all")]);
  const unknown = readLspci(readFileSync(dump, "utf8")).filter(({ bdf, config }) =>
    imageFromConfig(bdf, config).regions.some(({ size }) => size === 0),
  );
  expect(unknown.length).toBeGreaterThan(1);
  expect([all.code, all.err]).toEqual([
    0,
    `bun-vfio: note: the sizes of BARs of ${unknown.length} of 26 devices are not known, which replay needs; import one with --device and --resource\n`,
  ]);
  const one = bunVfio(["import", dump, "--device", "02:00.0", "-o", folder.at("one.json")]);
  expect(one).toEqual({
    code: 0,
    out: `${folder.at("one.json")}\n`,
    err: "bun-vfio: note: 0000:02:00.0: sizes that are not known, which replay needs: BAR0; import it again with --resource\n",
  });
  const again = ["import", folder.at("one.json"), "--resource", resource, "-o", folder.at("two.json")];
  expect(bunVfio(again)).toEqual({ code: 0, out: `${folder.at("two.json")}\n`, err: "" });
  const replayed = bunVfio(["replay", folder.at("two.json"), join(root, "test/traces/nvme.txt")]);
  expect([replayed.code === 2, replayed.err]).toEqual([false, ""]);
});

test("one device of a dump, with its resource file", () => {
  using folder = temporary();
  expect(
    bunVfio(["import", dump, "--device", "02:00.0", "--resource", resource, "-o", `${folder.path}/`]).code,
  ).toBe(0);
  expect(folder.list()).toEqual(["0000:02:00.0.json"]);
  const { regions, host } = readImage(readFileSync(folder.at("0000:02:00.0.json"), "utf8"));
  expect(regions[0]!.size).toBe(0x4000);
  expect(host.notes!.join()).not.toContain("unknown");
});

test("nothing is overwritten without --force, and nothing is written beside it", () => {
  using folder = temporary();
  writeFileSync(folder.at("0000:09:00.0.json"), "mine");
  const refused = bunVfio(["import", dump, "-o", folder.path]);
  expect(refused.code).toBe(2);
  expect(refused.err).toBe(
    `bun-vfio: ${folder.at("0000:09:00.0.json")}: it exists; add --force to replace it\n`,
  );
  expect(folder.list()).toEqual(["0000:09:00.0.json"]);
  expect(readFileSync(folder.at("0000:09:00.0.json"), "utf8")).toBe("mine");
  expect(bunVfio(["import", dump, "-o", folder.path, "--force"]).code).toBe(0);
  expect(folder.list()).toHaveLength(26);
  expect(readImage(readFileSync(folder.at("0000:09:00.0.json"), "utf8")).bdf).toBe("0000:09:00.0");
});

test("a symbolic link is kept: what it points to is replaced", () => {
  using folder = temporary();
  writeFileSync(folder.at("real"), "");
  symlinkSync(folder.at("real"), folder.at("link"));
  expect(bunVfio(["export", images[0]!, "-o", folder.at("link"), "--force"]).code).toBe(0);
  expect(readLspci(readFileSync(folder.at("real"), "utf8"))[0]!.bdf).toBe("0000:01:00.0");
  expect(folder.list()).toEqual(["link", "real"]);
});

test("what cannot be written is said, and leaves nothing", () => {
  using folder = temporary();
  mkdirSync(folder.at("dir"));
  writeFileSync(folder.at("file"), "");
  const cases: readonly (readonly [args: readonly string[], message: string])[] = [
    [
      ["export", images[0]!, "-o", folder.at("no/such/file")],
      `${folder.at("no/such/file")}: cannot write it: the directory ${folder.at("no/such")} does not exist; create it`,
    ],
    [
      ["export", images[0]!, "-o", folder.at("dir")],
      `${folder.at("dir")}: it is a directory; give the name of a file`,
    ],
    [
      ["export", images[0]!, "-o", "/dev/null", "--force"],
      "/dev/null: it is no regular file; give another name",
    ],
    [
      ["export", images[0]!, images[0]!],
      `${images[0]}: 0000:01:00.0 is in ${images[0]} as well; a dump has each device once`,
    ],
    [
      ["import", dump, "-o", folder.at("file")],
      `${folder.at("file")}: it is no directory, and ${dump} has several devices; give a directory, or one device with --device`,
    ],
    [
      ["import", dump, "-o", folder.at("out"), "--resource", resource],
      `${dump}: it has several devices, and --resource is of one; choose it with --device`,
    ],
    [
      ["import", raw, "-o", folder.at("out"), "--resource", dump],
      expect.stringMatching(/lspci-xxxx\.txt: more than 65536 bytes; the `resource` file/),
    ],
    [
      ["import", raw, "-o", folder.at("out"), "--resource", raw],
      `${raw}: not text; expected the \`resource\` file of a device in sysfs`,
    ],
    [
      ["import", raw, "-o", folder.at("out"), "--resource", folder.at("none")],
      `${folder.at("none")}: cannot read it: no such file; check the path`,
    ],
  ];
  for (const [args, message] of cases) {
    const { code, out, err } = bunVfio(args);
    expect({ code, out }).toEqual({ code: 2, out: "" });
    expect(err.replace(/^bun-vfio: |\n$/g, "")).toEqual(message);
    expect(folder.list()).toEqual(["dir", "file"]);
  }
  expect(existsSync("/dev/null")).toBe(true);
});

test("a raw config space of no known place needs its BDF to be imported", () => {
  using folder = temporary();
  const config = folder.at("config");
  writeFileSync(config, readFileSync(raw));
  for (const command of [
    ["import", config, "-o", folder.at("x")],
    ["export", config],
  ])
    expect(bunVfio(command).err).toStartWith(`bun-vfio: ${config}: which device is it? `);
  expect(bunVfio(["import", config, "-o", folder.at("x"), "--device", "0:0.1"]).code).toBe(0);
  expect(folder.list()).toEqual(["config", "x"]);
});

test("what is exported is imported again", () => {
  using folder = temporary();
  const { code, out } = bunVfio(["export", ...images]);
  expect(code).toBe(0);
  const before = images.map((path) => readImage(readFileSync(path, "utf8")));
  expect(out).toBe(writeLspci(before));
  expect(bunVfio(["import", "/dev/stdin", "-o", folder.path], { input: out }).code).toBe(0);
  for (const { bdf, config } of before) {
    const text = readFileSync(folder.at(`${bdf}.json`), "utf8");
    expect(readImage(text).config).toEqual(config);
    expect(writeImage(readImage(text))).toBe(text);
  }
});

oracleTest("lspci -F reads the export, and finds every device with its capabilities", () => {
  using folder = temporary();
  expect(bunVfio(["export", ...images, "-o", folder.at("dump")])).toEqual({ code: 0, out: "", err: "" });
  const path = Bun.which("lspci", { PATH: "/usr/bin:/usr/sbin:/sbin" })!;
  const run = Bun.spawnSync([path, "-F", folder.at("dump"), "-D", "-n", "-vvv"], { env: { LC_ALL: "C" } });
  const devices = parseLspci(run.stdout.toString());
  expect(devices.map(({ bdf }) => bdf)).toEqual(names.map((_, index) => `0000:0${index + 1}:00.0`));
  const shown = devices.map(({ capabilities }) => capabilities.map(({ offset }) => offset));
  const ours = images.map((image) =>
    (
      JSON.parse(bunVfio(["show", image, "--json"]).out).devices[0].config.capabilities as {
        offset: number;
      }[]
    ).map(({ offset }) => offset),
  );
  expect(shown).toEqual(ours);
});

test("--redact, for images that are posted; images are their owner's alone", () => {
  using folder = temporary();
  const input = readFileSync(dump, "utf8");
  const serialOf = (text: string): string => /^140: .*\n/m.exec(text)![0];
  const [device] = ["--device", "3:0.0"].slice(1);
  expect(bunVfio(["import", dump, "-o", folder.at("plain"), "--device", device!]).code).toBe(0);
  expect(bunVfio(["import", dump, "-o", folder.at("redacted"), "--redact", "--device", device!]).code).toBe(
    0,
  );
  expect(statSync(folder.at("plain")).mode & 0o777).toBe(0o600);
  const plain = bunVfio(["export", folder.at("plain")]).out;
  expect(input).toContain(serialOf(plain));
  for (const text of [
    bunVfio(["export", folder.at("redacted")]).out,
    bunVfio(["export", folder.at("plain"), "--redact"]).out,
  ]) {
    expect(serialOf(text)).not.toBe(serialOf(plain));
    expect(text.replace(serialOf(text), "")).toBe(plain.replace(serialOf(plain), ""));
  }
});
