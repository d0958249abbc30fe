// The image file, formats 1 and 2. The schema is the description: shapes, ranges, and what fields owe each other.
// Arrays are bounded before their elements are looked at, so that a hostile file costs no more than its own size.
import { z } from "zod";
import { formatBdf, parseBdf } from "../regs/bdf.ts";
import { parseHexBytes, parseHexRow } from "./hex.ts";
import { irqLimit, irqName } from "../regs/vfio/irqs.ts";
import { maxIndex, regionName } from "../regs/vfio/regions.ts";
import {
  configSizes,
  imageFormat,
  maxContentBytes,
  newestFormat,
  type ContentBlock,
  type ImageArea,
} from "./image.ts";
import { contentLine, formatName, irqFlags, regionFlags } from "./schema-words.ts";
import { hex, hexDigits } from "../regs/hex-text.ts";

const bounded = <T extends z.ZodType>(element: T, limit: number) =>
  z.array(z.unknown()).max(limit, `at most ${limit} entries`).pipe(z.array(element));

// Whoever transforms what holds a number is not called where it is none; `abort` lets the checks after it be left out too.
const hexNumber = z
  .string()
  .regex(/^0x[0-9a-f]{1,14}$/i, { error: 'expected a number such as "0x1000"', abort: true })
  .transform(Number)
  .refine(Number.isSafeInteger, { error: "expected a number below 2^53", abort: true });
const text = z.string().max(4096, "at most 4096 characters");
const index = z.int().min(0).max(maxIndex);
const area = z.strictObject({ offset: hexNumber, size: hexNumber });
const flagsOf = <const F extends readonly string[]>(names: F) =>
  bounded(z.enum(names), names.length).refine(
    (flags) => new Set(flags).size === flags.length,
    "a flag is there twice",
  );

/** Whether areas lie in order inside `size` bytes, apart from each other; if not, what is wrong. */
function areasFault(areas: readonly ImageArea[], size: number, whole = "the region"): string | undefined {
  let end = 0;
  for (const area of areas) {
    if (area.size === 0) return "an area of size 0";
    if (area.offset < end)
      return `the area at ${hex(area.offset)} overlaps the one before it or is out of order`;
    end = area.offset + area.size;
    if (end > size) return `the area at ${hex(area.offset)} ends past ${whole}'s ${hex(size)} bytes`;
  }
  return undefined;
}

const config = z
  .strictObject({
    size: z.literal(configSizes, `expected ${configSizes.join(", ")}`),
    lines: z.array(z.unknown()).max(256, "at most 256 lines"),
  })
  .transform(({ size, lines }, context) => {
    const bytes = new Uint8Array(size);
    let end = 0;
    for (const [at, line] of lines.entries()) {
      const row = typeof line === "string" ? parseHexRow(line) : "expected a string";
      const fault =
        typeof row === "string"
          ? row
          : row.offset < end
            ? `offset ${hexDigits(row.offset)} is there twice or out of order`
            : row.offset >= size
              ? `offset ${hexDigits(row.offset)} lies past the ${size} bytes of this config space`
              : undefined;
      if (typeof row === "string" || fault !== undefined) {
        context.addIssue({ code: "custom", message: fault!, path: ["lines", at] });
        return z.NEVER;
      }
      bytes.set(row.bytes, row.offset);
      end = row.offset + 16;
    }
    return bytes;
  });

const contentBlock = z
  .strictObject({ offset: hexNumber, hex: z.array(z.unknown()).optional(), base64: z.string().optional() })
  .transform(({ offset, hex, base64 }, context): ContentBlock => {
    const fail = (message: string, ...path: (string | number)[]): never => {
      context.addIssue({ code: "custom", message, path });
      return z.NEVER;
    };
    if ((hex === undefined) === (base64 === undefined)) return fail('expected either "hex" or "base64"');
    if (base64 !== undefined) {
      try {
        const bytes = Uint8Array.fromBase64(base64, { lastChunkHandling: "strict" });
        return bytes.length > 0 ? { offset, bytes } : fail("expected at least one byte", "base64");
      } catch {
        return fail("not base64", "base64");
      }
    }
    const bytes = new Uint8Array(hex!.length * contentLine);
    let length = 0;
    for (const [at, line] of hex!.entries()) {
      const part = typeof line === "string" ? parseHexBytes(line, contentLine) : "expected a string";
      if (typeof part === "string") return fail(part, "hex", at);
      if (part.length < contentLine && at < hex!.length - 1)
        return fail(`${part.length} bytes in a line of ${contentLine}`, "hex", at);
      bytes.set(part, length);
      length += part.length;
    }
    return length > 0 ? { offset, bytes: bytes.slice(0, length) } : fail("expected at least one byte", "hex");
  });

const region = z
  .strictObject({
    index,
    name: text,
    size: hexNumber,
    flags: flagsOf(regionFlags),
    msixMappable: z.boolean().default(false),
    sparse: bounded(area, 1024).optional(),
    type: z.strictObject({ type: z.uint32(), subtype: z.uint32() }).optional(),
    contents: bounded(contentBlock, 65536).optional(),
  })
  .superRefine((value, context) => {
    const fail = (message: string, ...path: string[]): void =>
      context.addIssue({ code: "custom", message, path });
    const name = regionName(value.index);
    if (value.name !== name) fail(`region ${value.index} is called ${name}`, "name");
    const sparse = areasFault(value.sparse ?? [], value.size);
    if (sparse) fail(sparse, "sparse");
    const areas = (value.contents ?? []).map(({ offset, bytes }) => ({ offset, size: bytes.length }));
    const contents = areasFault(areas, value.size);
    if (contents) fail(contents, "contents");
    if (value.contents && name === "CONFIG")
      fail('the bytes of config space stand under "config", not here', "contents");
  });

const irq = z
  .strictObject({ index, name: text, count: z.int().min(0), flags: flagsOf(irqFlags) })
  .superRefine((value, context) => {
    const name = irqName(value.index);
    const limit = irqLimit(value.index);
    if (value.name !== name)
      context.addIssue({
        code: "custom",
        message: `interrupt index ${value.index} is called ${name}`,
        path: ["name"],
      });
    if (value.count > limit)
      context.addIssue({ code: "custom", message: `${name} has at most ${limit} vectors`, path: ["count"] });
  });

const onceEach = <T extends { index: number; name: string }>(
  entries: readonly T[],
  context: z.RefinementCtx,
): void => {
  const seen = new Set<number>();
  for (const [at, entry] of entries.entries()) {
    if (seen.has(entry.index))
      context.addIssue({ code: "custom", message: `${entry.name} is there twice`, path: [at] });
    seen.add(entry.index);
  }
};

const configBits = z.strictObject({
  offset: hexNumber.refine((offset) => offset % 4 === 0, "expected a multiple of 4"),
  mask: hexNumber.refine((mask) => mask >= 1 && mask <= 0xffffffff, "expected a mask from 0x1 to 0xffffffff"),
});

/** What is wrong with the offsets of bits in a config space of `size` bytes. */
function configBitsFault(bits: readonly { offset: number }[], size: number): string | undefined {
  let last = -1;
  for (const { offset } of bits) {
    const name = `offset ${hex(offset)}`;
    if (offset <= last) return `${name} is there twice or out of order`;
    if (offset >= size) return `${name} lies past the ${size} bytes of this config space`;
    last = offset;
  }
  return undefined;
}

/** One image file, as parsed JSON. Its output holds numbers and bytes where the file has text. */
export const imageFileSchema = z
  .strictObject({
    format: z.literal(formatName),
    version: z.literal([imageFormat, newestFormat]),
    bdf: z.string().transform((value, context) => {
      try {
        return formatBdf(parseBdf(value));
      } catch (error) {
        context.addIssue({ code: "custom", message: (error as Error).message });
        return z.NEVER;
      }
    }),
    host: z.strictObject({
      kernel: text.optional(),
      iommu: text.optional(),
      driver: text.optional(),
      notes: bounded(text, 256).optional(),
    }),
    resettable: z.boolean(),
    irqs: bounded(irq, maxIndex + 1).superRefine(onceEach),
    regions: bounded(region, maxIndex + 1).superRefine(onceEach),
    config,
    readOnlyBits: bounded(configBits, 1024).optional(),
    writable: bounded(area, 1024).optional(),
    keptByReset: bounded(configBits, 1024).optional(),
    unknown: z
      .strictObject({
        config: bounded(area, 1024).optional(),
        irqs: bounded(index, maxIndex + 1).optional(),
      })
      .optional(),
  })
  .superRefine((value, context) => {
    const fail = (message: string, ...path: string[]): void =>
      context.addIssue({ code: "custom", message, path });
    const space = value.regions.find(({ name }) => name === "CONFIG");
    if (space && space.size < value.config.length)
      fail(`CONFIG has ${space.size} bytes, but ${value.config.length} are recorded`, "regions");
    for (const key of ["readOnlyBits", "keptByReset"] as const) {
      const fault = configBitsFault(value[key] ?? [], value.config.length);
      if (fault) fail(fault, key);
    }
    const writable = areasFault(value.writable ?? [], value.config.length, "this config space");
    if (writable) fail(writable, "writable");
    const { config: bytes = [], irqs: unread = [] } = value.unknown ?? {};
    if (value.unknown && value.version < newestFormat)
      fail(`version ${value.version} has no "unknown"; ${newestFormat} has`, "unknown");
    const unknown = areasFault(bytes, value.config.length, "this config space");
    if (unknown) fail(unknown, "unknown", "config");
    if (unread.some((index, at) => index <= (unread[at - 1] ?? -1)))
      fail("an index is there twice or out of order", "unknown", "irqs");
    for (const { index, name } of value.irqs)
      if (unread.includes(index)) fail(`${name} stands under "irqs" as well`, "unknown", "irqs");
    let total = 0;
    for (const { contents = [] } of value.regions) for (const { bytes } of contents) total += bytes.length;
    if (total > maxContentBytes)
      fail(`${total} bytes of contents; at most ${maxContentBytes} are possible`, "regions");
  });

export type ImageFile = z.output<typeof imageFileSchema>;
