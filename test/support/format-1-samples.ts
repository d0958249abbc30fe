// Config spaces of one capability each, of every ID and of random contents: they do not depend on any register map.
import { seededRandom, type Random } from "./random.ts";

const lastStandard = 0x15;
const lastExtended = 0x38;
const each = 6;
/** Port types of PCI Express. */
const types = [0, 1, 4, 5, 6, 7, 8, 9, 10] as const;
const cxlVendor = 0x1e98;
/** IDs and lengths of DVSECs of Compute Express Link. */
const cxl = [
  [0, 0x38],
  [0, 0x3c],
  [2, 0x2c],
  [3, 0x28],
  [4, 0x10],
  [5, 0x10],
  [7, 0x10],
  [7, 0x14],
  [7, 0x20],
  [8, 0x34],
  [9, 0x10],
] as const;

function empty(random: Random): { config: Uint8Array; view: DataView } {
  const config = new Uint8Array(4096);
  const view = new DataView(config.buffer);
  view.setUint32(0, 0x5678_1234, true);
  config[0x06] = 0x10;
  config[0x0e] = random.below(2);
  config[0x34] = 0x40;
  return { config, view };
}

function fill(config: Uint8Array, from: number, to: number, random: Random): void {
  const dense = random.below(3) > 0;
  for (let at = from; at < to; at++)
    config[at] = dense ? random.below(256) : random.below(4) === 0 ? 1 << random.below(8) : 0;
}

function standard(id: number, sample: number): Uint8Array {
  const random = seededRandom(1000 * id + sample);
  const { config, view } = empty(random);
  fill(config, 0x40, 0x100, random);
  config[0x40] = id;
  config[0x41] = 0;
  if (id === 0x10) {
    const type = types[random.below(types.length)]!;
    view.setUint16(0x42, (sample % 2 === 0 ? 2 : 1) | (type << 4) | (random.below(2) << 8) | 0x8000, true);
    // What was shown as reserved and has a name now.
    if (sample < 3) config[0x52] = config[0x52]! & 0xf0;
    if (sample < 2)
      view.setUint16(0x70, (sample === 0 ? 0xa000 : 0) | (view.getUint16(0x70, true) & 0xff0), true);
  }
  // Vendor-specific: of Intel, in two of three.
  if (id === 0x09 && sample % 3 > 0) {
    view.setUint16(0, 0x8086, true);
    config.set([0x10, 0x01], 0x42);
  }
  return config;
}

function extended(id: number, sample: number): Uint8Array {
  const random = seededRandom(1_000_000 + 1000 * id + sample);
  const { config, view } = empty(random);
  const type = types[random.below(types.length)]!;
  view.setUint32(0x40, 0x0002_0010 | (type << 20), true);
  fill(config, 0x44, 0x7c, random);
  fill(config, 0x104, 0x400, random);
  view.setUint32(0x100, id | ((1 + (sample % 2)) << 16), true);
  return config;
}

function cxlSample(at: number): Uint8Array {
  const [id, length] = cxl[at % cxl.length]!;
  const revision = Math.floor(at / cxl.length);
  const config = extended(0x23, at);
  const view = new DataView(config.buffer);
  view.setUint32(0x104, cxlVendor | (revision << 16) | (length << 20), true);
  view.setUint16(0x108, id, true);
  return config;
}

/** By a name for each kind: `standard 10`, `extended 2e`, `CXL`. */
export function* format1Samples(): Generator<readonly [name: string, configs: readonly Uint8Array[]]> {
  const several = (of: (sample: number) => Uint8Array, count = each): Uint8Array[] =>
    Array.from({ length: count }, (_, sample) => of(sample));
  for (let id = 0; id <= lastStandard; id++)
    yield [`standard ${id.toString(16)}`, several((sample) => standard(id, sample))];
  for (let id = 0; id <= lastExtended; id++)
    yield [`extended ${id.toString(16)}`, several((sample) => extended(id, sample))];
  yield ["CXL", several(cxlSample, 3 * cxl.length)];
}

/** The same whatever the order of keys. */
export function canonical(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(canonical).join(",")}]`;
  if (typeof value !== "object" || value === null) return JSON.stringify(value);
  const keys = Object.entries(value)
    .filter(([, element]) => element !== undefined)
    .sort(([a], [b]) => (a < b ? -1 : 1));
  return `{${keys.map(([key, element]) => `${JSON.stringify(key)}:${canonical(element)}`).join(",")}}`;
}
/** A short sum of what was decoded of several config spaces. */
export const sumOf = (decoded: readonly unknown[]): string =>
  new Bun.CryptoHasher("sha256").update(decoded.map(canonical).join("\n")).digest("hex").slice(0, 16);
