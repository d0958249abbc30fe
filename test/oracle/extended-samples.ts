// Config spaces with extended capabilities of random contents, as a device could hold them and lspci can print them.
import { portTypes } from "../../src/regs/maps/link.ts";
import { extendedCapabilities } from "../../src/regs/maps/extended.ts";
import type { Random } from "../support/random.ts";
import { virtualChannelAt } from "./topology-rules.ts";

const types = Object.values(portTypes);

interface Sample {
  /** Bytes that it gets, a multiple of 4; 0x40 without it. */
  readonly room?: number;
  /** Takes back what lspci cannot print, or C leaves undefined; `at` is the capability's first byte. */
  readonly fix?: (memory: DataView, at: number, random: Random) => void;
}

const clear16 = (memory: DataView, at: number, bits: number): void =>
  memory.setUint16(at, memory.getUint16(at, true) & ~bits, true);

const vendorSpecific: Sample = {
  fix: (memory, at, random) => {
    const head = memory.getUint32(at + 4, true);
    memory.setUint32(at + 4, ((head & 0xf_ffff) | ((8 + random.below(0x38)) << 20)) >>> 0, true);
  },
};

/** Lengths of the DVSECs of Compute Express Link that lspci decodes, by ID. */
const cxlLengths = { 0: 0x38, 2: 0x2c, 3: 0x28, 4: 0x10, 5: 0x10, 7: 0x20, 8: 0x34, 9: 0x10, 10: 0x10 };
function fixDvsec(memory: DataView, at: number, random: Random): void {
  const ids = Object.entries(cxlLengths);
  const [id, length] = random.below(8) === 0 ? ["1", 10 + random.below(0x30)] : random.pick(ids);
  const vendor = id === "1" ? 0x1234 : 0x1e98;
  const revision = random.below(3);
  memory.setUint32(at + 4, ((length << 20) | (revision << 16) | vendor) >>> 0, true);
  memory.setUint16(at + 8, Number(id), true);
  if (id === "0")
    for (const range of [0x18, 0x28]) {
      // lspci looks the type, the class and the interleave up in tables without a check.
      const low =
        (random.below(16) << 28) |
        (random.below(8) << 13) |
        (random.below(8) << 8) |
        (random.below(3) << 5) |
        (random.below(3) << 2) |
        random.below(4);
      memory.setUint32(at + range + 4, low >>> 0, true);
      memory.setUint32(at + range + 12, (random.below(16) << 28) >>> 0, true);
    }
  if (id === "4")
    for (const phase of [0x0c, 0x0e])
      memory.setUint16(at + phase, random.below(16) | (random.below(8) << 8), true);
}

const samples: Readonly<Record<number, Sample>> = {
  0x01: { room: 0x60 },
  0x02: { room: 0x200 },
  0x05: {
    room: 0x80,
    fix(memory, at, random) {
      memory.setUint8(at + 4, random.below(16));
      memory.setUint8(at + 5, random.below(7));
    },
  },
  0x08: { room: 0x80 },
  0x09: { room: 0x200 },
  0x0b: vendorSpecific,
  0x12: {
    fix(memory, at) {
      // A shift of a C int.
      clear16(memory, at + 4, 0x2000);
      if (((memory.getUint16(at + 4, true) >>> 8) & 0x3f) > 30) clear16(memory, at + 4, 0x0100);
      clear16(memory, at + 0x28, 0x20);
      if ((memory.getUint16(at + 0x28, true) & 0x3f) > 30) clear16(memory, at + 0x28, 1);
    },
  },
  0x15: { fix: fixResizable },
  0x24: { fix: fixResizable },
  0x18: {
    fix(memory, at) {
      for (const register of [4, 6]) clear16(memory, at + register, 0x1000);
    },
  },
  0x17: { room: 0x90 },
  0x19: { room: 0x50 },
  0x23: { room: 0x40, fix: fixDvsec },
  0x26: { room: 0x40 },
  0x30: { room: 0x80, fix: fixIde },
  0x27: { room: 0x90 },
};

/** No more streams than its room holds: lspci reads on behind them. */
function fixIde(memory: DataView, at: number, random: Random): void {
  const links = random.below(4);
  const selective = random.below(3);
  const capability = memory.getUint32(at + 4, true) & 0xff00_1ffc;
  const counts = (Math.max(links - 1, 0) << 13) | (Math.max(selective - 1, 0) << 16);
  memory.setUint32(at + 4, (capability | counts | (links > 0 ? 1 : 0) | (selective > 0 ? 2 : 0)) >>> 0, true);
  let stream = at + 12 + 8 * links;
  for (let i = 0; i < selective; i++) {
    const blocks = random.below(3);
    memory.setUint8(stream, (memory.getUint8(stream) & 0xf0) | blocks);
    stream += 20 + 12 * blocks;
  }
}

/** Entries are told apart by their BAR; one number of entries in ten is out of range. */
function fixResizable(memory: DataView, at: number, random: Random): void {
  const entries = random.below(10) === 0 ? random.pick([0, 7]) : 1 + random.below(6);
  const first = random.below(8);
  for (let i = 0; i < 6; i++) {
    const control = at + 8 + 8 * i;
    memory.setUint8(control, (entries << 5) | (memory.getUint8(control) & 0x18) | ((first + 3 * i) & 7));
  }
}

/** Random bytes, all zeros, all ones, or a few bits: alike over a whole capability. */
function fill(bytes: Uint8Array, random: Random): void {
  const byte = random.pick([
    () => 0,
    () => 0xff,
    () => (random.below(4) === 0 ? 1 << random.below(8) : 0),
    () => random.below(256),
    () => random.below(256),
    () => random.below(256),
  ]);
  for (let i = 0; i < bytes.length; i++) bytes[i] = byte();
}

/** A config space of 4096 bytes with as many extended capabilities as it holds, in random order. */
export function sampleConfig(random: Random): Uint8Array {
  const config = new Uint8Array(4096);
  const memory = new DataView(config.buffer);
  memory.setUint32(0, 0x5678_1234, true);
  config[0x06] = 0x10;
  config[0x34] = 0x40;
  const type = random.pick(types);
  fill(config.subarray(0x40, 0x7c), random);
  memory.setUint32(0x40, (0x10 | (2 << 16) | (type << 20)) >>> 0, true);
  memory.setUint16(
    0x4c,
    (memory.getUint16(0x4c, true) & ~0x3f0) | (random.pick([0, 1, 2, 4, 8, 16, 32, 63]) << 4),
    true,
  );

  const channel = random.below(2) === 0 ? 0x02 : 0x09;
  const others = extendedCapabilities
    .map(({ id }) => id)
    .filter((id) => id !== 0 && id !== 0x02 && id !== 0x09);
  for (let i = others.length - 1; i > 0; i--) {
    const j = random.below(i + 1);
    [others[i], others[j]] = [others[j]!, others[i]!];
  }
  let at = virtualChannelAt;
  let link = 0;
  for (const id of [channel, ...others]) {
    const { room = 0x40, fix } = samples[id] ?? {};
    if (at + room > config.length) continue;
    fill(config.subarray(at, at + room), random);
    memory.setUint32(at, (id | (random.below(4) << 16)) >>> 0, true);
    fix?.(memory, at, random);
    if (link !== 0) memory.setUint32(link, (memory.getUint32(link, true) | (at << 20)) >>> 0, true);
    link = at;
    at += room;
  }
  return config;
}
