// A device attached to a virtual machine in memory, with everything that a test wants to look at.
import { expect } from "bun:test";
import type { IrqRequest } from "../../src/regs/vfio/irqs.ts";
import type { RegionArea } from "../../src/regs/vfio/regions.ts";
import type { DeviceBackend, RegionMapping } from "../../src/device/seam/backend.ts";
import { CountedBackend } from "../../src/device/seam/counted-backend.ts";
import { VfioError } from "../../src/ffi/errors.ts";
import type { DeviceEvent, DeviceEventKind } from "../../src/device/seam/events.ts";
import {
  MemoryPlatform,
  type MemoryPlatformOptions,
} from "../../src/device/platforms/memory/memory-platform.ts";
import type { AttachOptions } from "../../src/device/passthrough/options.ts";
import { RecordedDevice } from "../../src/device/backends/recorded/recorded-device.ts";
import { VfioPciDevice } from "../../src/device/passthrough/vfio-pci-device.ts";
import type { DeviceImage } from "../../src/image/image.ts";
import { syntheticImage, type SyntheticDevice } from "./synthetic-image.ts";

/** One call at the seam. */
export type Call =
  | {
      readonly kind: "read" | "write";
      readonly region: number;
      readonly offset: number;
      readonly size: number;
    }
  | { readonly kind: "map"; readonly region: number; readonly area: RegionArea }
  | { readonly kind: "irqs"; readonly request: IrqRequest }
  | { readonly kind: "reset" }
  | { readonly kind: "close" };

/** A backend around another that notes every call, and fails those that a test names. */
export class WatchedBackend extends CountedBackend {
  readonly calls: Call[] = [];
  fails: (call: Call) => boolean = () => false;
  /** What still shows a range of host memory; `attach` asks the platform. */
  usersOf: (hva: number, size: number) => readonly string[] = () => [];
  /** Mappings that were disposed of. */
  unmapped = 0;
  /** What still showed host memory when that was unmapped: a guest that reaches freed memory. */
  readonly unmappedInUse: string[] = [];

  #note(call: Call): void {
    this.calls.push(call);
    if (this.fails(call))
      throw new VfioError(`${call.kind} fails as told`, { code: "EIO", device: this.name });
  }
  override read(region: number, offset: number, data: Uint8Array): void {
    this.#note({ kind: "read", region, offset, size: data.length });
    super.read(region, offset, data);
  }
  override write(region: number, offset: number, data: Uint8Array): void {
    this.#note({ kind: "write", region, offset, size: data.length });
    super.write(region, offset, data);
  }
  override map(region: number, area: RegionArea): RegionMapping {
    this.#note({ kind: "map", region, area });
    const mapping = super.map(region, area);
    const { hva, size } = mapping;
    return {
      hva,
      size,
      [Symbol.dispose]: () => {
        this.unmapped++;
        this.unmappedInUse.push(...this.usersOf(hva, size));
        mapping[Symbol.dispose]();
      },
    };
  }
  override setIrqs(request: IrqRequest): void {
    this.#note({ kind: "irqs", request });
    super.setIrqs(request);
  }
  override reset(): void {
    this.#note({ kind: "reset" });
    super.reset();
  }
  override [Symbol.dispose](): void {
    this.calls.push({ kind: "close" });
    super[Symbol.dispose]();
  }
  /** From now on all reads give ones and all writes are lost, without an error: a device that fell off the bus. */
  fallOff(): void {
    this.read = (_region, _offset, data) => void data.fill(0xff);
    this.write = () => {};
  }
  /** The interrupt requests so far, oldest first. */
  get irqRequests(): IrqRequest[] {
    return this.calls.flatMap((call) => (call.kind === "irqs" ? [call.request] : []));
  }
}

export interface Attached extends Disposable {
  readonly device: VfioPciDevice;
  readonly platform: MemoryPlatform;
  readonly recorded: RecordedDevice;
  readonly backend: WatchedBackend;
  readonly events: DeviceEvent[];
  /** Events of one kind so far. */
  eventsOf(kind: DeviceEventKind): DeviceEvent[];
}

export interface AttachTest {
  readonly platform?: MemoryPlatformOptions;
  readonly attach?: AttachOptions;
  /** Called before attach: to let calls fail. */
  readonly prepare?: (backend: WatchedBackend, platform: MemoryPlatform) => void;
  /** Instead of a plain attach. */
  readonly snapshot?: unknown;
  /** Called for each event, after it is noted. */
  readonly onEvent?: (event: DeviceEvent) => void;
}

export function attach(what: SyntheticDevice | DeviceImage, test: AttachTest = {}): Attached {
  const image = "config" in what ? what : syntheticImage(what);
  const platform = new MemoryPlatform(test.platform);
  const recorded = new RecordedDevice(image);
  const backend = new WatchedBackend(recorded);
  backend.usersOf = (hva, size) => platform.usersOf(hva, size);
  const events: DeviceEvent[] = [];
  test.prepare?.(backend, platform);
  const onEvent = (event: DeviceEvent): void => {
    events.push(event);
    test.onEvent?.(event);
  };
  const options = { ...test.attach, onEvent };
  const device =
    test.snapshot === undefined
      ? VfioPciDevice.attach(backend, platform, options)
      : VfioPciDevice.restore(backend, platform, test.snapshot, options);
  return {
    device,
    platform,
    recorded,
    backend,
    events,
    eventsOf: (kind) => events.filter((event) => event.kind === kind),
    [Symbol.dispose]() {
      device[Symbol.dispose]();
      expect(backend.unmappedInUse).toEqual([]);
      expect(platform.leaks()).toEqual([]);
      platform[Symbol.dispose]();
    },
  };
}

/** COMMAND bits. */
export const io = 1;
export const memory = 2;
export const master = 4;

/** Little-endian bytes of a number, as a guest's access carries them. */
export function bytesOf(value: number, width: number): Uint8Array {
  const data = new Uint8Array(new ArrayBuffer(width));
  for (let i = 0; i < width; i++) data[i] = Math.floor(value / 2 ** (8 * i)) % 256;
  return data;
}

/** A guest's MMIO read as a number; undefined where the device does not have the address. */
export function mmioRead(device: VfioPciDevice, address: number, width: number): number | undefined {
  const data = new Uint8Array(new ArrayBuffer(width));
  const found = device.mmioRead(address, data);
  return found ? data.reduceRight((value, byte) => value * 256 + byte, 0) : undefined;
}

/** Writes one MSI-X table entry as a driver does: address, data, then the mask bit. */
export function writeVector(
  device: VfioPciDevice,
  table: number,
  vector: number,
  data: number,
  masked = false,
): void {
  const at = table + 16 * vector;
  device.mmioWrite(at, bytesOf(0xfee00000, 4));
  device.mmioWrite(at + 4, bytesOf(0, 4));
  device.mmioWrite(at + 8, bytesOf(data, 4));
  device.mmioWrite(at + 12, bytesOf(masked ? 1 : 0, 4));
}

export type { DeviceBackend };
