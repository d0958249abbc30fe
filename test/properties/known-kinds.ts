// What is worked out of a config space once for all devices of a kind, beside what is worked out of each space anew.
import { expect } from "bun:test";
import fc from "fast-check";
import { makeMap, permissionMap } from "../../src/device/function/permission-map.ts";
import { hardwareTables, makeTables } from "../../src/device/function/hardware-tables.ts";
import type { PlanContext } from "../../src/device/passthrough/attach-context.ts";
import { planAttach, type AttachPlan } from "../../src/device/passthrough/attach-plan.ts";
import { planFor } from "../../src/device/passthrough/known-plans.ts";
import { configImageOf, type ConfigImage } from "../../src/device/pci/config-image.ts";
import { ConfigKind, kindOf } from "../../src/device/pci/config-kind.ts";
import { startOf } from "../../src/device/pci/config-offset.ts";
import { regionsByIndex, type DeviceImage } from "../../src/image/image.ts";
import { extendedCapabilityId, layoutOf } from "../../src/regs/index.ts";
import { anyMutation, mutated, recordedConfigs } from "./any-config.ts";
import { anyImage, anyOptions } from "./any-image.ts";
import { property } from "./property.ts";

/** Bytes that devices of a kind have for themselves: BARs, the ROM, the interrupt line. */
const ownBytes = [...Array.from({ length: 24 }, (_, i) => 0x10 + i), 0x30, 0x31, 0x32, 0x33, 0x3c];
const anyOwn = fc.array(fc.record({ at: fc.constantFrom(...ownBytes), value: fc.nat(255) }), {
  maxLength: 4,
});
/** Halves of a serial number; all ones is none. */
const anySerial = fc.tuple(...[0, 1].map(() => fc.oneof(fc.nat(), fc.constant(0xffffffff))));

function withOwn(
  config: Uint8Array,
  own: readonly { at: number; value: number }[],
  [low, high]: readonly number[],
): Uint8Array {
  const copy = config.slice();
  // Of a BAR the bits that say what it is stay.
  for (const { at, value } of own)
    if (at < copy.length) copy[at] = at < 0x28 && at % 4 === 0 ? (copy[at]! & 0xf) | (value & 0xf0) : value;
  const view = new DataView(copy.buffer);
  for (const { id, offset, extended, map } of layoutOf(copy).capabilities) {
    if (!extended || id !== extendedCapabilityId.serialNumber || map.size < 12) continue;
    view.setUint32(offset + 4, low!, true);
    view.setUint32(offset + 8, high!, true);
  }
  return copy;
}

const freshImage = (bytes: Uint8Array): ConfigImage => {
  const kind = new ConfigKind(bytes);
  return {
    bytes,
    view: new DataView(bytes.buffer, bytes.byteOffset, bytes.length),
    layout: kind.layout,
    kind,
  };
};

function outcomeOf(make: () => AttachPlan): unknown {
  try {
    const { effects, ...plan } = make();
    const dwords = Array.from({ length: plan.tables.size / 4 }, (_, i) => startOf({ offset: 4 * i }));
    return { ...plan, effects: dwords.map((at) => [effects.at(at), effects.triggers(at)]) };
  } catch (error) {
    if (error instanceof RangeError) return error.message;
    throw error;
  }
}

const anyKnownImage: fc.Arbitrary<DeviceImage> = fc.oneof(
  anyImage,
  fc
    .record({ image: anyImage, index: fc.nat(recordedConfigs.length - 1) })
    .map(({ image, index }) => ({ ...image, config: recordedConfigs[index]!.config })),
);

export const knownKinds = property({
  name: "knownKinds",
  file: "known-kinds.ts",
  says: "what is known of a kind is, byte for byte, what is worked out of each of its devices",
  runs: 300,
  input: fc.record({
    image: anyKnownImage,
    options: anyOptions,
    own: anyOwn,
    serial: anySerial,
    changes: fc.option(anyMutation),
    vectors: fc.record({ msi: fc.nat(32), msix: fc.oneof(fc.nat(8), fc.nat(2048)) }),
    pageSize: fc.constantFrom(4096, 65536),
  }),
  reaches: ["the same kind", "another kind"],
  check({ image, options, own, serial, changes, vectors, pageSize }, effects) {
    const first = image.config;
    const second = withOwn(changes ? mutated(first, changes) : first, own, serial);
    const context: PlanContext = {
      backend: { regions: regionsByIndex(image) },
      platform: { pageSize },
      options,
      vectors,
    };
    effects.count(new ConfigKind(first).has(second) ? "the same kind" : "another kind");
    for (const bytes of [first, second, first]) {
      expect(outcomeOf(() => planFor(context, configImageOf(bytes)))).toEqual(
        outcomeOf(() => planAttach(context, freshImage(bytes))),
      );
      expect(permissionMap(bytes)).toEqual(makeMap(bytes));
      const one = { ...image, config: bytes };
      expect(hardwareTables(one, kindOf(bytes))).toEqual(makeTables(one, new ConfigKind(bytes)));
    }
  },
});
