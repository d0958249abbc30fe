// The snapshot of a device: the object of its parts' states, each described beside its part.
import * as z from "zod";
import { RegionIndex } from "../../regs/vfio/regions.ts";
import { barsSchema } from "./bars/bars-schema.ts";
import { configSchema } from "./config/config-schema.ts";
import { decodingSchema } from "./decoding-schema.ts";
import { interruptsSchema } from "./interrupts/interrupts-schema.ts";
import { longestName, snapshotVersion } from "./snapshot-format.ts";

const id = () => z.int().min(0).max(0xffff);
const ids = () => z.array(id()).max(0x10000);

/** The kind of device that a state fits: identifiers that never change, the size of config space, and BARs as the guest sized them. */
const identitySchema = () =>
  z.strictObject({
    name: z.string().max(longestName),
    vendorId: id(),
    deviceId: id(),
    subsystemVendorId: id(),
    subsystemId: id(),
    configSize: z.union([z.literal(256), z.literal(4096)]),
    bars: z
      .array(
        z.strictObject({
          region: z.int().min(RegionIndex.bar0).max(RegionIndex.rom),
          kind: z.enum(["io", "memory32", "memory64", "rom"]),
          /** In bytes. */
          size: z.int().min(1),
        }),
      )
      .max(RegionIndex.rom + 1),
  });
export type DeviceIdentity = z.infer<ReturnType<typeof identitySchema>>;

/** What the guest was shown: the same patches come back. */
const optionsSchema = () =>
  z.strictObject({
    hide: ids(),
    expose: ids(),
    multiFunction: z.boolean(),
    gpuDirectClique: z.int().min(0).max(15).optional(),
    /** The VMM may give another to the restored device. */
    requesterId: id().optional(),
    rom: z.literal("hide").optional(),
    /** All of them, those of the table too: another version may have other rows. */
    configMirrors: z
      .array(z.strictObject({ bar: z.int(), offset: z.int(), size: z.int() }))
      .max(64)
      .optional(),
    msixRelocation: z.enum(["always", "never"]),
    /** Vectors that the guest was offered; absent for a kind that it has not. */
    msiVectors: z.int().min(1).max(32).optional(),
    msixVectors: z.int().min(1).max(2048).optional(),
  });

/** What checks a snapshot. */
export const snapshotSchema = () =>
  z.strictObject({
    version: z.literal(snapshotVersion),
    device: identitySchema(),
    options: optionsSchema(),
    config: configSchema(),
    interrupts: interruptsSchema(),
    bars: barsSchema(),
    decoding: decodingSchema(),
    /** The device's own state, of those that give it: `DeviceBackend.ownState`. */
    own: z.json().optional(),
  });

/** State of a device; see `VfioPciDevice.snapshot`. Made for JSON. @useDeclaredType */
export type DeviceSnapshot = z.infer<ReturnType<typeof snapshotSchema>>;
