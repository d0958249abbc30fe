// The shape of what `show --json` prints, format 2: docs/show.schema.json is made of it.
import { z } from "zod";

const offset = z.int().min(0).max(0xfff);
const hexBytes = z.string().regex(/^(?:[0-9a-f]{2})+$/);
/** A flag, a number, or a string: the name of a value, or a number of more than 53 bits as `0x` and digits. */
const value = z.union([z.boolean(), z.number(), z.string()]);
const registers = z.record(z.string(), z.union([value, z.record(z.string(), value)]));
/** What fields mean together: a value, or an object or array of such. */
const values = z.record(z.string(), z.json());

const header = z.strictObject({
  type: z.enum(["endpoint", "bridge", "cardbus", "unknown"]),
  registers,
  values: values.optional(),
});

const capability = z.strictObject({
  id: z.int().min(0).max(0xffff),
  name: z.string(),
  offset,
  extended: z.boolean(),
  version: z.int().min(0).max(15).optional(),
  registers,
  values: values.optional(),
  bytes: hexBytes.optional(),
});

const malformation = z.strictObject({
  kind: z.enum([
    "pointer-unaligned",
    "pointer-outside",
    "cycle",
    "too-many",
    "all-ones",
    "truncated",
    "overlap",
  ]),
  offset,
  message: z.string(),
});

const config = z.strictObject({
  header,
  capabilities: z.array(capability),
  undescribed: z.array(z.strictObject({ offset, bytes: hexBytes })),
  malformations: z.array(malformation),
});

const bdf = z.string().regex(/^[0-9a-f]{4,8}:[0-9a-f]{2}:[0-9a-f]{2}\.[0-9]$/);
const size = z.number().min(0);

const region = z.strictObject({
  index: z.int().min(0),
  name: z.string(),
  size,
  flags: z.array(z.string()),
  msixMappable: z.boolean(),
  sparse: z.array(z.strictObject({ offset: size, size })).nullable(),
  type: z.strictObject({ type: z.int(), subtype: z.int() }).nullable(),
  recordedBytes: size,
});

const recording = z.strictObject({
  regions: z.array(region),
  irqs: z.array(
    z.strictObject({
      index: z.int().min(0),
      name: z.string(),
      count: z.int().min(0),
      flags: z.array(z.string()),
    }),
  ),
  unknownIrqs: z.array(z.string()),
  resettable: z.boolean(),
  host: z.record(z.string(), z.json()),
});

/** Of a device of this host. */
const place = z.strictObject({
  driver: z.string().nullable(),
  iommuGroup: z.int().min(0).nullable(),
  numaNode: z.int().min(0).nullable(),
});

const file = {
  source: z.enum(["image", "lspci", "config", "sysfs"]),
  skipped: z.record(z.string(), z.int().min(0)).optional(),
  devices: z.array(
    z.strictObject({
      bdf: bdf.nullable(),
      configSize: z.int(),
      unknown: z.array(z.strictObject({ offset, size })),
      config,
      place: place.nullable(),
      recording: recording.nullable(),
    }),
  ),
};
const formatVersion = z.literal(2);

/** Format 2 of `show --json`, of one file. */
export const showSchema = z.strictObject({ formatVersion, ...file });
/** Of several files. */
export const showFilesSchema = z.strictObject({
  formatVersion,
  files: z.array(z.strictObject({ path: z.string(), ...file })),
});

/** The same as JSON Schema. */
export const showJsonSchema = (): unknown => ({
  title: "bun-vfio show --json, format 2",
  description:
    "Described in docs/show-json.md. Within a format keys are added, never taken away or given another meaning.",
  ...z.toJSONSchema(z.union([showSchema, showFilesSchema]), { target: "draft-2020-12" }),
});
