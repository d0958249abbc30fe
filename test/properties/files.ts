// Files that are damaged.
import { expect } from "bun:test";
import fc from "fast-check";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import {
  ImageError,
  irqLimit,
  parseTrace,
  readImage,
  writeImage,
  type DeviceImage,
} from "../../src/image/index.ts";
import { editedJson, editedText, jsonEdits, textEdits } from "./edits.ts";
import { property } from "./property.ts";

const filesIn = (folder: string, end: string): string[] =>
  readdirSync(join(import.meta.dir, "../..", folder))
    .filter((name) => name.endsWith(end))
    .sort()
    .map((name) => readFileSync(join(import.meta.dir, "../..", folder, name), "utf8"));

/** What a reader gives, or undefined where it refuses in words. */
function reading<T>(read: () => T): T | undefined {
  try {
    return read();
  } catch (error) {
    if (!(error instanceof ImageError)) throw error;
    expect(error.problems.length).toBeGreaterThan(0);
    expect(error.message).not.toBe("");
    // A message may be shown in a terminal: nothing of the input gets there unescaped, nor without a limit.
    expect(/[\0-\x09\x0b-\x1f\x7f-\x9f]/.test(error.message)).toBe(false);
    // A line a problem, and one that says how many more there are.
    expect(error.message.split("\n").length).toBe(Math.min(error.problems.length, 21));
    expect(error.message.length).toBeLessThan(20_000);
    return undefined;
  }
}

/** An image with what the recorded devices do not have: sparse areas, contents, a device-specific region. */
const rich = writeImage({
  version: 1,
  bdf: "0000:01:00.0",
  config: new Uint8Array(256).fill(1, 0, 4),
  regions: [
    {
      index: 0,
      size: 0x4000,
      readable: true,
      writable: true,
      mappable: true,
      msixMappable: true,
      sparse: [
        { offset: 0, size: 0x1000 },
        { offset: 0x2000, size: 0x1000 },
      ],
      contents: [
        { offset: 0x10, bytes: Uint8Array.of(1, 2, 3) },
        { offset: 0x20, bytes: Uint8Array.of(4, 5) },
      ],
    },
    {
      index: 9,
      size: 0x100,
      readable: true,
      writable: false,
      mappable: false,
      msixMappable: false,
      type: { type: 0x80008086, subtype: 1 },
    },
  ],
  irqs: [{ index: 2, count: 4, eventfd: true, maskable: false, automasked: false, noResize: true }],
  resettable: true,
  host: { notes: ["made up"] },
});

interface FileEntry {
  readonly index: number;
  readonly flags: readonly string[];
}
interface File {
  readonly resettable: boolean;
  readonly config: { readonly size: number; readonly lines: readonly string[] };
  readonly regions: readonly (FileEntry & { readonly size: string })[];
  readonly irqs: readonly (FileEntry & { readonly count: number })[];
}

/** What was read is what stands in the file, by another parser; and it is what an image may hold. */
function checkImage(image: DeviceImage, text: string): void {
  const file = JSON.parse(text, (_, value: unknown) => (value === 0 ? 0 : value)) as File; // -0 is 0
  const byIndex = (a: { index: number }, b: { index: number }): number => a.index - b.index;
  expect(
    image.regions.map(({ index, size, readable, writable, mappable }) => [
      index,
      size,
      readable,
      writable,
      mappable,
    ]),
  ).toEqual(
    [...file.regions]
      .sort(byIndex)
      .map(({ index, size, flags }) => [
        index,
        Number(size),
        ...["read", "write", "mmap"].map((flag) => flags.includes(flag)),
      ]),
  );
  expect(image.irqs.map(({ index, count, eventfd, noResize }) => [index, count, eventfd, noResize])).toEqual(
    [...file.irqs]
      .sort(byIndex)
      .map(({ index, count, flags }) => [
        index,
        count,
        flags.includes("eventfd"),
        flags.includes("noresize"),
      ]),
  );
  expect(image.resettable).toBe(file.resettable);
  expect(image.config.length).toBe(file.config.size);
  for (const line of file.config.lines) {
    const [at, bytes] = line.split(": ");
    const from = parseInt(at!, 16);
    expect(image.config.subarray(from, from + 16).toHex()).toBe(bytes!.replaceAll(" ", "").toLowerCase());
  }
  for (const { index, count } of image.irqs) expect(count).toBeLessThanOrEqual(irqLimit(index));
  for (const { size, sparse = [], contents = [] } of image.regions)
    for (const areas of [sparse, contents.map(({ offset, bytes }) => ({ offset, size: bytes.length }))]) {
      let end = 0;
      for (const area of areas) {
        expect(area.offset).toBeGreaterThanOrEqual(end);
        expect(area.size).toBeGreaterThan(0);
        end = area.offset + area.size;
        expect(end).toBeLessThanOrEqual(size);
      }
    }
}

const recordedImages = filesIn("images", ".json");
// Short files more often: damage in them is more often damage that an image can have.
const imageFiles = [...recordedImages, rich, rich, rich];
const trees = imageFiles.map((text) => JSON.parse(text) as unknown);

export const images = property({
  name: "images",
  file: "files.ts",
  says: "damaged image files are refused in words, or are images that are written canonically",
  runs: 400,
  input: fc.record({
    index: fc.nat(imageFiles.length - 1),
    edits: fc.oneof(fc.record({ text: textEdits }), fc.record({ json: jsonEdits })),
  }),
  reaches: ["readable", "refused"],
  check({ index, edits }, effects) {
    const text =
      "text" in edits
        ? editedText(imageFiles[index]!, edits.text)
        : (JSON.stringify(editedJson(trees[index], edits.json)) ?? "");
    const image = reading(() => readImage(text));
    effects.count(image ? "readable" : "refused");
    if (!image) return;
    checkImage(image, text);
    const written = writeImage(image);
    const back = readImage(written);
    expect(back).toEqual(image);
    expect(writeImage(back)).toBe(written);
  },
});

// The first lines of each: damage shows in short ones as well as in long ones.
const accessLists = filesIn("test/traces", ".txt").map((text) => text.split("\n", 40).join("\n"));

export const traces = property({
  name: "traces",
  file: "files.ts",
  says: "damaged traces are refused in words, or are accesses that their lines hold",
  runs: 250,
  input: fc.record({ index: fc.nat(accessLists.length - 1), edits: textEdits }),
  reaches: ["readable", "refused"],
  check({ index, edits }, effects) {
    const text = editedText(accessLists[index]!, edits);
    const accesses = reading(() => parseTrace(text));
    effects.count(accesses ? "readable" : "refused");
    if (!accesses) return;
    const lines = text.split("\n");
    let last = 0;
    for (const { kind, offset, value, line } of accesses) {
      expect(line).toBeGreaterThan(last);
      last = line;
      const [word, first, second, ...more] = lines[line - 1]!.trim().split(/\s+/);
      expect([word!.toLowerCase(), Number(first), Number(second), more.length]).toEqual([
        kind,
        offset,
        value,
        0,
      ]);
      expect(offset).toBeLessThan(0x1000);
      expect(value).toBeLessThan(2 ** 32);
    }
  },
});
