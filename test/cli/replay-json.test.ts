// What docs/replay-json.md promises.
import { describe, expect, setDefaultTimeout, test } from "bun:test";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { bunVfio, root, temporary } from "./run.ts";

// Each test starts the command, some several times.
setDefaultTimeout(60_000);

const replayed = (name: string, ...more: string[]) =>
  bunVfio(["replay", `images/${name}.json`, `test/traces/${name}.txt`, ...more]);

describe("--json", () => {
  const { code, out, err } = replayed("igb", "--json");
  const report = JSON.parse(out) as Record<string, unknown>;
  const page = readFileSync(join(root, "docs/replay-json.md"), "utf8");

  /** Every path of keys; what a list holds is one `[]`. */
  const pathsOf = (value: unknown, path: string, found: Set<string>): Set<string> => {
    if (Array.isArray(value)) for (const element of value) pathsOf(element, `${path}[]`, found);
    else if (typeof value === "object" && value !== null)
      for (const [key, element] of Object.entries(value)) {
        found.add(`${path}.${key}`);
        pathsOf(element, `${path}.${key}`, found);
      }
    return found;
  };
  /** Expands `.{a,b}` to paths. */
  const keys = (path: string, ...names: string[]): string[] => names.map((name) => `${path}.${name}`);
  const area = (path: string): string[] => keys(path, "region", "offset", "size");
  const geometry = (path: string): string[] => [
    ...keys(path, "vectors", "table", "pba"),
    ...area(`${path}.table`),
    ...area(`${path}.pba`),
  ];
  const description = (path: string, mapped: boolean): string[] => [
    ...keys(
      path,
      "name",
      "vendorId",
      "deviceId",
      "command",
      "capabilities",
      "patches",
      "bars",
      "msix",
      "configMirrors",
      "interrupts",
    ),
    ...keys(`${path}.capabilities[]`, "id", "name", "offset", "extended", "hidden"),
    ...keys(`${path}.patches[]`, "kind", "offset", "size", "name"),
    ...keys(
      `${path}.bars[]`,
      "region",
      "name",
      "kind",
      "prefetchable",
      "physicalSize",
      "size",
      "address",
      "base",
      "mapped",
    ),
    ...(mapped ? keys(`${path}.bars[].mapped[]`, "offset", "size", "slot", "gpa", "peer") : []),
    ...keys(`${path}.msix`, "relocated", "physical", "guest"),
    ...geometry(`${path}.msix.physical`),
    ...geometry(`${path}.msix.guest`),
    ...keys(`${path}.interrupts`, "mode", "intx", "msiVectors", "msixVectors", "routed"),
  ];

  test("has the documented keys and no others", () => {
    expect({ code, err }).toEqual({ code: 0, err: "" });
    expect([...pathsOf(report, "", new Set())].sort()).toEqual(
      [
        ...keys("", "formatVersion", "image", "trace", "attached", "final", "reads", "writes", "counts"),
        ...keys("", "deviceReadsPerRead", "mostReadsPerAccess", "steps", "differences", "events"),
        ...keys("", "stepCount", "differenceCounts", "eventCount"),
        ...keys(".differenceCounts", "bar-address", "hidden-capability", "msix-relocated", "patched-bit"),
        ...keys(".differenceCounts", "host-virtual", "recorded-later", "unexplained"),
        ...keys(".counts", "configReads", "configWrites", "regionReads", "regionWrites"),
        ...keys(".counts", "maps", "setIrqs", "resets"),
        ...keys(".steps[]", "line", "what"),
        ...keys(".differences[]", "line", "offset", "width", "recorded", "seen", "rule"),
        ...description(".attached", false),
        ...description(".final", true),
      ].sort(),
    );
  });

  test("has every key in its documentation, and every rule that occurs", () => {
    for (const path of pathsOf(report, "", new Set()))
      expect(page).toContain(`"${path.replace(/.*\./, "")}"`);
    const { differences } = report as { differences: { rule: string }[] };
    for (const { rule } of differences) expect(page).toContain(`| \`${rule}\``);
  });

  test("agrees with the account, and is the same each time", () => {
    expect(report).toMatchObject({
      formatVersion: 1,
      image: "images/igb.json",
      trace: "test/traces/igb.txt",
      reads: 388,
      writes: 103,
      mostReadsPerAccess: 1,
      attached: { vendorId: 0x8086, deviceId: 0x10c9, command: 0 },
      final: { interrupts: { mode: "MSI-X", msiVectors: 1, msixVectors: 10, routed: [] } },
      events: [],
    });
    const { counts, deviceReadsPerRead } = report as {
      counts: { configReads: number };
      deviceReadsPerRead: number;
    };
    expect(deviceReadsPerRead).toBe(counts.configReads / 388);
    expect(replayed("igb", "--json").out).toBe(out);
  });

  test("what does not apply is null", () => {
    const testdev = JSON.parse(replayed("pci-testdev", "--json").out) as { final: object };
    expect(testdev.final).toMatchObject({ msix: null, interrupts: { mode: "none", intx: null } });
  });

  test("of a trace without a read", () => {
    using folder = temporary();
    writeFileSync(folder.at("trace"), "write 0x4 0x2\n");
    const { out } = bunVfio(["replay", "images/nvme.json", folder.at("trace"), "--json"]);
    expect(JSON.parse(out)).toMatchObject({ reads: 0, writes: 1, deviceReadsPerRead: 0, differences: [] });
  });
});
