// Device images made to measure, for tests of what no recorded device has.
import type { DeviceImage, ImageIrq, ImageRegion } from "../../src/image/image.ts";

export interface SyntheticBar {
  readonly size: number;
  readonly kind?: "io" | "memory32" | "memory64";
  readonly prefetchable?: boolean;
  readonly mappable?: boolean;
  readonly msixMappable?: boolean;
  readonly writable?: boolean;
  readonly sparse?: readonly { offset: number; size: number }[];
}

export interface SyntheticDevice {
  readonly vendorId?: number;
  readonly bars?: Readonly<Record<number, SyntheticBar>>;
  readonly romSize?: number;
  /** INTx pin, 0 for none. */
  readonly pin?: number;
  readonly msi?: {
    readonly log2: number;
    readonly wide?: boolean;
    readonly maskable?: boolean;
    readonly available?: number;
  };
  readonly msix?: {
    readonly vectors: number;
    readonly table: readonly [bar: number, offset: number];
    readonly pba: readonly [bar: number, offset: number];
    readonly available?: number;
    readonly noResize?: boolean;
  };
  /** Power management, PCI Express with function-level reset, and AF. */
  readonly pm?: boolean;
  readonly pcie?: boolean;
  readonly af?: boolean;
  /** IDs of extended capabilities, linked from 0x100 in steps of 0x40. */
  readonly extended?: readonly number[];
  readonly configSize?: 256 | 4096;
  /** Changes the finished config space. */
  readonly patch?: (config: Uint8Array, view: DataView) => void;
}

/** Offsets at which the capabilities of a synthetic device lie. */
export const at = { pm: 0x40, msi: 0x50, msix: 0x70, pcie: 0x80, af: 0xc0 } as const;

export function syntheticImage(device: SyntheticDevice): DeviceImage {
  const configSize = device.configSize ?? 4096;
  const config = new Uint8Array(new ArrayBuffer(configSize));
  const view = new DataView(config.buffer);
  view.setUint16(0x00, device.vendorId ?? 0x1234, true);
  view.setUint16(0x02, 0x5678, true);
  view.setUint32(0x08, 0xff000001, true);
  view.setUint16(0x2c, 0x1234, true);
  view.setUint16(0x2e, 0x1, true);
  config[0x3d] = device.pin ?? 1;
  const regions: ImageRegion[] = [];
  const region = (index: number, size: number, more: Partial<ImageRegion> = {}): void =>
    void regions.push({
      index,
      size,
      readable: true,
      writable: true,
      mappable: false,
      msixMappable: false,
      ...more,
    });
  for (const [index, bar] of Object.entries(device.bars ?? {})) {
    const kind = bar.kind ?? "memory32";
    const low = kind === "io" ? 1 : (kind === "memory64" ? 4 : 0) | (bar.prefetchable ? 8 : 0);
    view.setUint32(0x10 + 4 * Number(index), low, true);
    region(Number(index), bar.size, {
      mappable: bar.mappable ?? kind !== "io",
      msixMappable: bar.msixMappable ?? kind !== "io",
      writable: bar.writable ?? true,
      ...(bar.sparse && { sparse: bar.sparse }),
    });
  }
  if (device.romSize) region(6, device.romSize, { writable: false });
  region(7, configSize);
  const list: number[] = [];
  const capability = (offset: number, id: number, write: () => void): void => {
    list.push(offset);
    config[offset] = id;
    write();
  };
  if (device.pm) capability(at.pm, 0x01, () => view.setUint16(at.pm + 2, 0x0003, true));
  const { msi, msix } = device;
  if (msi)
    capability(at.msi, 0x05, () =>
      view.setUint16(at.msi + 2, (msi.log2 << 1) | (msi.wide ? 0x80 : 0) | (msi.maskable ? 0x100 : 0), true),
    );
  if (msix)
    capability(at.msix, 0x11, () => {
      view.setUint16(at.msix + 2, msix.vectors - 1, true);
      view.setUint32(at.msix + 4, msix.table[1] + msix.table[0], true);
      view.setUint32(at.msix + 8, msix.pba[1] + msix.pba[0], true);
    });
  if (device.pcie)
    capability(at.pcie, 0x10, () => {
      view.setUint16(at.pcie + 2, 0x0002, true);
      view.setUint32(at.pcie + 4, 0x10008000, true);
    });
  if (device.af)
    capability(at.af, 0x13, () => {
      config[at.af + 2] = 6;
      config[at.af + 3] = 3;
    });
  if (list.length > 0) {
    config[0x06]! |= 0x10;
    config[0x34] = list[0]!;
    list.forEach((offset, i) => (config[offset + 1] = list[i + 1] ?? 0));
  }
  const extended = configSize === 4096 ? (device.extended ?? []) : [];
  extended.forEach((id, i) => {
    const offset = 0x100 + 0x40 * i;
    const next = i + 1 < extended.length ? offset + 0x40 : 0;
    view.setUint32(offset, (id | (1 << 16) | (next << 20)) >>> 0, true);
    // Something to see in the body.
    view.setUint32(offset + 4, 0x01010101, true);
  });
  device.patch?.(config, view);
  const irq = (index: number, count: number, more: Partial<ImageIrq> = {}): ImageIrq => ({
    index,
    count,
    eventfd: count > 0,
    maskable: false,
    automasked: false,
    noResize: true,
    ...more,
  });
  return {
    version: 1,
    bdf: "0000:01:00.0",
    config,
    regions,
    irqs: [
      irq(0, config[0x3d] === 0 ? 0 : 1, { maskable: true, automasked: true, noResize: false }),
      irq(1, msi ? (msi.available ?? 2 ** msi.log2) : 0),
      irq(2, msix ? (msix.available ?? msix.vectors) : 0, { noResize: msix?.noResize ?? false }),
      irq(3, 1),
      irq(4, 1),
    ],
    resettable: true,
    host: {},
  };
}
