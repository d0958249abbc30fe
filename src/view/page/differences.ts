// Two devices beside each other: what differs in config space, field by field, and in what the host says of them.
import { diffConfig, type ConfigDifference } from "../../regs/diff.ts";
import type { DecodedValue } from "../../regs/decode.ts";
import { hex } from "../../regs/hex-text.ts";
import { bytesText } from "../../device/address/size-text.ts";
import { regionName, type RegionInfo } from "../../regs/vfio/regions.ts";
import { irqName } from "../../regs/vfio/irqs.ts";
import type { DeviceData } from "../page-data.ts";
import type { DeviceModel } from "./device-model.ts";
import { el, scrolled, table, type Child } from "./dom.ts";

/** Differences that are listed. */
const most = 1000;

export function differences(left: DeviceModel, right: DeviceModel): Child {
  const rows = [
    ...diffConfig(left.config, right.config).map(configRow),
    ...recordingRows(left.data, right.data),
  ];
  if (rows.length === 0) return el("p", {}, "Nothing differs.");
  const shown = rows.slice(0, most);
  const caption =
    rows.length > most ? `The first ${most} of ${rows.length} differences` : `${rows.length} differences`;
  return scrolled("Differences", table(caption, ["Where", "What", left.data.name, right.data.name], shown));
}

function configRow(difference: ConfigDifference): string[] {
  switch (difference.kind) {
    case "size":
      return ["config space", "size in bytes", String(difference.from), String(difference.to)];
    case "bytes":
      return [hex(difference.offset, 3), "bytes that no register describes", difference.from, difference.to];
    case "field": {
      const { where, label, from, to } = difference;
      const text = (value: DecodedValue | null): string =>
        value === null ? "–" : typeof value === "number" && difference.hex ? hex(value) : String(value);
      return [where, label, text(from), text(to)];
    }
    default: {
      const place = (at: number | null): string => (at === null ? "not there" : `at ${hex(at, 3)}`);
      return [difference.where, "capability", place(difference.from), place(difference.to)];
    }
  }
}

function regionText({
  size,
  readable,
  writable,
  mappable,
  msixMappable,
  sparse = [],
  type,
}: RegionInfo): string {
  const words = [
    bytesText(size),
    readable && "read",
    writable && "write",
    mappable && "mmap",
    msixMappable && "MSI-X mappable",
    type && `type ${hex(type.type)}:${hex(type.subtype)}`,
    ...sparse.map(({ offset, size: bytes }) => `${hex(offset)}+${hex(bytes)}`),
  ];
  return words.filter(Boolean).join(", ");
}

/** Regions and interrupts, each as one text. */
function recordingRows(left: DeviceData, right: DeviceData): string[][] {
  const facts = ({ regions, irqs }: DeviceData): Map<string, string> =>
    new Map([
      ...regions.map((region) => [regionName(region.index), regionText(region)] as const),
      ...irqs.map(({ index, count }) => [irqName(index), String(count)] as const),
    ]);
  const [from, to] = [facts(left), facts(right)];
  return [...new Set([...from.keys(), ...to.keys()])]
    .filter((name) => from.get(name) !== to.get(name))
    .map((name) => [name, "as VFIO tells it", from.get(name) ?? "not there", to.get(name) ?? "not there"]);
}
