// Devices that show their config space in a BAR as well. A guest that reads it there would find the host's addresses, and what
// it writes would go past the model: such places are trapped, and the model answers.
import type { RegionArea } from "../../../regs/vfio/regions.ts";
import { nvidiaVendorId } from "../../../regs/index.ts";
import { hex, intersects } from "../../address/range.ts";
import { barName, type Bar } from "../../pci/bars.ts";
import type { ConfigImage } from "../../pci/config-image.ts";
import { classCode, identity } from "../../pci/header-registers.ts";

/** A place in a BAR where a device shows its config space. */
export interface ConfigMirror {
  /** 0 to 5. */
  readonly bar: number;
  /** In bytes; a multiple of 4. */
  readonly offset: number;
  /** In bytes; a multiple of 4. All of the device's config space without it. */
  readonly size?: number | undefined;
}

/** The same in a region that the device has. */
export interface MirroredArea extends RegionArea {
  /** One of `RegionIndex`. */
  readonly region: number;
}

interface KnownMirror extends ConfigMirror {
  readonly vendorId: number;
  /** Base class and subclass; every device of the vendor without it. */
  readonly class?: readonly [base: number, subclass: number];
  /** Only devices that have no such BAR. */
  readonly without?: number;
}

const vga = [0x03, 0x00] as const;
const atiVendorId = 0x1002;

/** As QEMU has them in hw/vfio/pci-quirks.c; of the devices of a vendor those whose BAR reaches so far. */
const known: readonly KnownMirror[] = [
  { vendorId: nvidiaVendorId, bar: 0, offset: 0x88000 },
  // What VGA firmware uses.
  { vendorId: nvidiaVendorId, class: vga, bar: 0, offset: 0x1800, size: 256 },
  // Those whose registers are in BAR2; later ones have them in BAR5, and doorbells in BAR2.
  { vendorId: atiVendorId, class: vga, without: 5, bar: 2, offset: 0x4000, size: 256 },
];

/** The mirrors of a device that the table knows. */
export function knownMirrors({ view }: ConfigImage, bars: readonly Bar[]): ConfigMirror[] {
  const [base, subclass] = [classCode.base.read(view), classCode.subclass.read(view)];
  const vendor = identity.vendorId.read(view);
  return known
    .filter(
      (row) =>
        row.vendorId === vendor &&
        (row.class === undefined || (row.class[0] === base && row.class[1] === subclass)) &&
        !bars.some(({ region }) => region === row.without),
    )
    .map(({ bar, offset, size }) => ({ bar, offset, ...(size !== undefined && { size }) }))
    .filter((mirror) => misfit(mirror, areaOf(mirror, view.byteLength), bars) === undefined);
}

const areaOf = ({ bar, offset, size }: ConfigMirror, configSize: number): MirroredArea => ({
  region: bar,
  offset,
  size: size ?? configSize,
});

function misfit(
  { bar }: ConfigMirror,
  { offset, size }: MirroredArea,
  bars: readonly Bar[],
): string | undefined {
  const found = bars.find(({ region }) => region === bar);
  if (!found?.kind.startsWith("memory")) return "the device has no such memory BAR";
  return offset + size > found.physicalSize ? `the BAR has ${hex(found.physicalSize)} bytes` : undefined;
}

/**
 * The places of mirrors.
 * @throws RangeError for one that the device cannot have, or that lies over another
 */
export function mirroredAreas(
  mirrors: readonly ConfigMirror[],
  { bytes }: ConfigImage,
  bars: readonly Bar[],
): MirroredArea[] {
  const areas: MirroredArea[] = [];
  for (const mirror of mirrors) {
    const area = areaOf(mirror, bytes.length);
    const range = (one: MirroredArea) => ({ base: one.offset, size: one.size });
    const over = areas.some((one) => one.region === area.region && intersects(range(one), range(area)));
    const why = misfit(mirror, area, bars) ?? (over ? "another lies there" : undefined);
    if (why !== undefined)
      throw new RangeError(
        `"configMirrors": ${hex(area.size)} bytes at ${hex(area.offset)} of ${barName(area.region)}: ${why}`,
      );
    areas.push(area);
  }
  return areas;
}
