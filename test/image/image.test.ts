import { expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import fc from "fast-check";
import {
  ImageError,
  irqsByIndex,
  maxContentBytes,
  readImage,
  regionsByIndex,
  writeImage,
  type DeviceImage,
} from "../../src/image/index.ts";
import { images } from "./arbitrary.ts";

const failure = (body: () => unknown): ImageError => {
  try {
    body();
  } catch (error) {
    if (error instanceof ImageError) return error;
    throw error;
  }
  throw new Error("nothing was thrown");
};

const minimal: DeviceImage = {
  version: 1,
  bdf: "0000:01:00.0",
  config: new Uint8Array(64).fill(1, 0, 4),
  regions: [
    { index: 0, size: 0x1000, readable: true, writable: true, mappable: true, msixMappable: false },
    { index: 7, size: 256, readable: true, writable: true, mappable: false, msixMappable: false },
  ],
  irqs: [{ index: 2, count: 4, eventfd: true, maskable: false, automasked: false, noResize: false }],
  readOnlyBits: [
    { offset: 0x04, mask: 0x140 },
    { offset: 0x3c, mask: 0xffffffff },
  ],
  writable: [
    { offset: 0x08, size: 1 },
    { offset: 0x28, size: 0x10 },
  ],
  keptByReset: [
    { offset: 0x14, mask: 0x3f },
    { offset: 0x18, mask: 0x7e0 },
  ],
  resettable: true,
  host: { kernel: "Linux" },
};
const text = writeImage(minimal);
/** The file of `minimal` with one piece of text replaced. */
const broken = (from: string, to: string): string => {
  if (!text.includes(from)) throw new Error(`the file does not have ${from}`);
  return text.replace(from, to);
};

test("an image comes back from its file, byte for byte the same when written again", () => {
  fc.assert(
    fc.property(images, (image) => {
      const written = writeImage(image);
      const back = readImage(written);
      expect(back).toStrictEqual(image);
      expect(writeImage(back)).toBe(written);
    }),
    { numRuns: 500 },
  );
});

test("the file is readable: rows of lspci, names beside indexes, zeros left out", () => {
  expect(text).toContain(
    '{ "index": 0, "name": "BAR0", "size": "0x1000", "flags": ["read", "write", "mmap"] }',
  );
  expect(text).toContain('{ "index": 2, "name": "MSIX", "count": 4, "flags": ["eventfd"] }');
  expect(text).toContain('"lines": ["00: 01 01 01 01 00 00 00 00 00 00 00 00 00 00 00 00"]');
  expect(text.endsWith("}\n")).toBe(true);
});

test("bits that the device keeps stand in order, a dword a line", () => {
  expect(text).toContain(
    '    { "offset": "0x4", "mask": "0x140" },\n    { "offset": "0x3c", "mask": "0xffffffff" }\n',
  );
  const reversed = {
    ...minimal,
    readOnlyBits: minimal.readOnlyBits!.toReversed(),
    writable: minimal.writable!.toReversed(),
    keptByReset: minimal.keptByReset!.toReversed(),
  };
  expect(writeImage(reversed)).toBe(text);
});

test("the example in docs/image-format.md is an image", () => {
  const page = readFileSync(join(import.meta.dir, "../../docs/image-format.md"), "utf8");
  const example = /```json\n(.*?)```/s.exec(page)![1]!;
  expect(readImage(example)).toMatchObject({
    bdf: "0000:02:00.0",
    irqs: [{ count: 65 }],
    readOnlyBits: [{ offset: 0x88, mask: 0x100 }],
    writable: [{ offset: 0x4c, size: 0x14 }],
    keptByReset: [{ offset: 0xcc, mask: 0xff }],
  });
});

test("order, case and blanks of a file do not matter to what it says", () => {
  const shuffled = JSON.parse(text) as { regions: unknown[]; config: { lines: string[] } };
  shuffled.regions.reverse();
  shuffled.config.lines = shuffled.config.lines.map((line) => line.toUpperCase());
  const reversed = Object.fromEntries(Object.entries(shuffled).reverse());
  expect(readImage(JSON.stringify(reversed))).toStrictEqual(readImage(text));
});

test("large contents are written as base64 and come back", () => {
  const bytes = Uint8Array.from({ length: 100_000 }, (_, i) => (i * 7) & 0xff);
  const rom = {
    index: 6,
    size: 0x40000,
    readable: true,
    writable: false,
    mappable: false,
    msixMappable: false,
  };
  const image = { ...minimal, regions: [{ ...rom, contents: [{ offset: 16, bytes }] }] };
  const written = writeImage(image);
  expect(written.length).toBeLessThan(140_000);
  expect(readImage(written).regions[0]!.contents![0]!.bytes).toEqual(bytes);
});

test("regions and interrupts with no gap, as a backend describes them", () => {
  const regions = regionsByIndex(minimal);
  expect(regions.map(({ index, size }) => [index, size])).toEqual([
    [0, 0x1000],
    [1, 0],
    [2, 0],
    [3, 0],
    [4, 0],
    [5, 0],
    [6, 0],
    [7, 256],
    [8, 0],
  ]);
  expect(irqsByIndex(minimal).map(({ count }) => count)).toEqual([0, 0, 4, 0, 0]);
});

const faults: readonly (readonly [what: string, text: string, message: string | RegExp])[] = [
  ["nothing", "", "line 1, column 1: not JSON: the text ends where a value should be"],
  ["no JSON", "hello", 'line 1, column 1: not JSON: "h" where a value should be'],
  ["no image", "[]", "line 1, column 1: not an image: expected a JSON object"],
  ["other JSON", '{ "name": "x" }', /not an image: there is no "format": "bun-vfio image"/],
  ["another format", '{ "format": "x" }', /line 1, column 13: not an image: its format is "x"/],
  ["cut off", text.slice(0, -20), /^line \d+, column \d+: not JSON: /],
  [
    "a comma too many",
    broken('"resettable": true,', '"resettable": true,,'),
    /^line \d+, column 22: not JSON: ","/,
  ],
  [
    "a newer version",
    broken('"version": 1', '"version": 3'),
    "line 3, column 14: version: written by a newer bun-vfio (format 3; this one reads 2): update bun-vfio",
  ],
  [
    "what is unknown in a version that has none",
    broken('"resettable": true,', '"resettable": true, "unknown": {},'),
    /^line 1, column 1: version 1 has no "unknown"; 2 has$|unknown: version 1 has no "unknown"; 2 has$/,
  ],
  [
    "unknown bytes past the end",
    broken('"version": 1', '"version": 2').replace(
      '"resettable": true,',
      '"resettable": true, "unknown": { "config": [{ "offset": "0x1000", "size": "0x1" }] },',
    ),
    /unknown\.config: the area at 0x1000 ends past this config space/,
  ],
  [
    "an interrupt index that is known and unknown",
    broken('"version": 1', '"version": 2').replace(
      '"resettable": true,',
      '"resettable": true, "unknown": { "irqs": [2] },',
    ),
    /unknown\.irqs: MSIX stands under "irqs" as well$/,
  ],
  ["an older version", broken('"version": 1', '"version": 0'), /^line 3, column 14: version: /],
  ["a version as text", broken('"version": 1', '"version": "1"'), /^line 3, column 14: version: /],
  [
    "a key twice",
    broken('"resettable": true,', '"resettable": true, "resettable": false,'),
    /"resettable" is there twice/,
  ],
  [
    "an unknown key",
    broken('"resettable": true,', '"resettable": true, "reset": 1,'),
    /Unrecognized key: "reset"/,
  ],
  [
    "a key of the prototype",
    broken('"resettable": true,', '"resettable": true, "__proto__": {"x": 1},'),
    /Unrecognized key: "__proto__"/,
  ],
  ["a missing key", broken('"resettable": true,', ""), /resettable: /],
  ["a bad BDF", broken("0000:01:00.0", "0000:01:20.0"), /^line 4, column 10: bdf: .*device 20 is above 1f$/],
  [
    "a number for a size",
    broken('"size": "0x1000"', '"size": 4096'),
    /^line \d+, column \d+: regions\[0\]\.size: /,
  ],
  [
    "a size of 2^53",
    broken('"0x1000"', '"0x20000000000000"'),
    /regions\[0\]\.size: expected a number below 2\^53$/,
  ],
  ["an unknown flag", broken('["read", "write", "mmap"]', '["read", "exec"]'), /regions\[0\]\.flags\[1\]: /],
  [
    "a flag twice",
    broken('["read", "write", "mmap"]', '["read", "read"]'),
    /regions\[0\]\.flags: a flag is there twice$/,
  ],
  ["another name", broken('"BAR0"', '"BAR1"'), /regions\[0\]\.name: region 0 is called BAR0$/],
  [
    "a region twice",
    broken('"index": 7, "name": "CONFIG"', '"index": 0, "name": "BAR0"'),
    /regions\[1\]: BAR0 is there twice$/,
  ],
  [
    "too many vectors",
    broken('"count": 4', '"count": 2049'),
    /irqs\[0\]\.count: MSIX has at most 2048 vectors$/,
  ],
  ["half a vector", broken('"count": 4', '"count": 0.5'), /irqs\[0\]\.count: /],
  ["config of 65 bytes", broken('"size": 64', '"size": 65'), /config\.size: expected 64, 256, 4096$/],
  [
    "config larger than its region",
    broken('"size": 64', '"size": 4096'),
    /regions: CONFIG has 256 bytes, but 4096 are recorded$/,
  ],
  [
    "a bad digit",
    broken("00: 01 01", "00: 01 0x"),
    /config\.lines\[0\]: "0x" is no byte of two hexadecimal digits$/,
  ],
  ["15 bytes", broken("00: 01 01", "00: 01"), /config\.lines\[0\]: 15 bytes in a row of 16$/],
  [
    "a row past the end",
    broken("00: 01 01", "40: 01 01"),
    /config\.lines\[0\]: offset 40 lies past the 64 bytes of this config space$/,
  ],
  ["an odd row", broken("00: 01 01", "08: 01 01"), /config\.lines\[0\]: offset 08 is no multiple of 16$/],
  [
    "a row twice",
    text.replace(/"(00: [0-9a-f ]+)"/, '"$1", "$1"'),
    /config\.lines\[1\]: offset 0 is there twice or out of order$/,
  ],
  [
    "kept bits past the end",
    broken('"0x3c"', '"0x40"'),
    /readOnlyBits: offset 0x40 lies past the 64 bytes of this config space$/,
  ],
  [
    "kept bits of a dword twice",
    broken('"0x3c"', '"0x4"'),
    /^line \d+, column \d+: readOnlyBits: offset 0x4 is there twice or out of order$/,
  ],
  ["kept bits out of order", broken('"0x3c"', '"0x0"'), /readOnlyBits: offset 0x0 is there twice or out of/],
  [
    "kept bits inside a dword",
    broken('"0x3c"', '"0x3e"'),
    /readOnlyBits\[1\]\.offset: expected a multiple of 4$/,
  ],
  [
    "no kept bit",
    broken('"0x140"', '"0x0"'),
    /readOnlyBits\[0\]\.mask: expected a mask from 0x1 to 0xffffffff$/,
  ],
  ["33 kept bits", broken('"0xffffffff"', '"0x100000000"'), /readOnlyBits\[1\]\.mask: expected a mask from/],
  ["kept bits as a number", broken('"0x140"', "256"), /^line \d+, column \d+: readOnlyBits\[0\]\.mask: /],
  [
    "too many kept bits",
    broken('"readOnlyBits": [', `"readOnlyBits": [${"0,".repeat(1024)}`),
    /readOnlyBits: at most 1024 entries$/,
  ],
  [
    "bits kept by a reset past the end",
    broken('"0x18"', '"0x40"'),
    /keptByReset: offset 0x40 lies past the 64 bytes of this config space$/,
  ],
  [
    "bits kept by a reset of a dword twice",
    broken('"0x18"', '"0x14"'),
    /keptByReset: offset 0x14 is there twice or out of order$/,
  ],
  [
    "no bit kept by a reset",
    broken('"0x3f"', '"0x0"'),
    /keptByReset\[0\]\.mask: expected a mask from 0x1 to/,
  ],
  [
    "too many bits kept by a reset",
    broken('"keptByReset": [', `"keptByReset": [${"0,".repeat(1024)}`),
    /keptByReset: at most 1024 entries$/,
  ],
  [
    "writable bytes past the end",
    broken('"size": "0x10"', '"size": "0x19"'),
    /^line \d+, column \d+: writable: the area at 0x28 ends past this config space's 0x40 bytes$/,
  ],
  ["no writable byte", broken('"size": "0x1" }', '"size": "0x0" }'), /writable: an area of size 0$/],
  [
    "writable bytes that overlap",
    broken('"0x28"', '"0x8"'),
    /writable: the area at 0x8 overlaps the one before it or is out of order$/,
  ],
  [
    "too many writable areas",
    broken('"writable": [', `"writable": [${"0,".repeat(1024)}`),
    /writable: at most 1024 entries$/,
  ],
  [
    "sparse areas past the end",
    broken('"0x1000",', '"0x1000", "sparse": [{"offset":"0xfff","size":"0x2"}],'),
    /regions\[0\]\.sparse: the area at 0xfff ends past the region's 0x1000 bytes$/,
  ],
  [
    "contents that overlap",
    broken(
      '"0x1000",',
      '"0x1000", "contents": [{"offset":"0x0","hex":["00 00"]},{"offset":"0x1","hex":["00"]}],',
    ),
    /regions\[0\]\.contents: the area at 0x1 overlaps/,
  ],
  [
    "contents twice over",
    broken('"0x1000",', '"0x1000", "contents": [{"offset":"0x0","hex":["00"],"base64":"AA=="}],'),
    /contents\[0\]: expected either "hex" or "base64"$/,
  ],
  [
    "no base64",
    broken('"0x1000",', '"0x1000", "contents": [{"offset":"0x0","base64":"A*=="}],'),
    /contents\[0\]\.base64: not base64$/,
  ],
];
for (const [what, input, message] of faults)
  test(`refused with place and reason: ${what}`, () => {
    const error = failure(() => readImage(input));
    const [first] = error.message.split("\n");
    if (typeof message === "string") expect(first).toBe(message);
    else expect(first).toMatch(message);
  });

test("every problem of a file is told, one a line, in few words however many", () => {
  const error = failure(() =>
    readImage(broken('"resettable": true,', '"resettable": 1,').replace('"count": 4', '"count": -4')),
  );
  expect(error.problems.map(({ path }) => path)).toEqual(["resettable", "irqs[0].count"]);
  const keys = Array.from({ length: 10_000 }, (_, i) => `"key${i}": ${i}`).join(", ");
  const long = failure(() => readImage(broken('"resettable": true,', `"resettable": true, ${keys},`)));
  expect(long.message.length).toBeLessThan(1000);
});

test("hostile files are refused without harm", () => {
  const deep = "[".repeat(1_000_000);
  expect(failure(() => readImage(deep)).message).toContain("nested more than 32 deep");
  expect(failure(() => readImage(" ".repeat(64 * 2 ** 20 + 1))).message).toContain(
    "larger than an image can be",
  );
  const many = broken('"lines": [', `"lines": [${"0,".repeat(100_000)}`);
  expect(failure(() => readImage(many)).message).toContain("config.lines: at most 256 lines");
  expect(failure(() => readImage(`[${"0,".repeat(5_000_000)}0]`)).message).toContain(
    "more than 1048576 values",
  );
  expect(failure(() => readImage('"\ud800')).message).toContain("not JSON");
  const polluted = '{"format": "bun-vfio image", "version": 1, "__proto__": {"polluted": true}}';
  expect(() => readImage(polluted)).toThrow(ImageError);
  expect(({} as { polluted?: unknown }).polluted).toBeUndefined();
});

test("a file that was changed anywhere is read, or refused with an ImageError", () => {
  const bytes = new TextEncoder().encode(text);
  const change = fc.record({
    at: fc.nat(bytes.length - 1),
    drop: fc.nat(12),
    put: fc.string({ maxLength: 4 }),
  });
  let refused = 0;
  fc.assert(
    fc.property(fc.array(change, { minLength: 1, maxLength: 3 }), (changes) => {
      let mutated = text;
      for (const { at, drop, put } of changes)
        mutated = mutated.slice(0, at) + put + mutated.slice(at + drop);
      try {
        writeImage(readImage(mutated));
      } catch (error) {
        if (!(error instanceof ImageError)) throw error;
        refused++;
        for (const { line } of error.problems) expect(line).toBeGreaterThan(0);
      }
    }),
    { numRuns: 3000 },
  );
  expect(refused).toBeGreaterThan(1000);
});

test("a value changed to another JSON value is read, or refused with an ImageError", () => {
  const paths: (string | number)[][] = [];
  const collect = (value: unknown, path: (string | number)[]): void => {
    paths.push(path);
    if (typeof value === "object" && value !== null)
      for (const [key, element] of Object.entries(value)) collect(element, [...path, key]);
  };
  collect(JSON.parse(text), []);
  const tried = { read: 0, refused: 0 };
  fc.assert(
    fc.property(fc.constantFrom(...paths), fc.jsonValue(), (path, replacement) => {
      const root: { value: unknown } = { value: JSON.parse(text) };
      let owner = root as Record<string, unknown>;
      let key = "value";
      for (const step of path) {
        owner = owner[key] as Record<string, unknown>;
        key = String(step);
      }
      owner[key] = replacement;
      try {
        readImage(JSON.stringify(root.value));
        tried.read++;
      } catch (error) {
        if (!(error instanceof ImageError)) throw error;
        tried.refused++;
      }
    }),
    { numRuns: 2000 },
  );
  expect(tried.read).toBeGreaterThan(0);
  expect(tried.refused).toBeGreaterThan(1000);
});

test("an image that could not be read back is not written", () => {
  expect(failure(() => writeImage({ ...minimal, config: new Uint8Array(65) })).message).toContain(
    "config.size",
  );
  expect(failure(() => writeImage({ ...minimal, bdf: "x" })).message).toContain("bdf");
  const big = {
    ...minimal.regions[0]!,
    size: 2 ** 40,
    contents: [{ offset: 0, bytes: new Uint8Array(maxContentBytes + 1) }],
  };
  expect(failure(() => writeImage({ ...minimal, regions: [big] })).message).toContain("bytes of contents");
  expect(() => readImage(1 as never)).toThrow(TypeError);
});
