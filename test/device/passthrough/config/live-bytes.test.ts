// Every byte of the device that is not declared static flips under an attached model, and the guest's next read shows it.
import { describe, expect, test } from "bun:test";
import { layoutOf } from "../../../../src/regs/index.ts";
import { RegionIndex } from "../../../../src/regs/vfio/regions.ts";
import { attach } from "../../../support/attached.ts";
import { imageNames, imageOf } from "../../../support/replayed.ts";
import { syntheticImage } from "../../../support/synthetic-image.ts";

const devices = [
  ...imageNames.map((name) => [name, imageOf(name)] as const),
  [
    "one of every kind",
    syntheticImage({
      bars: { 0: { size: 0x1000 } },
      pm: true,
      pcie: true,
      msi: { log2: 2, maskable: true },
      extended: [0x01, 0x03, 0x0d, 0x18, 0x1e],
    }),
  ] as const,
];

/** Bits of each byte that may change under the guest, from the maps alone: neither the model's own nor declared static. */
function liveBits(config: Uint8Array, hidden: readonly { offset: number; size: number }[]): Uint8Array {
  const live = new Uint8Array(config.length).fill(0xff);
  const { header, capabilities } = layoutOf(config);
  const seen = new Uint8Array(config.length);
  for (const { map, offset } of [{ map: header!, offset: 0 }, ...capabilities])
    for (let i = 0; i < map.size; i++) {
      if (seen[offset + i] || (map.masks.defined[i]! & ~map.masks.reserved[i]!) === 0) continue;
      seen[offset + i] = 1;
      const own = map.masks.emulated[i]!;
      const changes = (map.masks.volatile[i]! | map.masks.precious[i]!) & ~own;
      // One volatile bit has the whole byte read from the device.
      live[offset + i] = changes ? 0xff & ~own : 0;
    }
  // The bit that says that there is a list is the model's, as the list is.
  if (config[0x06]! & 0x10) live[0x06]! &= ~0x10;
  for (const { offset, size } of hidden) live.fill(0, offset, offset + size);
  // The first register of an empty list of extended capabilities.
  if (config.length > 256 && new DataView(config.buffer, config.byteOffset).getUint32(256, true) === 0)
    live.fill(0, 256, 260);
  return live;
}

describe.each(devices)("%s", (_, image) => {
  test("shows each change of what is live, and no change of what is static", () => {
    using guest = attach(image);
    const { device, backend } = guest;
    const shown = new Uint8Array(new ArrayBuffer(device.configSize));
    backend.read(RegionIndex.config, 0, shown);
    const live = liveBits(shown, device.describe().patches);
    let flipped = -1;
    const read = backend.read.bind(backend);
    backend.read = (region, offset, data) => {
      read(region, offset, data);
      const i = flipped - offset;
      if (region === RegionIndex.config && i >= 0 && i < data.length) data[i]! ^= 0xff;
    };
    const wrong: string[] = [];
    let changes = 0;
    for (let at = 0; at < device.configSize; at++) {
      flipped = -1;
      const before = device.configRead(at, 1);
      flipped = at;
      const seen = device.configRead(at, 1) ^ before;
      if (seen !== live[at])
        wrong.push(`0x${at.toString(16)}: ${seen.toString(16)}, not ${live[at]!.toString(16)}`);
      if (seen !== 0) changes++;
    }
    expect(wrong).toEqual([]);
    expect(changes).toBeGreaterThan(device.configSize / 4);
  });
});
