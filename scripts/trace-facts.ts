// What a guest's recorded accesses tell of a device that a dump of its config space does not: bits that it keeps
// whatever is written, and extended capabilities that it had when the guest ran.
import { accessWidth } from "../src/device/replay/replay.ts";
import type { TraceAccess } from "../src/image/index.ts";
import { layoutOf, type ConfigLayout } from "../src/regs/index.ts";

const pcieId = 0x10;
const afId = 0x13;

/** Bytes of an access: `[offset, byte]`. */
function bytesOf(layout: ConfigLayout, access: TraceAccess): [at: number, byte: number][] {
  const { offset, value } = access;
  return Array.from({ length: accessWidth(layout, access) }, (_, i) => [
    offset + i,
    (value >>> (8 * i)) & 0xff,
  ]);
}

/** Bits that start a reset when a 1 is written: a mask for each byte that has one. */
function resetBits({ capabilities }: ConfigLayout): ReadonlyMap<number, number> {
  const found = new Map<number, number>();
  for (const { id, extended, offset } of capabilities) {
    if (extended) continue;
    if (id === pcieId) found.set(offset + 9, 0x80);
    if (id === afId) found.set(offset + 4, 0x01);
  }
  return found;
}

/** Bits that software may write as the register maps say, and of which a read tells what became of it. */
function storedBits({ header, capabilities }: ConfigLayout, size: number): Uint8Array {
  const bits = new Uint8Array(size);
  for (const { map, offset } of [...(header ? [{ map: header, offset: 0 }] : []), ...capabilities]) {
    const { write, volatile, emulated } = map.masks;
    // The model answers what it emulates itself, BARs and the ROM among it: no device is asked.
    for (let i = 0; i < map.size; i++) bits[offset + i] = write[i]! & ~volatile[i]! & ~emulated[i]!;
  }
  return bits;
}

/**
 * Bits that the device keeps: the guest wrote one value and read the other before it wrote again, and no read of the
 * trace shows another value than the dump has.
 */
export function keptBits(
  config: Uint8Array,
  trace: readonly TraceAccess[],
): { readonly offset: number; readonly mask: number }[] {
  const layout = layoutOf(config);
  const stored = storedBits(layout, config.length);
  const resets = resetBits(layout);
  for (const [at, mask] of resets) stored[at]! &= ~mask;
  /** What was last written, by byte; a reset makes the device forget. */
  const written = new Map<number, number>();
  const refused = new Uint8Array(config.length);
  const varied = new Uint8Array(config.length);
  for (const access of trace) {
    const bytes = bytesOf(layout, access);
    if (access.kind === "write") {
      for (const [at, byte] of bytes) written.set(at, byte);
      if (bytes.some(([at, byte]) => byte & (resets.get(at) ?? 0))) written.clear();
      continue;
    }
    for (const [at, byte] of bytes) {
      varied[at]! |= byte ^ config[at]!;
      refused[at]! |= (written.get(at) ?? byte) ^ byte;
    }
  }
  const view = new DataView(refused.map((bits, at) => bits & stored[at]! & ~varied[at]!).buffer);
  const kept: { offset: number; mask: number }[] = [];
  for (let offset = 0; offset < config.length; offset += 4) {
    const mask = view.getUint32(offset, true);
    if (mask !== 0) kept.push({ offset, mask });
  }
  return kept;
}

/**
 * Adds to a dump the extended capabilities that the guest saw where the dump's list ends. Of their registers the value is
 * what the guest read before it wrote there, and 0 where it never did.
 * @returns their names and offsets
 */
export function addCapabilities(
  config: Uint8Array,
  trace: readonly TraceAccess[],
): { readonly name: string; readonly offset: number }[] {
  const added: { name: string; offset: number }[] = [];
  const memory = new DataView(config.buffer, config.byteOffset, config.byteLength);
  const take = (from: number, to: number): void => {
    const first = firstReads(config, trace);
    for (let at = from; at < to; at++) config[at] = first.get(at) ?? 0;
  };
  // Each step but the last adds a capability or passes one: more than fit into the space are a circle.
  let at = 0x100;
  for (let left = (0x1000 - 0x100) / 4; left > 0 && at >= 0x100 && at + 4 <= config.length; left--) {
    if (memory.getUint32(at, true) === 0) {
      take(at, at + 4);
      const offset = at;
      const found = layoutOf(config).capabilities.find((one) => one.extended && one.offset === offset);
      if (!found) break;
      take(at, at + found.map.size);
      added.push({ name: found.name, offset });
    }
    at = memory.getUint32(at, true) >>> 20;
  }
  return added;
}

/** What the guest read of each byte of extended space before it wrote there. */
function firstReads(config: Uint8Array, trace: readonly TraceAccess[]): Map<number, number> {
  const first = new Map<number, number>();
  const touched = new Set<number>();
  const layout = layoutOf(config);
  for (const access of trace) {
    if (access.offset < 0x100) continue;
    for (const [at, byte] of bytesOf(layout, access)) {
      if (access.kind === "read" && !touched.has(at)) first.set(at, byte);
      touched.add(at);
    }
  }
  return first;
}
