import type { KernelDevice } from "../../../../src/device/backends/kernel/kernel-device.ts";
import { RegionIndex } from "../../../../src/regs/vfio/regions.ts";
import type { RecordedDevice } from "../../../../src/device/backends/recorded/recorded-device.ts";
import { layoutOf } from "../../../../src/regs/index.ts";
import { seededRandom } from "../../../support/random.ts";
import { bytes, hex, outcome, Trail } from "./lockstep.ts";

const config = RegionIndex.config;
const widths = [1, 2, 4] as const;

/** Config accesses to a device and to its recording, and where the answers part. */
export class ConfigLockstep {
  readonly #kernel: KernelDevice;
  readonly #recorded: RecordedDevice;
  readonly #size: number;
  /** Dwords that are left alone, in order. */
  readonly #left: readonly number[];
  /** Bytes that accesses go to more often than to others. */
  readonly #hot: readonly number[];
  readonly #differences = new Map<number, string>();
  readonly #trail = new Trail();

  constructor({ kernel, recorded }: { kernel: KernelDevice; recorded: RecordedDevice }) {
    this.#kernel = kernel;
    this.#recorded = recorded;
    this.#size = kernel.regions[config]!.size;
    const now = bytes(this.#size);
    kernel.read(config, 0, now);
    this.#left = leftOut(now);
    this.#hot = described(now);
  }

  /** A line for each dword that differed: how, the first time, and after what. */
  get differences(): string[] {
    return [...this.#differences].sort(([a], [b]) => a - b).map(([, text]) => text);
  }

  /** All of config space, as it reads now. */
  all(): void {
    let from = 0;
    for (const to of [...this.#left, this.#size]) {
      this.#read(from, to - from);
      from = to + 4;
    }
  }

  /** Each dword alone: all ones, zeros, what it held. What that leaves elsewhere the next `all` sees. */
  eachDword(): void {
    for (let offset = 0; offset < this.#size; offset += 4) {
      if (this.#left.includes(offset)) continue;
      const before = bytes(4);
      this.#kernel.read(config, offset, before);
      for (const data of [bytes(4).fill(0xff), bytes(4), before]) {
        this.#write(offset, data);
        this.#read(offset, 4);
      }
    }
    this.all();
  }

  /** @param accesses half of them writes, after each of which the dwords are read that it reached */
  random(seed: number, accesses: number): void {
    const random = seededRandom(seed);
    for (let i = 0; i < accesses; i++) {
      if (i % 500 === 0) this.all();
      const width = random.pick(widths);
      let offset = random.below(10) < 7 ? random.pick(this.#hot) : random.below(this.#size);
      if (random.below(10) < 8) offset -= offset % width;
      if (this.#isLeft(offset, width)) continue;
      if (random.below(2) === 0) {
        this.#read(offset, width);
        continue;
      }
      const data = bytes(width);
      if (random.below(4) > 0) random.fill(data);
      else data[random.below(width)] = 1 << random.below(8);
      this.#write(offset, data);
      for (let at = offset & ~3; at < Math.min(offset + width, this.#size); at += 4)
        if (!this.#isLeft(at, 4)) this.#read(at, 4);
    }
    this.all();
  }

  #isLeft(offset: number, width: number): boolean {
    return this.#left.some((dword) => offset < dword + 4 && dword < offset + width);
  }

  #read(offset: number, width: number): void {
    const [real, ours] = [bytes(width), bytes(width)];
    const kernel = outcome(() => this.#kernel.read(config, offset, real));
    const recorded = outcome(() => this.#recorded.read(config, offset, ours));
    if (!this.#same(`read of ${width} at ${hex(offset)}`, offset, kernel, recorded)) return;
    for (let i = 0; i < width; i++)
      if (real[i] !== ours[i])
        this.#differ(
          offset + i,
          `reads ${hex(real[i]!)} (${width} at ${hex(offset)}), recorded ${hex(ours[i]!)}`,
        );
  }

  #write(offset: number, data: Uint8Array): void {
    this.#trail.add(`${hex(offset)}=${data.toHex()}`);
    const kernel = outcome(() => this.#kernel.write(config, offset, data));
    const recorded = outcome(() => this.#recorded.write(config, offset, data));
    this.#same(`write of ${data.length} at ${hex(offset)}`, offset, kernel, recorded);
  }

  /** @returns whether there is a value to compare */
  #same(what: string, offset: number, kernel: string, recorded: string): boolean {
    if (kernel !== recorded) this.#differ(offset, `${what} gives ${kernel}, recorded ${recorded}`);
    return kernel === "ok" && recorded === "ok";
  }

  #differ(at: number, text: string): void {
    const dword = at & ~3;
    if (!this.#differences.has(dword))
      this.#differences.set(dword, `${hex(at)} ${text} after ${this.#trail}`);
  }
}

/** Bytes of the header and of capabilities. */
function described(now: Uint8Array): number[] {
  const areas = layoutOf(now).capabilities.map(({ offset, map }) => ({
    offset,
    size: Math.min(map.size, 0x60),
  }));
  return [{ offset: 0, size: 64 }, ...areas].flatMap(({ offset, size }) =>
    Array.from({ length: size }, (_, i) => offset + i),
  );
}

/**
 * The dwords that no recording can know: the data register of virtio's configuration access capability (Virtual I/O Device
 * 1.2, 4.1.4.9), which is a window to what a BAR holds; and the one behind an SR-IOV capability, which no register map
 * describes, and which QEMU 10's reset of the capability clears with it (hw/pci/pcie_sriov.c).
 */
function leftOut(now: Uint8Array): number[] {
  const isVirtio = now[0] === 0xf4 && now[1] === 0x1a;
  return layoutOf(now)
    .capabilities.flatMap(({ id, extended, offset, map }) => {
      if (isVirtio && !extended && id === 0x09 && now[offset + 3] === 5) return [offset + 16];
      return extended && id === 0x10 ? [offset + map.size] : [];
    })
    .sort((a, b) => a - b);
}
