// What `show --json` prints of a device; its shape is described in docs/show-json.md and changes only with `formatVersion`.
import type { DeviceImage } from "../image/image.ts";
import type { SkippedText } from "../image/lspci-text.ts";
import type { DecodedConfig, DecodeFormat } from "../regs/decode.ts";
import { irqName } from "../regs/vfio/irqs.ts";
import { regionName } from "../regs/vfio/regions.ts";
import type { Input, InputDevice } from "./input.ts";
import { irqWords, regionWords } from "./region-words.ts";

export const deviceJson = (
  kind: Input["kind"],
  device: InputDevice,
  config: DecodedConfig,
  format: DecodeFormat,
): unknown => ({
  bdf: device.bdf ?? null,
  configSize: device.config.length,
  ...(format > 1 && { unknown: device.unknown?.config ?? [] }),
  config,
  ...(format > 1 && { place: placeJson(device) }),
  recording: kind === "image" || kind === "sysfs" ? recordingJson(device.image, format) : null,
});

/** Where the host has a device of its own. */
const placeJson = (device: InputDevice): unknown => {
  const { place } = device;
  // Only of a device of this host is an image at hand.
  return place === undefined
    ? null
    : {
        driver: device.image.host.driver ?? null,
        iommuGroup: place.iommuGroup ?? null,
        numaNode: place.numaNode ?? null,
      };
};

const recordingJson = (
  { regions, irqs, unknown, resettable, host }: DeviceImage,
  format: DecodeFormat,
): unknown => ({
  regions: regions.map((region) => ({
    index: region.index,
    name: regionName(region.index),
    size: region.size,
    flags: regionWords(region),
    msixMappable: region.msixMappable,
    sparse: region.sparse ?? null,
    type: region.type ?? null,
    recordedBytes: (region.contents ?? []).reduce((total, { bytes }) => total + bytes.length, 0),
  })),
  irqs: irqs.map((irq) => ({
    index: irq.index,
    name: irqName(irq.index),
    count: irq.count,
    flags: irqWords(irq),
  })),
  ...(format > 1 && { unknownIrqs: (unknown?.irqs ?? []).map(irqName) }),
  resettable,
  host,
});

/** How much of a text was left out. */
export const skippedJson = ({ lines, rows, cut, withoutRows, devices, repeated }: SkippedText): unknown => ({
  lines: lines.count,
  rows: rows.count,
  cutRows: cut.count,
  devicesWithoutRows: withoutRows.count,
  devices: devices.count,
  repeated: repeated.count,
});
