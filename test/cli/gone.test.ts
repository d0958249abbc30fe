// A device that reads all ones is said not to answer, wherever its config space comes from.
import { expect, setDefaultTimeout, test } from "bun:test";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { readImage, writeLspci } from "../../src/image/index.ts";
import { Machine } from "../support/host-machine.ts";
import { nvme, run } from "./on-machine.ts";
import { bunVfio, root, temporary } from "./run.ts";

// Each test starts the command several times.
setDefaultTimeout(60_000);

const sizes = [64, 256, 4096] as const;
const ones = (size: number): Uint8Array => new Uint8Array(size).fill(0xff);
const says = /config space reads all ones: the device is gone, asleep or stuck/;
const well = new Uint8Array(readFileSync(join(root, "test/data/config", `${nvme}.bin`)));

for (const size of sizes)
  test(`of ${size} bytes, in a dump and as raw bytes`, () => {
    using folder = temporary();
    writeFileSync(folder.at("dump"), writeLspci([{ bdf: "01:00.0", config: ones(size) }]));
    writeFileSync(folder.at("raw"), ones(size));
    for (const name of ["dump", "raw"]) {
      const shown = bunVfio(["show", folder.at(name)]);
      expect(shown.code).toBe(1);
      expect(shown.out).toMatch(/^\tDoes not answer: config space reads all ones/m);
      const json = bunVfio(["show", "--json", folder.at(name)]);
      expect(json.code).toBe(1);
      expect(JSON.parse(json.out).devices[0].config.malformations).toContainEqual({
        kind: "all-ones",
        offset: 0,
        message: expect.stringMatching(says),
      });
      const compared = bunVfio(["diff", folder.at(name), folder.at(name)]);
      expect(compared.code).toBe(1);
      expect(compared.out).toMatch(/^--- does not answer: .*\n\+\+\+ does not answer: /m);
      const imported = bunVfio([
        "import",
        folder.at(name),
        "-o",
        folder.at("image"),
        "--force",
        "--device",
        "1:0.0",
      ]);
      expect(imported.code).toBe(1);
      expect(imported.err).toMatch(/^bun-vfio: warning: 0000:01:00\.0: config space reads all ones/m);
      const image = readImage(readFileSync(folder.at("image"), "utf8"));
      expect(image.resettable).toBe(false);
      expect(image.host.notes).toContainEqual(expect.stringContaining("did not answer"));
      expect(bunVfio(["show", folder.at("image")]).code).toBe(1);
    }
  });

test("one among others: it is named, and the others are as they were", () => {
  using folder = temporary();
  const dump = writeLspci([
    { bdf: "01:00.0", config: ones(256) },
    { bdf: "02:00.0", config: well },
  ]);
  writeFileSync(folder.at("dump"), dump);
  const shown = bunVfio(["show", folder.at("dump")]);
  expect(shown.code).toBe(1);
  expect(shown.out.match(/Does not answer/g)).toHaveLength(1);
  const imported = bunVfio(["import", folder.at("dump"), "-o", folder.at("out")]);
  expect(imported.code).toBe(1);
  expect(imported.err).toMatch(/warning: 0000:01:00\.0: /);
  const compared = bunVfio(["diff", folder.at("dump"), folder.at("dump"), "--json"]);
  expect(compared.code).toBe(1);
  const answers = JSON.parse(compared.out).devices.map((device: { answers: unknown }) => device.answers);
  expect(answers).toEqual([
    { from: false, to: false },
    { from: true, to: true },
  ]);
});

test("a virtual function, whose IDs alone read all ones, is well", () => {
  using folder = temporary();
  const config = well.slice();
  config.fill(0xff, 0, 4);
  writeFileSync(folder.at("dump"), writeLspci([{ bdf: "01:00.0", config }]));
  const { code, out } = bunVfio(["show", folder.at("dump")]);
  expect(code).toBe(0);
  expect(out).not.toContain("Does not answer");
});

test("a device of this host: shown, and not recorded", () => {
  using machine = new Machine();
  using folder = temporary();
  machine.put(`${machine.folder(nvme)}/config`, ones(4096));
  expect(run(machine, "show", nvme).code).toBe(1);
  const { code, out, err } = run(machine, "record", nvme, "-o", folder.at("image"));
  expect({ code, out }).toEqual({ code: 1, out: "" });
  expect(err).toBe(
    `bun-vfio: ${nvme}: config space reads all ones: the device is gone, asleep or stuck; nothing was recorded\n`,
  );
  expect(folder.list()).toEqual([]);
});

test("an extended part that reads all ones behind a good header could not be read: said, exit code 1", () => {
  using folder = temporary();
  const config = new Uint8Array(4096).fill(0xff, 0x100);
  config.set([0x86, 0x80, 0xd3, 0x10, 0, 0, 0x10, 0]);
  config[0x34] = 0x40;
  config[0x40] = 0x01;
  writeFileSync(folder.at("part"), writeLspci([{ bdf: "01:00.0", config }]));
  const shown = bunVfio(["show", folder.at("part")]);
  expect(shown.code).toBe(1);
  expect(shown.out).toMatch(/^\tMalformed: config space reads all ones from 0x100 on: its extended part/m);
  expect(JSON.parse(bunVfio(["show", "--json", folder.at("part")]).out).devices[0].config).toMatchObject({
    capabilities: [{ name: "PM" }],
    malformations: [{ kind: "all-ones", offset: 0x100 }],
  });
});
