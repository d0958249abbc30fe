// Recordings of devices that no host would offer: sizes, flags, areas and counts at random, over any config space.
import fc from "fast-check";
import type { AttachOptions } from "../../src/index.ts";
import type { DeviceImage, ImageArea, ImageIrq, ImageRegion } from "../../src/image/index.ts";
import { anyRecordedConfig } from "./any-config.ts";

/** A power of two from `2 ** from`, as BARs have; now and then any size, or one up to 1 TiB. */
const sizes = (from: number, to: number): fc.Arbitrary<number> =>
  fc.oneof(
    { weight: 12, arbitrary: fc.integer({ min: from, max: to }).map((log2) => 2 ** log2) },
    { weight: 4, arbitrary: fc.integer({ min: 1, max: 2 ** to }) },
    {
      weight: 1,
      arbitrary: fc.oneof(
        fc.integer({ min: 27, max: 40 }).map((log2) => 2 ** log2),
        fc.nat(2 ** 40),
      ),
    },
  );
const often = fc.integer({ min: 0, max: 4 }).map((n) => n > 0);
const areas: fc.Arbitrary<ImageArea[]> = fc.array(
  fc.record({
    offset: fc.oneof(
      fc.nat(20).map((page) => page * 4096),
      fc.nat(0x20000),
      fc.nat(2 ** 40),
    ),
    size: fc.oneof(
      fc.nat(8).map((pages) => pages * 4096),
      fc.nat(0x8000),
    ),
  }),
  { maxLength: 4 },
);

const region = (index: number, size: fc.Arbitrary<number>): fc.Arbitrary<ImageRegion> =>
  fc.record(
    {
      index: fc.constant(index),
      size,
      readable: often,
      writable: often,
      mappable: often,
      msixMappable: fc.boolean(),
      sparse: areas,
      contents: fc.constant([{ offset: 0, bytes: Uint8Array.of(1, 2, 3) }]),
    },
    {
      requiredKeys: ["index", "size", "readable", "writable", "mappable", "msixMappable"],
      noNullPrototype: true,
    },
  );

const irq = (index: number, most: number): fc.Arbitrary<ImageIrq> =>
  fc.record({
    index: fc.constant(index),
    count: fc.oneof(fc.constantFrom(1, most), fc.nat(most), fc.nat(Math.min(most, 3))),
    eventfd: often,
    maskable: often,
    automasked: often,
    noResize: fc.boolean(),
  });

/** What a BAR's low register says of it (the address bits do not matter), and a size that often suits it. */
const bar = (index: number) =>
  fc
    .oneof(
      { weight: 6, arbitrary: fc.constantFrom(0, 8, 4, 0xc) },
      { weight: 2, arbitrary: fc.constant(1) },
      { weight: 1, arbitrary: fc.constantFrom(2, 6, 0xffffffff) },
    )
    .chain((type) =>
      fc.record({ type: fc.constant(type), region: region(index, type & 1 ? sizes(2, 8) : sizes(9, 18)) }),
    );
const bars = fc
  .tuple(
    ...[0, 1, 2, 3, 4, 5].map((index) =>
      fc.option(bar(index), { freq: index === 0 ? 30 : index === 1 ? 4 : 1 }),
    ),
  )
  .map((some) => some.filter((one) => one !== null));
/** The ROM and VGA. */
const others = fc
  .subarray([6, 8])
  .chain((indexes) => fc.tuple(...indexes.map((index) => region(index, sizes(11, 16)))));

/** Where table and PBA are said to be: mostly near the start of a low BAR, so that many of them fit. */
const msixPlace = fc.oneof(
  { weight: 3, arbitrary: fc.tuple(fc.nat(1), fc.nat(0x80)).map(([bar, units]) => units * 8 + bar) },
  { weight: 6, arbitrary: fc.nat(8).map((half) => half * 0x800) },
  { weight: 1, arbitrary: fc.nat(0xffffffff) },
);

const rarely = <T>(usual: T, ...odd: T[]): fc.Arbitrary<T> =>
  fc.oneof(
    { weight: 12 * odd.length, arbitrary: fc.constant(usual) },
    { weight: odd.length, arbitrary: fc.constantFrom(...odd) },
  );

export const anyImage: fc.Arbitrary<DeviceImage> = fc
  .record({
    bytes: anyRecordedConfig,
    /** What stands in the vendor's ID: all ones are a device that is gone. */
    vendor: rarely(0x1234, 0x10de, 0xffff),
    msix: fc.option(
      fc.record({
        at: fc.nat(45).map((n) => 0x40 + 4 * n),
        vectors: fc.oneof(fc.nat(8), fc.nat(40), fc.nat(0xffff)),
        table: msixPlace,
        pba: msixPlace,
      }),
    ),
    msi: fc.option(fc.record({ at: fc.nat(42).map((n) => 0x40 + 4 * n), control: fc.nat(0x1ff) })),
    bars,
    others,
    space: rarely<number | undefined>(undefined, 0, 64, 256, 4096, 2 ** 40),
    irqs: fc.tuple(irq(0, 1), irq(1, 32), irq(2, 2048), irq(3, 1), irq(4, 1)),
    resettable: often,
  })
  .map(({ bytes, vendor, msix, msi, bars, others, space, irqs, resettable }) => {
    const config = new Uint8Array(bytes);
    const view = new DataView(config.buffer);
    view.setUint16(0, vendor, true);
    for (const { type, region } of bars) view.setUint32(0x10 + 4 * region.index, type, true);
    // In front of the list, whose own first capability follows.
    const prepend = (at: number, id: number): void => {
      const before = config[0x34]!;
      config[0x34] = at;
      config[0x06]! |= 0x10;
      config[at] = id;
      config[at + 1] = before;
    };
    if (config.length > 64 && msi) {
      prepend(msi.at, 0x05);
      view.setUint16(msi.at + 2, msi.control, true);
    }
    if (config.length > 64 && msix) {
      prepend(msix.at, 0x11);
      view.setUint16(msix.at + 2, msix.vectors, true);
      view.setUint32(msix.at + 4, msix.table, true);
      view.setUint32(msix.at + 8, msix.pba, true);
    }
    const own: ImageRegion = {
      index: 7,
      size: space ?? Math.max(256, config.length),
      readable: true,
      writable: true,
      mappable: false,
      msixMappable: false,
    };
    const regions = [...bars.map(({ region }) => region), ...others, own].sort((a, b) => a.index - b.index);
    return { version: 1, bdf: "0000:01:00.0", config, regions, irqs, resettable, host: {} };
  });

const ids = fc.array(fc.nat(0x31), { maxLength: 3 });
export const anyOptions: fc.Arbitrary<AttachOptions> = fc.record(
  {
    hide: ids,
    expose: ids,
    multiFunction: fc.boolean(),
    gpuDirectClique: rarely<number | undefined>(undefined, -1, 0, 15, 16),
    msixRelocation: fc.constantFrom("auto", "auto", "always", "never"),
    excludeFromMapping: fc.oneof(fc.constant([]), fc.subarray([0, 1, 2, 6])),
    peerToPeer: fc.boolean(),
    requesterId: fc.nat(0xffff),
  },
  { requiredKeys: ["gpuDirectClique"], noNullPrototype: true },
);
