// What must hold of every config space, whatever it says.
import { expect } from "bun:test";
import {
  configSizes,
  imageFromConfig,
  ImageError,
  readImage,
  readLspci,
  writeImage,
  writeLspci,
} from "../../src/image/index.ts";
import {
  configText,
  decodeConfig,
  diffConfig,
  layoutOf,
  walkCapabilities,
  walkExtendedCapabilities,
  type Verbosity,
  type Walk,
} from "../../src/regs/index.ts";

/** A walk finds each capability once, inside of its space, as the pointers lead; a list that does not end is told of. */
function checkWalk(config: Uint8Array, { found, malformations }: Walk, extended: boolean): void {
  const [start, end, head] = extended ? [0x100, 0x1000, 4] : [0x40, 0x100, 2];
  const offsets = found.map(({ offset }) => offset);
  expect(new Set(offsets).size).toBe(offsets.length);
  expect(found.length).toBeLessThanOrEqual((end - start) / 4);
  let expected = extended ? 0x100 : config[(config[0x0e]! & 0x7f) === 2 ? 0x14 : 0x34]! & 0xfc;
  for (const { offset, id, next } of found) {
    expect(offset).toBe(expected);
    expect(offset % 4).toBe(0);
    expect(offset).toBeGreaterThanOrEqual(start);
    expect(offset + head).toBeLessThanOrEqual(Math.min(end, config.length));
    expect(id).toBe(extended ? config[offset]! + 256 * config[offset + 1]! : config[offset]!);
    expected = next & ~3;
  }
  const last = found.at(-1);
  const proper = !last || last.next === 0 || (extended && expected >= 0x100 && isZero(config, expected));
  if (!proper) expect(malformations.length).toBeGreaterThan(0);
  for (const { offset, message } of malformations) {
    expect(offset).toBeGreaterThanOrEqual(0);
    expect(offset).toBeLessThan(0x1000);
    expect(message).not.toBe("");
  }
}

const isZero = (config: Uint8Array, at: number): boolean =>
  at + 4 <= config.length && config.subarray(at, at + 4).every((byte) => byte === 0);

/** Capabilities lie apart, and none takes registers from outside of its own bytes. */
function checkLayout(config: Uint8Array): void {
  const { capabilities, header } = layoutOf(config);
  // Its type is the last but one byte that all types share.
  expect(header === undefined || config.length > 0x0e).toBe(true);
  let end = 0;
  for (const { offset, limit, map } of [...capabilities].sort((a, b) => a.offset - b.offset)) {
    expect(offset).toBeGreaterThanOrEqual(end);
    expect(map.size).toBeLessThanOrEqual(limit);
    end = offset + limit;
    expect(end).toBeLessThanOrEqual(config.length);
  }
}

/** The same bytes with others around them: what is read outside shows as a difference. */
function surrounded(config: Uint8Array, byte: number): Uint8Array {
  const whole = new Uint8Array(config.length + 256).fill(byte);
  const view = whole.subarray(128, 128 + config.length);
  view.set(config);
  return view;
}

/** @returns the decoded config space, for comparisons */
function checkDecode(config: Uint8Array): string {
  const decoded = decodeConfig(config);
  const text = JSON.stringify(decoded);
  expect(JSON.stringify(decodeConfig(surrounded(config, 0xa5)))).toBe(text);
  // Nothing in the result is lost in JSON, and its length is bounded by that of the input.
  expect(text.length).toBeLessThanOrEqual(20_000 + 120 * config.length);
  expect(JSON.stringify(JSON.parse(text))).toBe(text);
  for (const { bytes = "" } of decoded.capabilities)
    expect(bytes.length).toBeLessThanOrEqual(2 * config.length);
  return text;
}

function checkText(config: Uint8Array, verbosity: Verbosity): void {
  const { capabilities, malformations } = layoutOf(config);
  const text = configText(config, verbosity);
  expect(text.endsWith("\n")).toBe(true);
  expect(/[^\t\n -~]/.test(text)).toBe(false);
  expect(text.length).toBeLessThanOrEqual(30_000 + 160 * config.length);
  if (verbosity === 0) expect(text.split("\n").length).toBe(2 + capabilities.length + malformations.length);
}

const sameBytes = (a: Uint8Array, b: Uint8Array): boolean =>
  a.length === b.length && a.every((byte, at) => byte === b[at]);

/** Where the registers lie, by name. */
function shapeOf(config: Uint8Array): string {
  const { header, capabilities } = layoutOf(config);
  const maps = [{ id: -1, map: header, offset: 0 }, ...capabilities];
  return JSON.stringify(
    maps.map(({ id, map, offset }) => [
      id,
      offset,
      Object.entries(map?.registers ?? {}).map(([name, { at, width }]) => [name, at, width]),
    ]),
  );
}

/** A diff is empty exactly for the same bytes; where both sides have the same registers it tells of each byte that differs. */
export function checkDiff(from: Uint8Array, to: Uint8Array): void {
  const differences = diffConfig(from, to);
  const common = Math.min(from.length, to.length);
  const told = new Uint8Array(common);
  for (const one of differences) {
    // A register has 8 bytes at most.
    if (one.kind === "field")
      for (const { offset } of [one, ...(one.parts ?? [])]) told.fill(1, offset, offset + 8);
    if (one.kind !== "bytes") continue;
    const end = one.offset + one.to.length / 2;
    told.fill(1, one.offset, end);
    expect([one.from, one.to]).toEqual([from, to].map((side) => side.slice(one.offset, end).toHex()));
  }
  if (shapeOf(from.subarray(0, common)) === shapeOf(to.subarray(0, common)))
    expect(told.findIndex((seen, at) => !seen && from[at] !== to[at])).toBe(-1);
  expect(differences.length === 0).toBe(sameBytes(from, to));
  expect(differences.length).toBeLessThanOrEqual(200 + 16 * Math.max(from.length, to.length));
  expect(diffConfig(to, from).length === 0).toBe(differences.length === 0);
  expect(diffConfig(from, from)).toEqual([]);
}

/** Images and lspci text take the three sizes that there are, give the bytes back, and refuse the rest in words. */
function checkImage(config: Uint8Array): void {
  const bdf = "0000:01:00.0";
  if (!configSizes.includes(config.length)) {
    expect(() => imageFromConfig(bdf, config)).toThrow(ImageError);
    const whole = config.subarray(0, config.length - (config.length % 16));
    if (whole.length < 16) return;
    // A dump that ends early: its bytes are there, and the others unknown. Rows past config space are none.
    const kept = Math.min(whole.length, configSizes.at(-1)!);
    const [cut] = readLspci(writeLspci([{ bdf, config: whole }]));
    expect(sameBytes(cut!.config.subarray(0, kept), whole.subarray(0, kept))).toBe(true);
    expect(configSizes).toContain(cut!.config.length);
    const unknown = { offset: kept, size: cut!.config.length - kept };
    expect(cut!.unknown?.config ?? []).toEqual(unknown.size > 0 ? [unknown] : []);
    return;
  }
  const image = imageFromConfig(bdf, config);
  const [back, ...more] = readLspci(writeLspci([image]));
  expect(more).toEqual([]);
  expect(back!.bdf).toBe(bdf);
  expect(sameBytes(back!.config, config)).toBe(true);
  const again = readImage(writeImage(image));
  expect(sameBytes(again.config, config)).toBe(true);
  expect([again.regions, again.irqs]).toEqual([[...image.regions], [...image.irqs]]);
}

/** Everything above on one config space; none of it changes the bytes. */
export function checkConfig(config: Uint8Array, verbosity: Verbosity): void {
  const before = config.slice();
  checkWalk(config, walkCapabilities(config), false);
  checkWalk(config, walkExtendedCapabilities(config), true);
  checkLayout(config);
  checkDecode(config);
  checkText(config, verbosity);
  // The costly part, on a third.
  if (verbosity === 0) checkImage(config);
  expect(sameBytes(config, before)).toBe(true);
}
