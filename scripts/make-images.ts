// Builds images/*.json from the recordings in test/data: config space and `resource` as sysfs gave them, and what
// VFIO said of each device; from the recorded guests in test/traces what config space does not show. Run it after a change of the image format: `bun scripts/make-images.ts`.
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import {
  imageFormat,
  irqName,
  parseTrace,
  regionName,
  writeImage,
  type ConfigBits,
  type DeviceImage,
  type ImageIrq,
  type ImageRegion,
} from "../src/image/index.ts";
import { addCapabilities, keptBits } from "./trace-facts.ts";

const root = join(import.meta.dir, "..");
const data = join(root, "test/data");

/** The recorded machine's devices, and what each of them is. */
const devices: Readonly<Record<string, readonly [bdf: string, what: string]>> = {
  edu: ["0000:01:00.0", "QEMU edu, a teaching device with MSI and DMA"],
  nvme: ["0000:02:00.0", "QEMU NVM Express controller"],
  e1000e: ["0000:03:00.0", "Intel 82574L Gigabit Ethernet, as QEMU emulates it"],
  igb: ["0000:04:00.0", "Intel 82576 Gigabit Ethernet with SR-IOV, as QEMU emulates it"],
  "pci-testdev": ["0000:05:00.0", "QEMU PCI test device, no interrupt"],
  "virtio-net": ["0000:06:00.0", "Virtio 1.0 network device"],
  "virtio-blk": ["0000:07:00.0", "Virtio 1.0 block device"],
  xhci: ["0000:08:00.0", "QEMU xHCI USB controller"],
  ahci: ["0000:09:00.0", "Intel ICH9 AHCI SATA controller, as QEMU emulates it"],
};

interface Surveyed {
  readonly driver: string | undefined;
  readonly resettable: boolean;
  readonly regions: ImageRegion[];
  readonly irqs: ImageIrq[];
}

const indexNamed = (name: (index: number) => string, wanted: string): number => {
  for (let index = 0; index < 9; index++) if (name(index) === wanted) return index;
  throw new Error(`the survey names "${wanted}"`);
};

/** Reads the survey of one device: flags are those of linux/vfio.h. An index that VFIO refused is not listed. */
function surveyOf(survey: string, bdf: string): Surveyed {
  const section = survey.split(/^== /m).find((part) => part.startsWith(`group ${bdf} `));
  const flags = /^ {2}device flags (0x[0-9a-f]+)/m.exec(section ?? "");
  if (!section || !flags) throw new Error(`the survey does not have ${bdf}`);
  const driver = /\bdriver (\S+)/.exec(section)![1]!;
  const regions: ImageRegion[] = [];
  for (const [, name, bits, size, rest] of section.matchAll(
    /^ {2}region ([A-Z]\w*): flags (0x[0-9a-f]+) size (0x[0-9a-f]+) (.*)$/gm,
  ))
    regions.push({
      index: indexNamed(regionName, name!),
      size: Number(size),
      readable: (Number(bits) & 1) !== 0,
      writable: (Number(bits) & 2) !== 0,
      mappable: (Number(bits) & 4) !== 0,
      msixMappable: rest!.includes("msix-mappable"),
    });
  const irqs: ImageIrq[] = [];
  for (const [, name, bits, count] of section.matchAll(
    /^ {2}irq ([A-Z]\w*): flags (0x[0-9a-f]+) count (\d+)$/gm,
  ))
    irqs.push({
      index: indexNamed(irqName, name!),
      count: Number(count),
      eventfd: (Number(bits) & 1) !== 0,
      maskable: (Number(bits) & 2) !== 0,
      automasked: (Number(bits) & 4) !== 0,
      noResize: (Number(bits) & 8) !== 0,
    });
  return {
    driver: driver === "null" ? undefined : driver,
    resettable: (Number(flags[1]) & 1) !== 0,
    regions,
    irqs,
  };
}

/** What was seen when each register was written with ones and zeros through vfio-pci, before and after a reset. */
interface Measured {
  /** Dword and mask. */
  readonly readOnlyBits: Readonly<Record<string, string>>;
  readonly keptByReset?: Readonly<Record<string, string>>;
  /** First byte, and the byte after the last. */
  readonly writable: readonly (readonly [start: string, end: string])[];
}

const bitsOf = (masks: Readonly<Record<string, string>> = {}): ConfigBits[] =>
  Object.entries(masks).map(([offset, mask]) => ({ offset: Number(offset), mask: Number(mask) }));

/** One entry an offset, in order. */
function mergeBits(bits: readonly ConfigBits[]): ConfigBits[] {
  const masks = new Map<number, number>();
  for (const { offset, mask } of bits) masks.set(offset, ((masks.get(offset) ?? 0) | mask) >>> 0);
  return [...masks].sort(([a], [b]) => a - b).map(([offset, mask]) => ({ offset, mask }));
}

/** Every image by name. */
export function makeImages(): Map<string, DeviceImage> {
  const survey = readFileSync(join(data, "recordings/vfio-survey.txt"), "utf8");
  const measured = JSON.parse(readFileSync(join(data, "recordings/config-writes.json"), "utf8")) as Record<
    string,
    Measured
  >;
  return new Map(
    Object.entries(devices).map(([name, [bdf, what]]): [string, DeviceImage] => {
      const { driver, resettable, regions, irqs } = surveyOf(survey, bdf);
      const config = new Uint8Array(readFileSync(join(data, "config", `${bdf}.bin`)));
      const trace = parseTrace(readFileSync(join(root, "test/traces", `${name}.txt`), "utf8"));
      const added = addCapabilities(config, trace).map(
        ({ name: capability, offset }) =>
          `${capability} at 0x${offset.toString(16)} is as a guest read it: config space was recorded without it`,
      );
      const host = {
        kernel: "Linux 6.12",
        iommu: "Intel VT-d, emulated by QEMU",
        ...(driver && { driver }),
        notes: [what, ...added],
      };
      const seen = measured[name]!;
      const image: DeviceImage = {
        version: imageFormat,
        bdf,
        config,
        regions,
        irqs,
        readOnlyBits: mergeBits([...keptBits(config, trace), ...bitsOf(seen.readOnlyBits)]),
        writable: seen.writable.map(([start, end]) => ({
          offset: Number(start),
          size: Number(end) - Number(start),
        })),
        ...(seen.keptByReset && { keptByReset: bitsOf(seen.keptByReset) }),
        resettable,
        host,
      };
      return [name, image];
    }),
  );
}

if (import.meta.main)
  for (const [name, image] of makeImages())
    writeFileSync(join(root, "images", `${name}.json`), writeImage(image));
