import { formatBdf, parseBdf } from "../regs/bdf.ts";
import { readsAllOnes } from "../regs/answers.ts";
import { layoutOf, type ConfigLayout } from "../regs/layout.ts";
import { msi32 } from "../regs/maps/msi.ts";
import { msixCapability } from "../regs/maps/msix.ts";
import { imageError } from "./error.ts";
import { irqLimit } from "../regs/vfio/irqs.ts";
import { regionName } from "../regs/vfio/regions.ts";
import {
  configSizes,
  imageFormat,
  knownConfig,
  newestFormat,
  type DeviceImage,
  type ImageArea,
  type ImageHost,
  type ImageIrq,
  type ImageRegion,
} from "./image.ts";
import { hexDigits } from "../regs/hex-text.ts";

const headerSize = 64;
/** The interrupt indexes that capabilities tell of: MSI, MSI-X, errors. */
const toldByCapabilities: readonly number[] = [1, 2, 3];

/** A BAR or the ROM as config space shows it, without its size. */
export interface BarKind {
  /** Region index: 0 to 5, or 6 for the ROM. */
  readonly index: number;
  /** Whether it decodes I/O ports. */
  readonly io: boolean;
  /** The next BAR holds its upper half. */
  readonly wide: boolean;
}

/** @throws ImageError unless there are 64, 256 or 4096 bytes */
export function checkConfigSize(config: Uint8Array): void {
  if (!configSizes.includes(config.length))
    throw imageError(
      `${config.length} bytes of config space; a recording has 64, 256 or 4096, so this one is cut off or something else`,
    );
}

/**
 * Why no image can be made of a config space of which `known` bytes are known: what a device that is replayed has there has to be
 * known. Undefined where one can.
 */
export const headerFault = (known: Uint8Array): string | undefined =>
  known.length < headerSize
    ? `only ${known.length} bytes of its header of ${headerSize} are known, and an image has all of them`
    : undefined;

/** The BARs whose register is not 0, and the ROM likewise. One that was never given an address may be missed. */
export function barsOf(config: Uint8Array, layout: ConfigLayout = layoutOf(config)): BarKind[] {
  const registers = layout.header?.registers ?? {};
  const memory = new DataView(config.buffer, config.byteOffset, config.byteLength);
  const bars: BarKind[] = [];
  for (let index = 0; index < 6; index++) {
    const register = registers[`bar${index}`];
    if (!register) break;
    const low = memory.getUint32(register.at, true);
    if (low === 0) continue;
    // Bit 0: I/O space; bits 2:1 of a memory BAR: 2 for 64 bits (PCI Express Base Specification 7.5.1.2.1).
    const io = (low & 1) !== 0;
    const wide = !io && (low & 6) === 4;
    bars.push({ index, io, wide });
    if (wide) index++;
  }
  const rom = registers["rom"];
  if (rom && memory.getUint32(rom.at, true) !== 0) bars.push({ index: 6, io: false, wide: false });
  return bars;
}

/** Where the MSI-X table lies and how many vectors it has; undefined without the capability. */
export function msixOf(
  config: Uint8Array,
  layout: ConfigLayout = layoutOf(config),
): { readonly bar: number; readonly vectors: number } | undefined {
  const found = layout.capabilities.find(({ map }) => map.name === msixCapability.name);
  if (!found) return undefined;
  const view = msixCapability.view(memoryOf(config), found.offset);
  return { bar: view.tableBir, vectors: view.controlTableSize + 1 };
}

const memoryOf = (config: Uint8Array): DataView =>
  new DataView(config.buffer, config.byteOffset, config.byteLength);

/**
 * Whether vfio-pci offers the error interrupt on every function: Linux 7.3 does, 6.12 on those of PCI Express alone
 * (drivers/vfio/pci/vfio_pci_core.c, vfio_pci_get_irq_count).
 * @param kernel as in {@link ImageHost}
    ...(some && { unknown }),
 */
function offersErrorsEverywhere(kernel = ""): boolean {
  const [, major, minor] = /^Linux (\d+)\.(\d+)/.exec(kernel) ?? [];
  return Number(major) > 7 || (Number(major) === 7 && Number(minor) >= 3);
}

/**
 * The interrupt indexes that Linux's vfio-pci would offer: INTx by the interrupt pin, MSI by the vectors that it
 * asks for, MSI-X by its table, errors by the kernel, requests always (drivers/vfio/pci/vfio_pci_core.c).
 * @param kernel as in {@link ImageHost}: one before Linux 7.3 unless given
 */
export function irqsOf(
  config: Uint8Array,
  layout: ConfigLayout = layoutOf(config),
  kernel?: string,
): ImageIrq[] {
  const found = layout.capabilities.find(({ extended, id, map }) => !extended && id === 0x05 && map.size > 2);
  const asked = found ? 2 ** ((msi32.view(memoryOf(config), found.offset).control >>> 1) & 7) : 0;
  const express = layout.capabilities.some(({ extended, id }) => !extended && id === 0x10);
  const pin = layout.header?.registers["interruptPin"];
  const edge = { eventfd: true, maskable: false, automasked: false };
  const intx: ImageIrq[] = [
    {
      index: 0,
      count: pin && config[pin.at] !== 0 ? 1 : 0,
      eventfd: true,
      maskable: true,
      automasked: true,
      noResize: false,
    },
  ];
  const errors = { index: 3, count: 1, ...edge, noResize: true };
  const requests = { index: 4, count: 1, ...edge, noResize: true };
  const everywhere = offersErrorsEverywhere(kernel);
  if (config.length === headerSize) return [...intx, ...(everywhere ? [errors] : []), requests];
  return [
    ...intx,
    { index: 1, count: Math.min(asked, irqLimit(1)), ...edge, noResize: true },
    // Since Linux 6.5 vectors of MSI-X come and go one by one where there is MSI-X at all.
    { index: 2, count: msixOf(config, layout)?.vectors ?? 0, ...edge, noResize: !msixOf(config, layout) },
    ...(express || everywhere ? [errors] : []),
    requests,
  ];
}

/** The config space region; an image with the header alone stands for a space of 256 bytes. */
export const configRegion = (config: Uint8Array): ImageRegion => ({
  index: 7,
  size: Math.max(256, config.length),
  readable: true,
  writable: true,
  mappable: false,
  msixMappable: false,
});

/** As `40-4f, 80-ff`. */
export function areasText(areas: readonly ImageArea[]): string {
  const digits = (value: number): string => hexDigits(value, 2);
  const shown = areas
    .slice(0, 16)
    .map(({ offset, size }) => `${digits(offset)}-${digits(offset + size - 1)}`);
  return shown.join(", ") + (areas.length > 16 ? ` and ${areas.length - 16} more` : "");
}

/**
 * Puts an image together from its parts. Whether a reset works cannot be seen in config space: it is assumed, but of a
 * device that does not answer.
 */
export function assemble(
  bdf: string,
  config: Uint8Array,
  regions: readonly ImageRegion[],
  host: ImageHost,
  layout: ConfigLayout,
  unknownBytes: readonly ImageArea[] = [],
): DeviceImage {
  const notes = new Set(host.notes ?? []);
  const headerOnly = config.length === headerSize;
  if (headerOnly)
    notes.add("only the first 64 bytes of config space were recorded: capabilities are unknown");
  if (unknownBytes.length > 0)
    notes.add(`bytes of config space that are unknown, and 0 here: ${areasText(unknownBytes)}`);
  const irqs = irqsOf(config, layout, host.kernel);
  const unknown = {
    ...(unknownBytes.length > 0 && { config: unknownBytes }),
    ...(headerOnly && {
      irqs: toldByCapabilities.filter((index) => irqs.every((irq) => irq.index !== index)),
    }),
  };
  const some = unknownBytes.length > 0 || headerOnly;
  const gone = readsAllOnes(config, unknownBytes);
  if (gone) notes.add("the device did not answer when it was recorded: config space read all ones");
  return {
    version: some ? newestFormat : imageFormat,
    bdf: formatBdf(parseBdf(bdf)),
    config: config.slice(),
    regions: [...regions, configRegion(config)],
    irqs,
    ...(some && { unknown }),
    resettable: !gone,
    host: { ...host, ...(notes.size > 0 && { notes: [...notes] }) },
  };
}

/**
 * The image of a device of which there is config space alone, as in an lspci dump. Regions that it shows have
 * size 0, and a note says so: nothing in config space tells the size of a BAR without writing to it.
 * @param config 64, 256 or 4096 bytes
 * @param unknown bytes of them that are 0 because nobody read them; in order, apart from each other
 * @throws ImageError for another size, or for a header that is not known to its end; RangeError for a bad BDF
 */
export function imageFromConfig(
  bdf: string,
  config: Uint8Array,
  host: ImageHost = {},
  unknown: readonly ImageArea[] = [],
): DeviceImage {
  checkConfigSize(config);
  const fault = headerFault(knownConfig(config, unknown));
  if (fault !== undefined) throw imageError(fault);
  const layout = layoutOf(knownConfig(config, unknown), unknown);
  const msix = msixOf(config, layout);
  const regions = barsOf(config, layout).map(({ index, io }): ImageRegion => ({
    index,
    size: 0,
    readable: true,
    writable: index < 6,
    mappable: index < 6 && !io,
    msixMappable: index < 6 && !io && msix?.bar === index,
  }));
  const names = regions.map(({ index }) => regionName(index)).join(", ");
  const notes = [
    ...(host.notes ?? []),
    ...(names ? [`sizes of ${names} are unknown: config space alone does not tell them`] : []),
  ];
  return assemble(bdf, config, regions, { ...host, ...(notes.length > 0 && { notes }) }, layout, unknown);
}
