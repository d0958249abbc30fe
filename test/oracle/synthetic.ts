// Config spaces that hold one standard capability with random contents.
import type { Random } from "../support/random.ts";

/** Where the capability lies. */
export const capabilityAt = 0x40;

/** A kind of capability, and what has to hold in its bytes for it to be of that kind. */
export interface Kind {
  readonly name: string;
  readonly id: number;
  readonly bridge?: boolean;
  /** Bends random bytes into shape; `body` starts at the capability. */
  readonly shape?: (body: Uint8Array, random: Random, config: Uint8Array) => void;
}

const setBits = (body: Uint8Array, at: number, mask: number, value: number): void => {
  body[at] = (body[at]! & ~mask) | (value & mask);
};

const express = (type: number, version: number): Kind => ({
  name: `PCIe v${version} type ${type}`,
  id: 0x10,
  // Root, downstream and upstream ports have a type 1 header; so have the bridges.
  bridge: type >= 4 && type <= 8,
  shape: (body) => setBits(body, 2, 0xff, (type << 4) | version),
});
const ht = (type: number): Kind => ({
  name: `HT ${type.toString(16)}`,
  id: 0x08,
  shape: (body, random) => {
    setBits(body, 3, 0xf8, type << 3);
    // Revision 2.0 and later prints twice as much as the ones before.
    body[type === 0 ? 12 : 8] = random.pick([0x11, 0x15, 0x22, 0x23, 0x25]);
  },
});
const virtio = (type: number): Kind => ({
  name: `virtio ${type}`,
  id: 0x09,
  shape: (body, random, config) => {
    config.set([0xf4, 0x1a, random.below(0x80), 0x10]);
    body[2] = random.pick([3, 8, 15, 16, 20, 24, 40]);
    body[3] = type;
  },
});
const msi = (flags: number): Kind => ({
  name: `MSI ${flags.toString(2).padStart(2, "0")}`,
  id: 0x05,
  shape: (body) => {
    setBits(body, 2, 0x80, flags & 1 ? 0x80 : 0);
    setBits(body, 3, 0x01, flags & 2 ? 1 : 0);
  },
});

function enhancedAllocation(body: Uint8Array, random: Random, bridge: boolean): void {
  const count = random.below(6);
  body[2] = (body[2]! & 0xc0) | count;
  let at = bridge ? 8 : 4;
  for (let entry = 0; entry < count; entry++) {
    // lspci trusts that an entry is long enough for what its two low halves announce.
    const wide = ((body[at + 4]! >> 1) & 1) + ((body[at + 8]! >> 1) & 1);
    const size = 2 + wide + random.below(2);
    setBits(body, at, 0x07, size);
    at += 4 + 4 * size;
  }
}

export const standardKinds: readonly Kind[] = [
  { name: "Null", id: 0x00 },
  { name: "PM", id: 0x01 },
  { name: "AGP 2", id: 0x02, shape: (body) => setBits(body, 2, 0xf0, 0x20) },
  { name: "AGP 3", id: 0x02, shape: (body) => setBits(body, 2, 0xf0, 0x30) },
  { name: "VPD", id: 0x03 },
  { name: "slot ID", id: 0x04 },
  ...[0, 1, 2, 3].map(msi),
  { name: "PCI-X", id: 0x07 },
  { name: "PCI-X bridge", id: 0x07, bridge: true },
  ...[0, 4, 8, 0x10, 0x11, 0x12, 0x13, 0x14, 0x15, 0x16, 0x17, 0x18, 0x19, 0x1a, 0x1f].map(ht),
  { name: "vendor", id: 0x09 },
  ...[0, 1, 2, 3, 4, 5, 8, 9, 77].map(virtio),
  { name: "debug port", id: 0x0a },
  { name: "hot-plug", id: 0x0c },
  { name: "SSVID", id: 0x0d },
  { name: "AGP3 bridge", id: 0x0e },
  ...[0, 1, 2, 4, 5, 6, 7, 8, 9, 10, 15].flatMap((type) => [1, 2].map((version) => express(type, version))),
  { name: "MSI-X", id: 0x11 },
  { name: "SATA", id: 0x12 },
  { name: "AF", id: 0x13 },
  { name: "EA", id: 0x14, shape: (body, random) => enhancedAllocation(body, random, false) },
  {
    name: "EA bridge",
    id: 0x14,
    bridge: true,
    shape: (body, random) => enhancedAllocation(body, random, true),
  },
  ...[0x06, 0x0b, 0x0f, 0x15, 0x40, 0xfe].map((id) => ({ name: `unknown ${id.toString(16)}`, id })),
];

/** A config space of 256 bytes with one capability of a kind at 0x40, its contents drawn from `random`. */
export function synthesize({ id, bridge, shape }: Kind, random: Random): Uint8Array {
  const config = new Uint8Array(256);
  config.set([0x34, 0x12, 0x78, 0x56, 0, 0, 0x10, 0]);
  config.set([0x00, bridge ? 0x04 : 0x00, bridge ? 0x06 : 0x02], 0x09);
  config[0x0e] = bridge ? 1 : 0;
  // lspci prints some capabilities of a device with memory alone.
  if (random.below(2)) config.set([0, 0, 0, 0xfe], 0x10);
  config[0x34] = capabilityAt;
  const body = config.subarray(capabilityAt);
  random.fill(body);
  body.set([id, 0]);
  shape?.(body, random, config);
  return config;
}
