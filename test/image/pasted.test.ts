// What people paste is read: the bytes of each device are those that were dumped, whatever stands around them.
import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { bytesSource } from "../../src/image/lines.ts";
import { LspciText, type LspciDevice } from "../../src/image/lspci-text.ts";
import { utf16Source } from "../../src/image/utf16.ts";
import {
  encodings,
  pastedDevices,
  plainLines,
  prefixes,
  printedBetween,
  prose,
  quotedPrintable,
  strings,
  wrappedAt,
  wrappings,
  type PastedDevice,
} from "./pasted.ts";

function read(bytes: Uint8Array): { found: LspciDevice[]; skipped: LspciText["skipped"] } {
  const source = bytesSource(bytes);
  const dump = new LspciText(bytes[0] === 0xff ? utf16Source(source, "utf-16le") : source);
  return { found: [...dump.devices()], skipped: dump.skipped };
}

const facts = (devices: readonly { bdf: string; config: Uint8Array }[]) =>
  devices.map(({ bdf, config }) => [bdf, Buffer.from(config).toString("hex")]);
const textOf = (devices: readonly PastedDevice[], between = ""): string =>
  devices.map((device) => `${plainLines(device, false).join("\n")}\n`).join(between);
const utf8 = (text: string): Uint8Array => new TextEncoder().encode(text);

describe("every line has before it", () => {
  for (const [name, prefix] of Object.entries(prefixes))
    test(name, () => {
      fc.assert(
        fc.property(pastedDevices, fc.boolean(), (devices, blank) => {
          const lines = textOf(devices, blank ? "\n" : "").split("\n");
          const { found } = read(utf8(lines.map((line, at) => prefix(at + 1) + line).join("\n")));
          expect(facts(found)).toEqual(facts(devices));
          expect(found.every(({ unknown }) => unknown === undefined)).toBe(true);
        }),
        { numRuns: 30 },
      );
    });
});

describe("around every line is", () => {
  for (const [name, wrap] of Object.entries(wrappings))
    test(name, () => {
      fc.assert(
        fc.property(pastedDevices, (devices) => {
          const lines = textOf(devices).trimEnd().split("\n");
          const { found, skipped } = read(utf8(`${lines.map(wrap).join("\n")}\n`));
          expect(facts(found)).toEqual(facts(devices));
          expect(found.every(({ unknown }) => unknown === undefined)).toBe(true);
          expect(Object.entries(skipped).filter(([, { count }]) => count > 0)).toEqual([]);
        }),
        { numRuns: 30 },
      );
    });
});

describe("all in one line is", () => {
  for (const [name, wrap] of Object.entries(strings))
    test(name, () => {
      fc.assert(
        fc.property(pastedDevices, fc.boolean(), (devices, blank) => {
          const { found } = read(utf8(`before\n${wrap(textOf(devices, blank ? "\n" : ""))}\nbehind\n`));
          expect(facts(found)).toEqual(facts(devices));
          expect(found.every(({ unknown }) => unknown === undefined)).toBe(true);
        }),
        { numRuns: 30 },
      );
    });

  test("longer than what is kept of a line", () => {
    const devices = Array.from({ length: 40 }, (_, bus) => ({
      ...{ bdf: `0000:${bus.toString(16).padStart(2, "0")}:00.0`, cuts: [16], order: bus },
      config: Uint8Array.from({ length: 4096 }, (_, at) => (at * 7 + bus) & 0xff),
    }));
    for (const wrap of Object.values(strings)) {
      const { found, skipped } = read(utf8(`${wrap(textOf(devices, "\n"))}\n01:00.0 one more\n`));
      expect(facts(found)).toEqual(facts(devices));
      // It is one line of the text, or that of a JSON.
      expect([2, 5]).toContain(skipped.withoutRows.line);
    }
  });
});

describe("a program for mails broke the lines, before which stands", () => {
  for (const [name, prefix] of Object.entries(prefixes)) {
    const pasted = (devices: readonly PastedDevice[], blank: string): string =>
      textOf(devices, blank)
        .split("\n")
        .map((line, at) => prefix(at + 1) + line)
        .join("\n");
    const isSame = (text: string, devices: readonly PastedDevice[]): void => {
      const { found } = read(utf8(text));
      expect(facts(found)).toEqual(facts(devices));
      expect(found.every(({ unknown }) => unknown === undefined)).toBe(true);
    };
    const widths = fc.integer({ min: 30, max: 79 });

    test(`${name}: at blanks`, () => {
      fc.assert(
        fc.property(pastedDevices, widths, fc.constantFrom("", "> ", " "), (devices, width, again) => {
          const text = pasted(devices, "\n");
          // Not within what stands before a line: what is left of it is no sign of anything.
          const least = prefix(1).length + "0000:00:00.0 x".length;
          isSame(
            text
              .split("\n")
              .map((line) => wrappedAt(line, Math.max(width, least), again))
              .join("\n"),
            devices,
          );
        }),
        { numRuns: 40 },
      );
    });

    test(`${name}: in quoted-printable`, () => {
      fc.assert(
        fc.property(pastedDevices, widths, (devices, width) => {
          isSame(quotedPrintable(pasted(devices, ""), Math.max(width, 20)), devices);
        }),
        { numRuns: 40 },
      );
    });
  }
});

test("a bus that comes after a row of the number before it is no line's number", () => {
  for (let bus = 1; bus < 256; bus++) {
    const of = (bdf: string): PastedDevice => ({ bdf, config: new Uint8Array(64), cuts: [1], order: 0 });
    const devices = [of("0000:00:00.0"), of(`0000:${bus.toString(16).padStart(2, "0")}:00.0`)];
    const lines = textOf(devices).trimEnd().split("\n");
    for (const wrap of Object.values(wrappings))
      expect(facts(read(utf8(`${lines.map(wrap).join("\n")}\n`)).found)).toEqual(facts(devices));
  }
});

describe("the text is in", () => {
  for (const [name, encode] of Object.entries(encodings))
    test(name, () => {
      fc.assert(
        fc.property(pastedDevices, (devices) => {
          expect(facts(read(encode(`Gr\u00fc\u00dfe\n${textOf(devices, "\n")}`)).found)).toEqual(
            facts(devices),
          );
        }),
        { numRuns: 30 },
      );
    });
});

test("rows of any length, in any order", () => {
  fc.assert(
    fc.property(pastedDevices, (devices) => {
      const { found, skipped } = read(
        utf8(devices.map((device) => plainLines(device, true).join("\n")).join("\n\n")),
      );
      expect(facts(found)).toEqual(facts(devices));
      expect(Object.values(skipped).map(({ count }) => count)).toEqual(Object.values(skipped).map(() => 0));
    }),
  );
});

test("lines in between: those that lspci prints pass without a word, the others are counted", () => {
  const places = fc.array(
    fc.record({ at: fc.nat(1000), line: fc.constantFrom(...printedBetween, ...prose) }),
    {
      maxLength: 12,
    },
  );
  fc.assert(
    fc.property(pastedDevices, places, (devices, places) => {
      const lines = textOf(devices, "\n").split("\n");
      for (const { at, line } of places) lines.splice(at % lines.length, 0, line);
      const { found, skipped } = read(utf8(lines.join("\n")));
      expect(facts(found)).toEqual(facts(devices));
      expect(skipped.lines.count).toBe(places.filter(({ line }) => prose.includes(line)).length);
    }),
  );
});

test("prose in quotations is prose", () => {
  for (const [name, prefix] of Object.entries(prefixes))
    for (const line of prose) expect([name, read(utf8(`${prefix(1)}${line}\n`)).found]).toEqual([name, []]);
});

test("rows that are missing are unknown, and 0", () => {
  fc.assert(
    fc.property(pastedDevices, fc.array(fc.nat(254)), ([device], drop) => {
      const lines = plainLines(device!, false);
      const rows = lines.length - 1;
      const dropped = new Set(drop.map((at) => 1 + (at % rows)));
      // The last one says how long the dump is.
      dropped.delete(rows);
      const { found } = read(utf8(lines.filter((_, at) => !dropped.has(at)).join("\n")));
      const unknown = new Uint8Array(device!.config.length);
      for (const { offset, size } of found[0]!.unknown?.config ?? []) unknown.fill(1, offset, offset + size);
      for (let at = 0; at < rows; at++) {
        const gone = dropped.has(at + 1);
        expect(unknown.subarray(16 * at, 16 * at + 16).every((mark) => mark === (gone ? 1 : 0))).toBe(true);
        const bytes = gone ? new Uint8Array(16) : device!.config.subarray(16 * at, 16 * at + 16);
        expect(found[0]!.config.subarray(16 * at, 16 * at + 16)).toEqual(bytes);
      }
    }),
  );
});

const header = (extra = ""): string =>
  ["00", "10", "20", "30"].map((offset) => `${offset}:${" 11".repeat(16)}\n`).join("") + extra;

test("a device twice is two; one without rows, or with a function that is no digit, is left out and counted", () => {
  const text = `01:00.0 A\n${header()}\n01:00.0 A\n${header()}\n02:00.0 B\n\n03:00.0 C\n00: 11 11\n\n04:00.a D\n${header()}`;
  const { found, skipped } = read(utf8(text));
  expect(found.map(({ bdf, line }) => [bdf, line])).toEqual([
    ["0000:01:00.0", 1],
    ["0000:01:00.0", 7],
    ["0000:03:00.0", 15],
  ]);
  expect(found[2]!.unknown).toEqual({ config: [{ offset: 2, size: 62 }] });
  expect(skipped).toMatchObject({
    repeated: { count: 1, line: 7, text: "0000:01:00.0" },
    withoutRows: { count: 1, line: 13, text: "0000:02:00.0" },
    devices: { count: 1, line: 18, text: '"04:00.a" is no BDF: function a is above 7' },
    // Those of the function that no device has.
    rows: { count: 4, line: 19 },
  });
});

test("a row that is damaged costs itself alone", () => {
  const read1 = (row: string) => read(utf8(`01:00.0 A\n${header(`${row}\n`)}`));
  expect(read1("40: 01 02 03 04 zz 06").found[0]!.config.slice(0x40, 0x46)).toEqual(
    Uint8Array.of(1, 2, 3, 4, 0, 0),
  );
  expect(read1("40: 01 02 03 04 zz 06").skipped.cut.count).toBe(1);
  expect(read1("40: be careful").found[0]!.config.length).toBe(64);
  expect(read1("40: be careful").skipped.lines.count).toBe(1);
  const column = read1(`40:${" 22".repeat(16)}  ab cd ef .`);
  expect(column.found[0]!.config.slice(0x40, 0x54)).toEqual(new Uint8Array(20).fill(0x22, 0, 16));
  expect(read1(`40:${" 22".repeat(15)} 22=20`).found[0]!.config[0x4f]).toBe(0x22);
  expect(read1(`ff0:${" 22".repeat(20)}`).found[0]!.config.slice(0xff0)).toEqual(
    new Uint8Array(16).fill(0x22),
  );
  expect(read1(`1000:${" 22".repeat(16)}`).found[0]!.config.length).toBe(64);
});

test("behind a blank line a dump goes on where it ended, and nowhere else", () => {
  const [first, ...rest] = header().split("\n");
  expect(read(utf8(`01:00.0 A\n\n${first}\n\n${rest.join("\n\n")}`)).found[0]!.unknown).toBeUndefined();
  const other = read(utf8(`01:00.0 A\n${header()}\n00:${" 22".repeat(16)}\n`));
  expect(other.found[0]!.config[0]).toBe(0x11);
  expect(other.skipped.rows.count).toBe(1);
});

test("Linux's own dumps in its log: with pci=earlydump, of today and of before 4.19", () => {
  const rows = Array.from({ length: 16 }, (_, at) => ` ${twoDigits(at)}`.repeat(16));
  const now = rows.map((row, at) => `[    0.5] ${(16 * at).toString(16).padStart(8, "0")}:${row}`).join("\n");
  const before = rows.map((row, at) => `[    0.5]   ${twoDigits(16 * at)}:${row}`).join("\n");
  for (const text of [
    `[    0.4] pci 0000:01:00.0: config space:\n${now}`,
    `[    0.4] pci 0000:01:00.0 config space:\n${before}`,
  ]) {
    const { found, skipped } = read(utf8(text));
    expect(found.map(({ bdf, config }) => [bdf, config.length, config[0xff]])).toEqual([
      ["0000:01:00.0", 256, 15],
    ]);
    expect(skipped.early.count).toBe(1);
  }
});
const twoDigits = (value: number): string => value.toString(16).padStart(2, "0");

test("lines of any length, and a text without end of line, cost no more than a buffer", () => {
  const long = "x: ".repeat(1_000_000);
  const { found, skipped } = read(utf8(`${long}\n01:00.0 A\n${header()}${long}`));
  expect(found.map(({ bdf }) => bdf)).toEqual(["0000:01:00.0"]);
  expect(skipped.lines.count).toBe(2);
});

test("numbers of lines beyond 999 are none of a domain, and a domain is none of a line", () => {
  const devices =
    `01:00.0 A\n${header()}\n1234:02:00.0 B\n${header()}\n10000:e0:00.0 C\n${header()}`.trimEnd();
  const lines = ["1001:x", ...devices.split("\n").map((line, at) => `${1002 + at}:${line}`)];
  const bdfs = ["0000:01:00.0", "1234:02:00.0", "10000:e0:00.0"];
  expect(read(utf8(lines.join("\n"))).found.map(({ bdf }) => bdf)).toEqual(bdfs);
  expect(read(utf8(lines.map((line) => `a-1.txt:${line}`).join("\n"))).found.map(({ bdf }) => bdf)).toEqual(
    bdfs,
  );
  expect(read(utf8(devices)).found.map(({ bdf }) => bdf)).toEqual(bdfs);
});

test("what was broken and put together again is not skipped; what only looks so stays what it is", () => {
  const count = (text: string) => {
    const { found, skipped } = read(utf8(text));
    return [found.map(({ bdf, config }) => `${bdf} ${config.subarray(0x30).toHex()}`), skipped.lines.count];
  };
  const row = " 11".repeat(16);
  const whole = header();
  const bytes = "11".repeat(16);
  // Wrapped before the offset's bytes, and in the heading.
  expect(count(`kernel: 01:00.0 Ethernet\ncontroller: made up\n${whole}`)).toEqual([
    [`0000:01:00.0 ${bytes}`],
    0,
  ]);
  expect(count(`01:00.0 A\n${whole.replace(/30:.*/, `journal[1]: 30:\n${row}`)}`)).toEqual([
    [`0000:01:00.0 ${bytes}`],
    0,
  ]);
  // A rule of signs, a setting, and signs at the end of every row break no line.
  expect(count(`=====\n01:00.0 A\n${whole}`)).toEqual([[`0000:01:00.0 ${bytes}`], 1]);
  expect(count(`FOO=\n01:00.0 A: b\n${whole}`)).toEqual([[`0000:01:00.0 ${bytes}`], 1]);
  expect(count(`01:00.0 A\n${whole.replaceAll(/$/gm, "=")}`)).toEqual([[`0000:01:00.0 ${bytes}`], 0]);
  // A word that could be bytes, and more bytes than the row has left.
  expect(count(`01:00.0 A\n${whole}40: 01 02 03 04\nbe\n`)[1]).toBe(1);
  expect(count(`01:00.0 A\n${whole}40: 01 02 03 04\n${row.trim()}\n`)[1]).toBe(1);
});
