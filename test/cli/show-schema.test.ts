// What `show --json` prints is what its schema says, and the schema that is shipped is the one that is checked.
import { expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { showFilesSchema, showJsonSchema, showSchema } from "../../src/cli/show-schema.ts";
import { Machine } from "../support/host-machine.ts";
import { nvme, run } from "./on-machine.ts";
import { bunVfio } from "./run.ts";

const root = join(import.meta.dir, "../..");
const schemaFile = join(root, "docs/show.schema.json");
const files = ["images/nvme.json", "images/igb.json", "test/data/lspci-xxxx.txt"];

test("the shipped schema is made of the one that is checked", () => {
  expect(JSON.parse(readFileSync(schemaFile, "utf8"))).toEqual(JSON.parse(JSON.stringify(showJsonSchema())));
});

for (const file of files)
  test(`what is printed of ${file} fits it`, () => {
    const { out } = bunVfio(["show", "--json", join(root, file)]);
    const result = showSchema.safeParse(JSON.parse(out));
    expect(result.error?.issues.slice(0, 3)).toBeUndefined();
    expect(result.data!.devices.length).toBeGreaterThan(0);
  });

test("what is printed of a device of this host fits it, with its driver, IOMMU group and NUMA node", () => {
  using machine = new Machine();
  const result = showSchema.safeParse(JSON.parse(run(machine, "show", "--json", nvme).out));
  expect(result.error?.issues.slice(0, 3)).toBeUndefined();
  expect(result.data).toMatchObject({ source: "sysfs", devices: [{ place: { driver: "nvme" } }] });
  const { iommuGroup, numaNode } = result.data!.devices[0]!.place!;
  expect([typeof iommuGroup, numaNode === null || typeof numaNode === "number"]).toEqual(["number", true]);
});

test("what is printed of several files fits it", () => {
  const { out } = bunVfio(["show", "--json", ...files.map((file) => join(root, file))]);
  const result = showFilesSchema.safeParse(JSON.parse(out));
  expect(result.error?.issues.slice(0, 3)).toBeUndefined();
  expect(result.data!.files.map(({ source }) => source)).toEqual(["image", "image", "lspci"]);
  expect(showJsonSchema()).toHaveProperty("anyOf.1.properties.files");
});

interface Capability {
  readonly name: string;
  readonly registers: { readonly table: object };
  readonly values?: object;
}
interface Printed {
  readonly formatVersion: number;
  readonly devices: readonly {
    readonly config: { readonly header: object; readonly capabilities: readonly Capability[] };
  }[];
}

test("format 1 is as it was: units as the bits count them, nothing worked out", () => {
  const shown = (...more: string[]): Printed =>
    JSON.parse(bunVfio(["show", "--json", ...more, join(root, "images/nvme.json")]).out) as Printed;
  const one = shown("--format-version", "1");
  const two = shown();
  const msix = ({ devices }: Printed): Capability =>
    devices[0]!.config.capabilities.find(({ name }) => name === "MSI-X")!;
  expect([one.formatVersion, two.formatVersion]).toEqual([1, 2]);
  expect([msix(one).registers.table, msix(two).registers.table]).toEqual([
    { bir: 0, offset: 0x400 },
    { bir: 0, offset: 0x2000 },
  ]);
  expect([msix(one).values, msix(two).values]).toEqual([undefined, { vectors: 65 }]);
  expect(one.devices[0]!.config).not.toHaveProperty("undescribed");
  expect(one.devices[0]!.config.header).not.toHaveProperty("values");
});

test("a format that is none is refused", () => {
  const { code, err } = bunVfio(["show", "--json", "--format-version", "3", join(root, "images/nvme.json")]);
  expect([code, err]).toEqual([2, expect.stringContaining("It is 1 or 2")]);
});
