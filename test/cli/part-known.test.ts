// Dumps of which a part is missing: what is there is shown as lspci shows it, what is not is said, and nothing is made up.
import { expect, setDefaultTimeout, test } from "bun:test";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { seededRandom } from "../support/random.ts";
import { newerLspci, newerOracleTest, oracleTest, type LspciCommand } from "../support/lspci.ts";
import { bunVfio, temporary } from "./run.ts";

setDefaultTimeout(60_000);

const hex = (value: number): string => value.toString(16).padStart(2, "0");
const rowsOf = (bytes: Uint8Array, skip: readonly number[] = []): string => {
  let text = "";
  for (let at = 0; at < bytes.length; at += 16)
    if (!skip.includes(at)) text += `${hex(at)}: ${Array.from(bytes.subarray(at, at + 16), hex).join(" ")}\n`;
  return text;
};

/** Headers of 16 to 60 bytes of endpoints, each register whole: BARs of 32 bits, since lspci makes up what it has not read. */
function shortDumps(): string {
  const random = seededRandom(9);
  let text = "";
  for (let i = 0; i < 200; i++) {
    const bytes = Uint8Array.from({ length: 64 }, () => random.below(256));
    bytes[0x0e] = 0;
    for (let bar = 0; bar < 6; bar++) {
      bytes[0x10 + 4 * bar]! &= random.below(2) ? 0xf1 & ~0x06 : 0xf8;
      if (random.below(3) === 0) bytes.fill(0, 0x10 + 4 * bar, 0x14 + 4 * bar);
    }
    const size = 16 + 4 * random.below(12);
    text += `${hex(i)}:${i % 3 === 0 ? "20" : "0a"}.${i % 10} Made up\n${rowsOf(bytes.subarray(0, size))}\n`;
  }
  return text;
}

/**
 * Slot, class, IDs and revision; then the regions with their addresses. Of their kinds lspci knows nothing where it has no
 * whole header, and calls all of them memory that is not prefetchable: the registers say what they are.
 */
const factsOf = (text: string): string[] =>
  text.split("\n").flatMap((line) => {
    const heading = /^(\S+:\S\S\.\d) (?:.*\[)?(\w{4})\]?: (\w{4}:\w{4})(?: \(rev (\w\w)\))?/.exec(line);
    if (heading) return [heading.slice(1, 4).join(" "), `rev ${heading[4] ?? "00"}`];
    const region = /^\tRegion (\d): (?:Memory|I\/O ports) at ([0-9a-f]+)/.exec(line);
    return region ? [`region ${region[1]} ${parseInt(region[2]!, 16)}`] : [];
  });

function compared(command: LspciCommand): void {
  const folder = mkdtempSync(join(tmpdir(), "bun-vfio-short-"));
  try {
    const file = join(folder, "short.txt");
    writeFileSync(file, shortDumps());
    const run = Bun.spawnSync([...command, "-F", file, "-D", "-n", "-vvv"], { env: { LC_ALL: "C" } });
    const { code, out } = bunVfio(["show", "-v", file]);
    expect(code).toBe(0);
    const wanted = factsOf(run.stdout.toString());
    expect(wanted.length).toBeGreaterThan(700);
    expect(factsOf(out)).toEqual(wanted);
  } finally {
    rmSync(folder, { recursive: true });
  }
}
const lspci = Bun.which("lspci", { PATH: `${process.env["PATH"] ?? ""}:/usr/sbin:/sbin` });
oracleTest("headers that are cut off and strange slots are shown as by lspci 3.9", () => compared([lspci!]));
newerOracleTest("and as by lspci 3.13", () => compared(newerLspci!));

const header = Uint8Array.from(
  { length: 64 },
  (_, at) => [0x86, 0x80, 0xd3, 0x10, 6, 0, 0, 0, 0, 0, 0, 2][at] ?? 0,
);
header.set([0, 0, 0, 0xfe], 0x10);

test("what of a dump is missing is said", () => {
  const show = (text: string) => bunVfio(["show", "-v", "-"], { input: text });
  const short = show(`01:00.0 A\n${rowsOf(header.subarray(0, 32))}`);
  expect([short.code, short.err]).toEqual([0, ""]);
  expect(short.out).toContain("bytes of config space that are unknown: 20-3f");
  expect(short.out).toContain("this dump ends after 32 bytes of the header's 64");
  const hole = show(`01:00.0 A\n${rowsOf(header, [0x10])}`);
  expect(hole.out).toContain("bytes of config space that are unknown: 10-1f");
  expect(hole.out).not.toContain("Region");
  const json = JSON.parse(
    bunVfio(["show", "--json", "-"], { input: `01:00.0 A\n${rowsOf(header, [0x10])}` }).out,
  ) as {
    devices: { config: { header: { registers: object } } }[];
  };
  const { registers } = json.devices[0]!.config.header;
  expect(registers).toHaveProperty("bar4");
  expect(registers).not.toHaveProperty("bar0");
});

test("no image is made of it, nor a page: of the others they are", () => {
  using folder = temporary();
  const short = `01:00.0 A\n${rowsOf(header.subarray(0, 32))}\n01:20.0 B\n${rowsOf(header)}\n`;
  const whole = `02:00.0 C\n${rowsOf(header)}\n`;
  const why = "0000:01:00.0: only 32 bytes of its header of 64 are known, and an image has all of them";
  writeFileSync(folder.at("short"), short);
  writeFileSync(folder.at("all"), short + whole);
  const { code, out, err } = bunVfio(["import", folder.at("all"), "-o", folder.at("images")]);
  expect([code, out]).toEqual([0, `${folder.at("images/0000:02:00.0.json")}\n`]);
  expect(err).toContain(`no image of 2 devices, first ${why}`);
  const none = bunVfio(["import", folder.at("short"), "-o", folder.at("none")]);
  expect([none.code, none.err]).toEqual([2, `bun-vfio: ${folder.at("short")}: ${why}\n`]);
  const slot = bunVfio(["import", "-", "-o", "-"], { input: `01:20.0 B\n${rowsOf(header)}` });
  expect([slot.code, slot.err]).toEqual([
    2,
    "bun-vfio: standard input: 0000:01:20.0: device 20 is above 1f\n",
  ]);
  const page = bunVfio(["view", folder.at("all"), "-o", folder.at("page.html")]);
  expect([page.code, page.err]).toEqual([
    0,
    expect.stringContaining(`2 devices are not shown, first ${why}`),
  ]);
});

test("what one side alone knows is not compared, and that is said", () => {
  using folder = temporary();
  writeFileSync(folder.at("hole"), `01:00.0 A\n${rowsOf(header, [0x10])}`);
  writeFileSync(folder.at("whole"), `01:00.0 A\n${rowsOf(header)}`);
  for (const files of [
    ["hole", "whole"],
    ["whole", "hole"],
  ]) {
    const { code, out, err } = bunVfio(["diff", ...files.map((file) => folder.at(file))]);
    expect([code, out]).toEqual([0, ""]);
    expect(err).toBe(
      "bun-vfio: note: 0000:01:00.0: not compared, since one side has no bytes there: 10-1f\n",
    );
    const { devices } = JSON.parse(
      bunVfio(["diff", "--json", ...files.map((file) => folder.at(file))]).out,
    ) as {
      devices: unknown[];
    };
    expect(devices).toMatchObject([{ config: [], notCompared: [{ offset: 16, size: 16 }] }]);
  }
});
