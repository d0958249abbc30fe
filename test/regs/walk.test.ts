import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { decodeConfig, layoutOf, walkCapabilities, walkExtendedCapabilities } from "../../src/regs/index.ts";
import { configText } from "../../src/regs/text.ts";

/** A config space with a capability list; `entries` are [offset, id, next]. */
function standard(
  first: number,
  entries: readonly (readonly [number, number, number])[],
  size = 256,
): Uint8Array {
  const config = new Uint8Array(size);
  config[0x06] = 0x10;
  config[0x34] = first;
  for (const [offset, id, next] of entries) config.set([id, next], offset);
  return config;
}
/** Entries are [offset, id, next]. */
function extended(entries: readonly (readonly [number, number, number])[], size = 4096): Uint8Array {
  const config = new Uint8Array(size);
  const memory = new DataView(config.buffer);
  for (const [offset, id, next] of entries) memory.setUint32(offset, next * 0x100000 + 0x10000 + id, true);
  return config;
}
const found = (walk: ReturnType<typeof walkCapabilities>): (readonly [number, number])[] =>
  walk.found.map(({ offset, id }) => [offset, id]);
const faults = (walk: ReturnType<typeof walkCapabilities>): (readonly [string, number])[] =>
  walk.malformations.map(({ kind, offset }) => [kind, offset]);

describe("the standard list", () => {
  test("is followed in its order", () => {
    const walk = walkCapabilities(standard(0x80, [[0x80, 0x10, 0x40], [0x40, 0x01, 0x60], [0x60, 0x05, 0]])); // prettier-ignore
    expect(found(walk)).toEqual([[0x80, 0x10], [0x40, 0x01], [0x60, 0x05]]); // prettier-ignore
    expect(walk.found[0]).toEqual({ id: 0x10, offset: 0x80, next: 0x40, extended: false, version: 0 });
    expect(faults(walk)).toEqual([]);
  });

  test("is not there without the status bit, in a header of an unknown layout, or in less than a header", () => {
    const none = standard(0x40, [[0x40, 0x01, 0]]);
    none[0x06] = 0;
    const odd = standard(0x40, [[0x40, 0x01, 0]]);
    odd[0x0e] = 0x03;
    for (const config of [none, odd, standard(0x40, []).subarray(0, 63), new Uint8Array(0)])
      expect(walkCapabilities(config)).toEqual({ found: [], malformations: [] });
  });

  test("starts at 0x14 in a CardBus header", () => {
    const config = standard(0, [[0x80, 0x01, 0]]);
    config[0x0e] = 0x82;
    config[0x14] = 0x80;
    expect(found(walkCapabilities(config))).toEqual([[0x80, 0x01]]);
  });

  test("stops at a cycle, of one or of many", () => {
    const one = walkCapabilities(standard(0x40, [[0x40, 0x01, 0x40]]));
    expect([found(one), faults(one)]).toEqual([[[0x40, 0x01]], [["cycle", 0x41]]]);
    const two = walkCapabilities(standard(0x40, [[0x40, 0x01, 0x50], [0x50, 0x05, 0x40]])); // prettier-ignore
    expect([found(two), faults(two)]).toEqual([[[0x40, 0x01], [0x50, 0x05]], [["cycle", 0x51]]]); // prettier-ignore
  });

  test("ignores a pointer's low bits, and says so", () => {
    const walk = walkCapabilities(standard(0x42, [[0x40, 0x01, 0x03]]));
    expect([found(walk), faults(walk)]).toEqual([
      [[0x40, 0x01]],
      [["pointer-unaligned", 0x34], ["pointer-unaligned", 0x41]],
    ]); // prettier-ignore
  });

  test("does not go into the header, past the image, or through all ones", () => {
    const header = walkCapabilities(standard(0x40, [[0x40, 0x01, 0x20]]));
    expect([found(header), faults(header)]).toEqual([[[0x40, 0x01]], [["pointer-outside", 0x41]]]);
    const short = walkCapabilities(standard(0x40, [], 64));
    expect([found(short), faults(short)]).toEqual([[], [["truncated", 0x34]]]);
    const gone = walkCapabilities(standard(0x40, [[0x40, 0x01, 0x50], [0x50, 0xff, 0xff]])); // prettier-ignore
    expect([found(gone), faults(gone)]).toEqual([[[0x40, 0x01]], [["all-ones", 0x50]]]);
  });

  test("holds the 48 capabilities that there is room for", () => {
    const all = Array.from(
      { length: 48 },
      (_, i) => [0x40 + 4 * i, 0x09, i === 47 ? 0 : 0x44 + 4 * i] as const,
    );
    const walk = walkCapabilities(standard(0x40, all));
    expect([walk.found.length, faults(walk)]).toEqual([48, []]);
  });
});

describe("the extended list", () => {
  test("is followed in its order, with versions", () => {
    const walk = walkExtendedCapabilities(extended([[0x100, 0x01, 0x200], [0x200, 0x0b, 0x150], [0x150, 0x03, 0]])); // prettier-ignore
    expect(found(walk)).toEqual([[0x100, 0x01], [0x200, 0x0b], [0x150, 0x03]]); // prettier-ignore
    expect(walk.found[0]).toEqual({ id: 1, offset: 0x100, next: 0x200, extended: true, version: 1 });
  });

  test("is empty in 256 bytes, in zeros, and where nothing answers", () => {
    for (const config of [new Uint8Array(256), new Uint8Array(4096), new Uint8Array(4096).fill(0xff)])
      expect(walkExtendedCapabilities(config)).toEqual({ found: [], malformations: [] });
  });

  test("ends at a header of zeros", () => {
    const walk = walkExtendedCapabilities(extended([[0x100, 0x01, 0x200]]));
    expect([found(walk), faults(walk)]).toEqual([[[0x100, 0x01]], []]);
  });

  test("stops at a cycle, in the first 256 bytes, past the image, and at all ones", () => {
    const cycle = walkExtendedCapabilities(extended([[0x100, 1, 0x200], [0x200, 2, 0x100]])); // prettier-ignore
    expect([found(cycle), faults(cycle)]).toEqual([[[0x100, 1], [0x200, 2]], [["cycle", 0x202]]]); // prettier-ignore
    const low = walkExtendedCapabilities(extended([[0x100, 1, 0x40]]));
    expect([found(low), faults(low)]).toEqual([[[0x100, 1]], [["pointer-outside", 0x102]]]);
    const odd = walkExtendedCapabilities(extended([[0x100, 1, 0x203], [0x200, 2, 0]])); // prettier-ignore
    expect([found(odd), faults(odd)]).toEqual([[[0x100, 1], [0x200, 2]], [["pointer-unaligned", 0x102]]]); // prettier-ignore
    const short = walkExtendedCapabilities(extended([[0x100, 1, 0x200]], 0x180));
    expect([found(short), faults(short)]).toEqual([[[0x100, 1]], [["truncated", 0x102]]]);
    const config = extended([[0x100, 1, 0x200]]);
    config.fill(0xff, 0x200, 0x204);
    const gone = walkExtendedCapabilities(config);
    expect([found(gone), faults(gone)]).toEqual([[[0x100, 1]], [["all-ones", 0x200]]]);
  });

  test("holds the 960 capabilities that there is room for", () => {
    const all = Array.from(
      { length: 960 },
      (_, i) => [0x100 + 4 * i, 1, i === 959 ? 0 : 0x104 + 4 * i] as const,
    );
    const walk = walkExtendedCapabilities(extended(all));
    expect([walk.found.length, faults(walk)]).toEqual([960, []]);
  });
});

describe("whatever the bytes hold", () => {
  const bytes = fc
    .record({
      size: fc.constantFrom(0, 1, 63, 64, 65, 100, 255, 256, 257, 300, 4095, 4096),
      seed: fc.array(fc.oneof(fc.constantFrom(0, 0xff, 0x40, 0x44, 0x10), fc.nat(255)), {
        minLength: 1,
        maxLength: 512,
      }),
      head: fc.boolean(),
    })
    .map(({ size, seed, head }) => {
      const config = Uint8Array.from({ length: size }, (_, i) => seed[i % seed.length]!);
      // Half of them have a header that leads on to capabilities.
      if (head && size >= 64) {
        config[0x06]! |= 0x10;
        config[0x0e]! &= 0x81;
        config[0x34] = 0x40;
      }
      return config;
    });

  test("nothing throws, loops or leaves the image, and the capabilities found lie in it", () => {
    fc.assert(
      fc.property(bytes, (config) => {
        const before = config.slice();
        const { capabilities, malformations } = layoutOf(config);
        for (const { offset, map, limit, name } of capabilities) {
          expect(offset + limit).toBeLessThanOrEqual(config.length);
          if (name !== "unknown" && map.name !== "unknown") expect(map.size).toBeLessThanOrEqual(limit);
        }
        expect(new Set(capabilities.map(({ offset }) => offset)).size).toBe(capabilities.length);
        expect(malformations.every(({ offset }) => offset >= 0 && offset <= config.length)).toBe(true);
        const decoded = decodeConfig(config);
        expect(JSON.parse(JSON.stringify(decoded))).toEqual(decoded);
        for (const verbosity of [0, 1, 2] as const) expect(configText(config, verbosity)).toEndWith("\n");
        expect(config).toEqual(before);
      }),
      { numRuns: 1500 },
    );
  });
});
