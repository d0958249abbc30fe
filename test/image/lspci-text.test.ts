import { expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import fc from "fast-check";
import { ImageError, imageFromConfig, readLspci, writeLspci } from "../../src/image/index.ts";
import { hexRow } from "../../src/image/hex.ts";
import { lspciMissing, oracleTest } from "../support/lspci.ts";
import { bdfs, configs } from "./arbitrary.ts";

const data = join(import.meta.dir, "../data");
const dump = readFileSync(join(data, "lspci-xxxx.txt"), "utf8");
const devices = fc.uniqueArray(fc.record({ bdf: bdfs, config: configs }), {
  minLength: 1,
  maxLength: 4,
  selector: ({ bdf }) => bdf,
});

const message = (body: () => unknown): string => {
  try {
    body();
  } catch (error) {
    if (error instanceof ImageError) return error.message;
    throw error;
  }
  throw new Error("nothing was thrown");
};

test("a real dump of a whole machine gives the bytes that the kernel's files had", () => {
  const found = readLspci(dump);
  expect(found.length).toBe(26);
  expect(found[0]).toMatchObject({ bdf: "0000:00:00.0", line: 1 });
  expect(found[0]!.title).toStartWith("Host bridge: ");
  for (const { bdf, config } of found)
    expect(config).toEqual(new Uint8Array(readFileSync(join(data, "config", `${bdf}.bin`))));
});

test("what is written is read back", () => {
  fc.assert(
    fc.property(devices, (written) => {
      const back = readLspci(writeLspci(written));
      expect(back.map(({ bdf, config }) => ({ bdf, config }))).toEqual(written);
    }),
  );
});

test("lines of -v, line ends of another system, upper case and what lspci says of itself do not matter", () => {
  const rows =
    "00: 86 80 c9 10 07 05 10 00 01 00 00 02 00 00 00 00\n" +
    [1, 2, 3].map((n) => `${n}0:${" 00".repeat(16)}\n`).join("");
  const plain = readLspci(`04:00.0 Ethernet\n${rows}`);
  const busy = `pcilib: Cannot open /sys/bus/pci: denied\n04:00.0 Ethernet (rev 01)\n\tSubsystem: x\n\tControl: I/O+\n${rows}\n`;
  for (const text of [busy, busy.replaceAll("\n", "\r\n"), `0000:04:00.0 X\n${rows.toUpperCase()}`]) {
    expect(readLspci(text).map(({ bdf, config }) => [bdf, config])).toEqual([
      ["0000:04:00.0", plain[0]!.config],
    ]);
  }
  expect(plain[0]!.config.length).toBe(64);
});

test("of a CardBus bridge lspci dumps 128 bytes: the others are unknown", () => {
  const config = new Uint8Array(128);
  config[0x0e] = 2;
  const [device] = readLspci(writeLspci([{ bdf: "02:00.0", config }]));
  expect(device).toMatchObject({ unknown: { config: [{ offset: 128, size: 128 }] } });
  expect(device!.config.subarray(0, 128)).toEqual(config);
});

const head = "01:00.0 Device\n";
const row = (offset: string): string => `${offset}:${" 00".repeat(16)}\n`;
const header = ["00", "10", "20", "30"].map(row).join("");
const faults: readonly (readonly [what: string, text: string, message: string | RegExp])[] = [
  ["nothing", "", "no device: expected the output of lspci -xxxx"],
  ["prose", "hello\n", "no device: expected the output of lspci -xxxx"],
  ["a row alone", row("00"), /^line 1: a row of a dump before any device .*"00: 00/],
  [
    "no dump",
    `${head}\tSubsystem: x\n`,
    "line 1: 0000:01:00.0 has no dump of its config space: run lspci with -xxxx",
  ],
  ["function a", `01:00.a Device\n${header}`, /^line 1: .*function a is above 7$/],
];
for (const [what, text, expected] of faults)
  test(`no device with the reason: ${what}`, () => {
    if (typeof expected === "string") expect(message(() => readLspci(text))).toBe(expected);
    else expect(message(() => readLspci(text))).toMatch(expected);
  });

test("a header that is cut off is read as far as it is there, and no image is made of it", () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 63 }),
      fc.uint8Array({ minLength: 63, maxLength: 63 }),
      (size, bytes) => {
        const rows = Array.from({ length: Math.ceil(size / 16) }, (_, at) =>
          hexRow(16 * at, bytes.subarray(16 * at, Math.min(size, 16 * at + 16))),
        );
        const text = head + rows.join("\n");
        const [device] = readLspci(text);
        expect(device!.config.subarray(0, size)).toEqual(Buffer.from(bytes.subarray(0, size)));
        expect(device!.unknown).toEqual({ config: [{ offset: size, size: 64 - size }] });
        expect(message(() => imageFromConfig(device!.bdf, device!.config, {}, device!.unknown!.config))).toBe(
          `only ${size} bytes of its header of 64 are known, and an image has all of them`,
        );
      },
    ),
  );
});

test("slots are those that lspci takes, also such as no PCI has", () => {
  const names = ["01:20.0", "01:ff.9", "123456:01:3f.8", "ABCD:0A:1F.7"];
  const found = readLspci(names.map((name) => `${name} Device\n${header}\n`).join(""));
  expect(found.map(({ bdf }) => bdf)).toEqual([
    "0000:01:20.0",
    "0000:01:ff.9",
    "123456:01:3f.8",
    "abcd:0a:1f.7",
  ]);
});

test("a dump that was changed anywhere is read", () => {
  const text = dump.slice(0, 4000);
  const change = fc.record({
    at: fc.nat(text.length - 1),
    drop: fc.nat(80),
    put: fc.string({ unit: "binary", maxLength: 4 }),
  });
  const whole = readLspci(text).length;
  expect(whole).toBeGreaterThan(0);
  let fewer = 0;
  fc.assert(
    fc.property(change, ({ at, drop, put }) => {
      const found = readLspci(text.slice(0, at) + put + text.slice(at + drop));
      if (found.length < whole) fewer++;
      for (const { config } of found) expect([64, 256, 4096]).toContain(config.length);
    }),
    { numRuns: 1000 },
  );
  expect(fewer).toBeGreaterThan(100);
});

oracleTest("lspci -F prints the bytes of what was exported", () => {
  // As far as lspci itself goes: it reads domains of 16 bits from a dump.
  const whole = readLspci(dump).map(({ bdf, config }) => imageFromConfig(bdf, config));
  const text = writeLspci([...whole, imageFromConfig("ffff:ff:1f.7", whole[0]!.config.slice(0, 64))]);
  const run = Bun.spawnSync(
    [
      Bun.which("lspci", { PATH: "/usr/bin:/usr/sbin:/sbin" }) ?? String(lspciMissing),
      "-F",
      "/dev/stdin",
      "-D",
      "-n",
      "-xxxx",
    ],
    {
      stdin: new TextEncoder().encode(text),
      env: { LC_ALL: "C" },
    },
  );
  expect(run.stderr.toString()).toBe("");
  const printed = readLspci(run.stdout.toString());
  const byBdf = (list: readonly { bdf: string; config: Uint8Array }[]) =>
    new Map(list.map(({ bdf, config }) => [bdf, Buffer.from(config).toString("hex")]));
  expect(printed.length).toBe(27);
  expect(byBdf(printed)).toEqual(byBdf(readLspci(text)));
});
