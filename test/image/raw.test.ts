import { describe, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import fc from "fast-check";
import {
  ImageError,
  imageFromConfig,
  imageFromRaw,
  readImage,
  regionName,
  regionsFromResource,
  writeImage,
} from "../../src/image/index.ts";
import { IrqIndex } from "../../src/regs/vfio/irqs.ts";
import { makeImages } from "../../scripts/make-images.ts";
import { configs } from "./arbitrary.ts";

const root = join(import.meta.dir, "../..");
const recorded = makeImages();
const resourceOf = (bdf: string): string =>
  readFileSync(join(root, "test/data/recordings", `${bdf}.resource`), "utf8");

test("the images that are shipped are those that the recordings give", () => {
  expect([...recorded.keys()].sort()).toEqual(
    "ahci e1000e edu igb nvme pci-testdev virtio-blk virtio-net xhci".split(" "),
  );
  for (const [name, image] of recorded) {
    const text = readFileSync(join(root, "images", `${name}.json`), "utf8");
    expect(text).toBe(writeImage(image));
    expect(readImage(text)).toStrictEqual(image);
  }
});

test("config space and the resource file give the regions and interrupts that VFIO reported", () => {
  for (const { bdf, config, regions, irqs } of recorded.values()) {
    const image = imageFromRaw({ bdf, config, resource: resourceOf(bdf) });
    expect(image.regions).toEqual([...regions]);
    expect(image.irqs).toEqual([...irqs]);
  }
});

test("the error interrupt is that of PCI Express functions, and of all from Linux 7.3 on", () => {
  const offered = (name: string, kernel?: string): boolean => {
    const { bdf, config } = recorded.get(name)!;
    return imageFromConfig(bdf, config, { kernel }).irqs.some(({ index }) => index === IrqIndex.error);
  };
  for (const kernel of [undefined, "FreeBSD 15.0", "Linux 6.1.0-50-amd64", "Linux 6.12.117+deb13-amd64"])
    expect([offered("edu", kernel), offered("nvme", kernel)]).toEqual([false, true]);
  for (const kernel of ["Linux 7.3.4+deb13-amd64", "Linux 7.10", "Linux 8.0"])
    expect([offered("edu", kernel), offered("nvme", kernel)]).toEqual([true, true]);
});

test("config space alone gives the regions without sizes, and says so", () => {
  for (const { bdf, config, regions, irqs } of recorded.values()) {
    const image = imageFromConfig(bdf, config);
    expect(image.irqs).toEqual([...irqs]);
    const seen = regions.filter(({ index }) => index < 7);
    expect(image.regions.slice(0, -1)).toEqual(seen.map((region) => ({ ...region, size: 0 })));
    expect(image.regions.at(-1)).toEqual(regions.at(-1)!);
    expect(image.host.notes![0]).toStartWith(
      `sizes of ${seen.map(({ index }) => regionName(index)).join(", ")} are unknown`,
    );
    expect(readImage(writeImage(image))).toStrictEqual(image);
  }
});

test("a header alone stands for 256 bytes, and says so", () => {
  const { bdf, config } = recorded.get("nvme")!;
  const image = imageFromConfig(bdf, config.slice(0, 64), { notes: ["x"] });
  expect(image.regions.at(-1)!.size).toBe(256);
  expect(image.host.notes).toHaveLength(3);
  expect(image.irqs.map(({ index, count }) => [index, count])).toEqual([
    [0, 1],
    [4, 1],
  ]);
  // What capabilities would tell is unknown, and not 0.
  expect([image.version, image.unknown]).toEqual([2, { irqs: [1, 2, 3] }]);
});

test("any config space gives an image that can be written", () => {
  fc.assert(
    fc.property(configs, fc.uint8Array({ minLength: 64, maxLength: 64 }), (config, header) => {
      config.set(header);
      const image = imageFromConfig("01:00.0", config);
      expect(readImage(writeImage(image))).toStrictEqual(image);
    }),
  );
});

const hex = (value: bigint): string => `0x${value.toString(16).padStart(16, "0")}`;
const row = (start: bigint, end: bigint, flags: bigint): string =>
  `${hex(start)} ${hex(end)} ${hex(flags)}\n`;
const absent = row(0n, 0n, 0n);

test("sub-page BARs can be mapped where they begin a page, I/O and ROM never", () => {
  const text =
    row(0xfd000000n, 0xfd0000ffn, 0x40200n) +
    row(0xfd000100n, 0xfd0001ffn, 0x40200n) +
    row(0x3000n, 0x3fffn, 0x40101n) +
    row(0x8000000000n, 0x8000000000n + 2n ** 40n - 1n, 0x14220cn) +
    absent.repeat(2) +
    row(0xfd010000n, 0xfd01ffffn, 0x46200n);
  const regions = regionsFromResource(text, 3);
  expect(
    regions.map(({ index, size, writable, mappable, msixMappable }) => [
      index,
      size,
      writable,
      mappable,
      msixMappable,
    ]),
  ).toEqual([
    [0, 0x100, true, true, false],
    [1, 0x100, true, false, false],
    [2, 0x1000, true, false, false],
    [3, 2 ** 40, true, true, true],
    [6, 0x10000, false, false, false],
  ]);
});

const faults: readonly (readonly [what: string, text: string, message: RegExp])[] = [
  ["nothing", "", /^line 1: a resource file has one line for each/],
  ["too few lines", absent.repeat(6), /^line 6: .*6 are here$/],
  ["too many lines", absent.repeat(70), /more than 64 lines are here$/],
  ["prose", `${absent.repeat(6)}hello\n`, /^line 7: expected "START END FLAGS"/],
  [
    "an end before its start",
    row(0x2000n, 0x1000n, 0x200n) + absent.repeat(6),
    /^line 1: the resource ends before it starts$/,
  ],
  [
    "a size of 2^53",
    row(1n, 2n ** 53n + 1n, 0x200n) + absent.repeat(6),
    /^line 1: a resource of 2\^53 bytes or more$/,
  ],
  [
    "no kind",
    row(0x1000n, 0x1fffn, 0n) + absent.repeat(6),
    /^line 1: flags 0x0 are neither of memory nor of I\/O$/,
  ],
];
for (const [what, text, message] of faults)
  test(`a resource file is refused with the line: ${what}`, () => {
    expect(() => regionsFromResource(text)).toThrow(ImageError);
    expect(() => regionsFromResource(text)).toThrow(message);
  });

test("config space of another size is refused", () => {
  expect(() => imageFromConfig("01:00.0", new Uint8Array(100))).toThrow(
    /^100 bytes of config space; .* cut off/,
  );
  expect(() => imageFromRaw({ bdf: "01:00.0", config: new Uint8Array(0), resource: "" })).toThrow(ImageError);
  expect(() => imageFromConfig("01:00", new Uint8Array(64))).toThrow(RangeError);
});

describe("a BAR whose register reads 0 is what its resource says", () => {
  const memory = 0x200n;
  const prefetch = 0x2000n;
  const wide = 0x100000n;
  const io = 0x100n;
  const kinds = fc.constantFrom(
    undefined,
    io,
    memory,
    memory | prefetch,
    memory | wide,
    memory | wide | prefetch,
  );
  const bits = (flags: bigint): number =>
    flags & io ? 1 : Number(flags & wide && 4n) + Number(flags & prefetch && 8n);

  test("of virtual functions, of Enhanced Allocation, of old IDE ports; one that is not 0 is left as it is", () => {
    fc.assert(
      fc.property(
        fc.array(kinds, { minLength: 6, maxLength: 6 }),
        fc.array(fc.boolean(), { minLength: 6, maxLength: 6 }),
        fc.boolean(),
        (drawn, set, isVirtual) => {
          const config = new Uint8Array(256).fill(0xff, 0, isVirtual ? 4 : 0);
          const view = new DataView(config.buffer);
          let text = "";
          const expected: number[] = [];
          let upper = false;
          for (const [index, kind] of drawn.entries()) {
            const flags: bigint | undefined =
              upper || (kind !== undefined && kind & wide && index === 5) ? undefined : kind;
            const start = 0x10000n * BigInt(index + 1);
            text += flags === undefined ? absent : row(start, start + 0xfffn, flags);
            const value = flags === undefined ? 0 : bits(flags);
            const recorded = flags !== undefined && set[index] ? 0x10000 * (index + 1) + value : 0;
            view.setUint32(0x10 + 4 * index, recorded, true);
            expected.push(recorded === 0 ? value : recorded);
            upper = flags !== undefined && (flags & wide) !== 0n;
          }
          const image = imageFromRaw({ bdf: "01:00.0", config, resource: text + absent });
          const after = new DataView(image.config.buffer, image.config.byteOffset);
          expect(expected.map((_, index) => after.getUint32(0x10 + 4 * index, true))).toEqual(expected);
        },
      ),
    );
  });
});
