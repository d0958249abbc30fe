import fc from "fast-check";
import { formatBdf } from "../../src/regs/bdf.ts";
import { irqLimit } from "../../src/regs/vfio/irqs.ts";
import { imageFormat, newestFormat, type ContentBlock, type DeviceImage } from "../../src/image/image.ts";

export const bdfs = fc
  .record({ segment: fc.nat(0xffffffff), bus: fc.nat(0xff), device: fc.nat(0x1f), function: fc.nat(7) })
  .map(formatBdf);

/** Mostly zeros, as config space is, so that rows are left out of the file. */
export const configs = fc
  .tuple(
    fc.constantFrom(64, 256, 4096),
    fc.array(fc.tuple(fc.nat(4095), fc.uint8Array({ minLength: 1, maxLength: 16 })), { maxLength: 8 }),
  )
  .map(([size, patches]) => {
    const config = new Uint8Array(size);
    for (const [at, bytes] of patches)
      for (const [i, byte] of bytes.entries()) config[(at + i) % size] = byte;
    return config;
  });

const flag = fc.boolean();
/** Areas in order, apart from each other, inside `size`. */
const areas = (cuts: readonly number[], size: number): { offset: number; size: number }[] => {
  const points = [...new Set(cuts.map((cut) => cut % (size + 1)))].sort((a, b) => a - b);
  const found: { offset: number; size: number }[] = [];
  for (let i = 0; i + 1 < points.length; i += 2)
    found.push({ offset: points[i]!, size: points[i + 1]! - points[i]! });
  return found;
};

const regions = fc
  .uniqueArray(fc.constantFrom(0, 1, 2, 3, 4, 5, 6, 8, 9, 12, 255), { maxLength: 6 })
  .chain((indexes) =>
    fc.tuple(
      ...indexes
        .sort((a, b) => a - b)
        .map((index) =>
          fc
            .record({
              size: fc.oneof(fc.nat(0x1000), fc.maxSafeNat()),
              flags: fc.record({ readable: flag, writable: flag, mappable: flag, msixMappable: flag }),
              sparse: fc.option(fc.array(fc.maxSafeNat(), { maxLength: 6 }), { nil: undefined }),
              type: fc.option(
                fc.record(
                  { type: fc.nat(0xffffffff), subtype: fc.nat(0xffffffff) },
                  { noNullPrototype: true },
                ),
                { nil: undefined },
              ),
              contents: fc.option(fc.array(fc.nat(300), { maxLength: 6 }), { nil: undefined }),
            })
            .map(({ size, flags, sparse, type, contents }) => ({
              index,
              size,
              ...flags,
              ...(sparse && { sparse: areas(sparse, size) }),
              ...(type && { type }),
              ...(contents && {
                contents: areas(contents, Math.min(size, 300)).map((area): ContentBlock => ({
                  offset: area.offset,
                  bytes: Uint8Array.from({ length: area.size }, (_, i) => (i * 37 + index) & 0xff),
                })),
              }),
            })),
        ),
    ),
  );

const irqs = fc.uniqueArray(fc.constantFrom(0, 1, 2, 3, 4, 7), { maxLength: 6 }).chain((indexes) =>
  fc.tuple(
    ...indexes
      .sort((a, b) => a - b)
      .map((index) =>
        fc
          .record({
            count: fc.nat(irqLimit(index)),
            flags: fc.record({ eventfd: flag, maskable: flag, automasked: flag, noResize: flag }),
          })
          .map(({ count, flags }) => ({ index, count, ...flags })),
      ),
  ),
);

const note = fc.string({ unit: "binary", maxLength: 40 });

const configBits = (size: number): fc.Arbitrary<DeviceImage["readOnlyBits"]> =>
  fc.option(
    fc
      .uniqueArray(fc.tuple(fc.nat(size / 4 - 1), fc.integer({ min: 1, max: 0xffffffff })), {
        selector: ([dword]) => dword,
        maxLength: 4,
      })
      .map((bits) =>
        bits.map(([dword, mask]) => ({ offset: 4 * dword, mask })).sort((a, b) => a.offset - b.offset),
      ),
    { nil: undefined },
  );

/** Images of any shape that a file can hold, in canonical order. */
export const images: fc.Arbitrary<DeviceImage> = fc
  .record({
    bdf: bdfs,
    config: configs,
    regions,
    irqs,
    resettable: flag,
    host: fc.record(
      { kernel: note, iommu: note, driver: note, notes: fc.array(note, { maxLength: 3 }) },
      { requiredKeys: [], noNullPrototype: true },
    ),
  })
  .chain((image) =>
    fc
      .tuple(
        configBits(image.config.length),
        fc.option(fc.array(fc.nat(4096), { maxLength: 6 }), { nil: undefined }),
        configBits(image.config.length),
        fc.option(
          fc.record(
            { config: fc.array(fc.nat(4096), { maxLength: 6 }), irqs: fc.subarray([5, 6, 200]) },
            { requiredKeys: [], noNullPrototype: true },
          ),
          { nil: undefined },
        ),
      )
      .map(([readOnlyBits, writable, keptByReset, unknown]) => ({
        version: unknown ? newestFormat : imageFormat,
        ...image,
        ...(unknown && {
          unknown: {
            ...(unknown.config && { config: areas(unknown.config, image.config.length) }),
            ...(unknown.irqs && {
              irqs: unknown.irqs.filter((index) => image.irqs.every((irq) => irq.index !== index)),
            }),
          },
        }),
        ...(readOnlyBits && { readOnlyBits }),
        ...(writable && { writable: areas(writable, image.config.length) }),
        ...(keptByReset && { keptByReset }),
      })),
  );
