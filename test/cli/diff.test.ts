import { expect, setDefaultTimeout, test } from "bun:test";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { diffConfig } from "../../src/regs/diff.ts";
import { readImage, readLspci, writeImage, writeLspci } from "../../src/image/index.ts";
import { bunVfio, root, temporary } from "./run.ts";

// Each test starts the command several times.
setDefaultTimeout(60_000);

const image = (name: string): string => join(root, "images", `${name}.json`);
const dump = join(root, "test/data/lspci-xxxx.txt");
const nvme = readImage(readFileSync(image("nvme"), "utf8"));

test("the same, whatever the two files are: nothing printed, exit code 0", () => {
  for (const [a, b, ...more] of [
    [image("nvme"), image("nvme")],
    [dump, dump],
    [image("nvme"), dump, "--device", "02:00.0"],
    [join(root, "test/data/config/0000:02:00.0.bin"), image("nvme")],
  ])
    expect(bunVfio(["diff", a!, b!, ...more])).toEqual({ code: 0, out: "", err: "" });
});

test("a changed device: fields by name, regions and interrupts, exit code 1", () => {
  using folder = temporary();
  const config = nvme.config.slice();
  config[0x04]! ^= 4;
  config[0xf0] = 0xaa;
  const regions = nvme.regions.map((region) =>
    region.index === 0
      ? { ...region, size: 0x8000, contents: [{ offset: 0, bytes: new Uint8Array(4) }] }
      : region,
  );
  const irqs = nvme.irqs.filter(({ index }) => index !== 3);
  writeFileSync(folder.at("b.json"), writeImage({ ...nvme, config, regions, irqs, resettable: false }));
  const { code, out, err } = bunVfio(["diff", image("nvme"), folder.at("b.json")]);
  expect({ code, err }).toEqual({ code: 1, err: "" });
  expect(out.split("\n").slice(2)).toEqual([
    "header",
    "  [04] Control: BusMaster: + -> - (rw)",
    "bytes [f0]: 00 -> aa",
    "BAR0 size: 0x4000 -> 0x8000",
    expect.stringMatching(/^BAR0 contents: none -> [0-9a-f]{16}$/),
    "ERR count: 1 -> none",
    "ERR flags: eventfd noresize -> none",
    "device resettable: true -> false",
    "",
  ]);
});

test("two devices are compared though their places differ; --json has it all", () => {
  const { code, out } = bunVfio(["diff", image("igb"), image("e1000e"), "--json"]);
  expect(code).toBe(1);
  const read = (name: string): Uint8Array => readImage(readFileSync(image(name), "utf8")).config;
  const config = JSON.parse(JSON.stringify(diffConfig(read("igb"), read("e1000e"))));
  expect(JSON.parse(out)).toEqual({
    formatVersion: 2,
    devices: [
      {
        from: "0000:04:00.0",
        to: "0000:03:00.0",
        answers: { from: true, to: true },
        config,
        recording: [
          { where: "MSIX", what: "count", from: "10", to: "5" },
          { where: "ROM", what: "size", from: null, to: "0x40000" },
          { where: "ROM", what: "flags", from: null, to: "read" },
        ],
        contents: [],
        notCompared: [],
      },
    ],
    onlyFirst: [],
    onlySecond: [],
  });
});

test("dumps are compared device by device; one that is in one alone is told", () => {
  using folder = temporary();
  const devices = readLspci(readFileSync(dump, "utf8"));
  const changed = devices.slice(1).map((device) => {
    const config = device.config.slice();
    if (device.bdf === "0000:09:00.0") config[0x3c]! ^= 1;
    return { ...device, config };
  });
  writeFileSync(
    folder.at("b"),
    writeLspci([...changed, { bdf: "0000:0a:00.0", config: new Uint8Array(64) }]),
  );
  const { code, out } = bunVfio(["diff", dump, folder.at("b")]);
  expect(code).toBe(1);
  expect(out.split("\n")).toEqual([
    `--- ${dump} 0000:09:00.0`,
    `+++ ${folder.at("b")} 0000:09:00.0`,
    "header",
    "  [3c] Interrupt: line: 11 -> 10 (rw)",
    `- 0000:00:00.0: only in ${dump}`,
    `+ 0000:0a:00.0: only in ${folder.at("b")}`,
    "",
  ]);
});
