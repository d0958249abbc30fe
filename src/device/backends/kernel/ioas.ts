import { VfioError } from "../../../ffi/errors.ts";
import { FileDescriptor } from "../../../ffi/file-descriptor.ts";
import { pageSize } from "../../../ffi/page-size.ts";
import { getHardwareInfo, type HardwareInfo } from "../../../ffi/iommufd-hardware.ts";
import { exact } from "../../../ffi/ioctl.ts";
import { allocIoas, allowIovas, destroyObject, getIovaRanges } from "../../../ffi/iommufd-ioas.ts";
import { knowsMapFile, mapIoas, mapIoasFile, unmapIoas } from "../../../ffi/iommufd-map.ts";
import { iommuIoasMapFlag } from "../../../regs/ioctl/iommufd-ioas.ts";
import { DmaMap } from "../../dma/dma-map.ts";
import type { Iommu, IommuMapping } from "../../seam/iommu.ts";
import { rangeEnd, type Range } from "../../address/range.ts";
import { thisHost, type Sysroot } from "../../host/sysroot.ts";
import { iommufdNode } from "../../host/vfio-nodes.ts";
import { openHint } from "./open-hints.ts";
import { toRanges } from "./iova-ranges.ts";
import { lockableBytes, memlockAccount } from "./memlock.ts";
import { mapHint, unmapHint } from "../../dma/map-hints.ts";
import { SharedLifetime } from "./shared-lifetime.ts";

const everything = 2n ** 64n - 1n;

/** How to open an iommufd. */
export interface IommufdOptions {
  /** A descriptor of an iommufd, which stays the caller's; else `/dev/iommu` is opened. */
  readonly fd?: number | undefined;
  /** Whose iommufd; this host's without it. */
  readonly host?: Sysroot | undefined;
}

/** An iommufd: where address spaces and devices live. `dispose` closes it once the last address space is gone. */
export class Iommufd implements Disposable {
  /** The host whose iommufd it is. */
  readonly host: Sysroot;
  readonly #descriptor: FileDescriptor;
  readonly #life: SharedLifetime;

  private constructor(descriptor: FileDescriptor, host: Sysroot) {
    this.#descriptor = descriptor;
    this.host = host;
    this.#life = new SharedLifetime(
      () => "iommufd",
      () => descriptor[Symbol.dispose](),
    );
  }

  /** Opens one. @param options what to open @throws VfioError ENOENT where the kernel has none */
  static open({ fd, host = thisHost }: IommufdOptions = {}): Iommufd {
    return new Iommufd(
      fd === undefined
        ? FileDescriptor.open(host.at(iommufdNode), {
            name: "iommufd",
            hint: (code) => openHint(host, undefined, iommufdNode, code),
          })
        : FileDescriptor.duplicate(fd, "iommufd"),
      host,
    );
  }

  /** @throws VfioError (`ECLOSED`) once it is closed */
  get fd(): number {
    return this.#descriptor.fd;
  }

  /** Keeps it open. @returns what ends that @throws VfioError (`ECLOSED`) */
  enter(): () => void {
    return this.#life.acquire();
  }

  /** What the IOMMU behind a device can do. @param device `iommufdDevice` of an open device */
  hardwareInfo(device: number): HardwareInfo {
    return getHardwareInfo(this.fd, device, undefined, { device: "iommufd" });
  }

  /** Closes it, at once or when its last address space is gone. */
  [Symbol.dispose](): void {
    this.#life.release();
  }
}

/**
 * An address space of an iommufd. Devices that are attached to it share its mappings, which stay when they leave.
 * `dispose` refuses new devices at once, and destroys it when the last device has left.
 */
export class Ioas implements Iommu {
  /** The iommufd whose address space it is; it stays open as long as that. */
  readonly iommufd: Iommufd;
  /** In its iommufd. */
  readonly id: number;
  readonly mapsFiles: boolean;
  readonly accountsMemlock = true;
  readonly maxMappings = undefined;
  readonly mapsDeviceMemory = false;
  readonly exclusive = true;
  /** What is mapped in it, for all of its devices. */
  readonly dma: DmaMap;
  readonly #life: SharedLifetime;
  #closed = false;
  /** As the devices that are in it now leave them. */
  #allowed: { readonly pageSize: number; readonly ranges: readonly Range[] } | undefined;

  private constructor(iommufd: Iommufd, id: number, leave: () => void) {
    this.iommufd = iommufd;
    this.id = id;
    this.mapsFiles = knowsMapFile(iommufd.fd);
    const account = memlockAccount(iommufd.fd);
    this.dma = new DmaMap(this, { lockable: () => lockableBytes(account) });
    this.#life = new SharedLifetime(
      () => this.name,
      () => {
        using order = new DisposableStack();
        order.defer(leave);
        order.defer(() => {
          this.#closed = true;
          this.dma.forget();
          destroyObject(iommufd.fd, id, { device: this.name });
        });
        order.use(this.dma);
      },
    );
  }

  /** An address space in an iommufd of its own, which is closed with it. @throws VfioError */
  static open(options: IommufdOptions = {}): Ioas {
    using iommufd = Iommufd.open(options);
    return Ioas.alloc(iommufd);
  }

  /** One more address space in an iommufd. @throws VfioError */
  static alloc(iommufd: Iommufd): Ioas {
    const leave = iommufd.enter();
    using failed = new DisposableStack();
    failed.defer(leave);
    const id = allocIoas(iommufd.fd, { device: "iommufd" });
    const ioas = new Ioas(iommufd, id, leave);
    failed.move();
    return ioas;
  }

  get name(): string {
    return `IOAS ${this.id}`;
  }
  /** The files that its iommufd was found by. */
  get host(): Sysroot {
    return this.iommufd.host;
  }

  /** Keeps it while a device is attached. @returns what ends that @throws VfioError (`ECLOSED`) */
  enter(): () => void {
    const leave = this.#life.acquire();
    this.#allowed = undefined;
    return () => {
      this.#allowed = undefined;
      leave();
    };
  }

  /** The iommufd's descriptor, while this is there: until `dispose`, or until the last device leaves after it. */
  #fd(): number {
    if (this.#closed) throw new VfioError(`${this.name} is closed`, { code: "ECLOSED", device: this.name });
    return this.iommufd.fd;
  }

  #iovas(): { readonly pageSize: number; readonly ranges: readonly Range[] } {
    const fd = this.#fd();
    if (this.#allowed) return this.#allowed;
    const { alignment, ranges } = getIovaRanges(fd, this.id, { device: this.name });
    // An IOAS that no device is in yet has no opinion; and memory is pinned by whole pages of the host.
    this.#allowed = { pageSize: Math.max(pageSize(), alignment), ranges: toRanges(ranges) };
    return this.#allowed;
  }
  get pageSize(): number {
    return this.#iovas().pageSize;
  }
  get ranges(): readonly Range[] {
    return this.#iovas().ranges;
  }

  /** Keeps these IOVAs usable: a device that reserves some of them cannot join. @throws VfioError */
  allow(ranges: readonly Range[]): void {
    this.#allowed = undefined;
    const spans = ranges.map((range) => ({ first: BigInt(range.base), last: BigInt(rangeEnd(range) - 1) }));
    allowIovas(this.#fd(), this.id, spans, { device: this.name });
  }

  map({ iova, size, hva, readable, writable, file }: IommuMapping): void {
    const flags =
      iommuIoasMapFlag.FIXED_IOVA |
      (readable ? iommuIoasMapFlag.READABLE : 0) |
      (writable ? iommuIoasMapFlag.WRITEABLE : 0);
    const context = { device: this.name, hint: mapHint };
    if (file) mapIoasFile(this.#fd(), this.id, flags, file.fd, file.offset, size, iova, context);
    else mapIoas(this.#fd(), this.id, flags, hva, size, iova, context);
  }

  /** @throws VfioError ENOENT where nothing is mapped, or a part of a mapping alone lies in the range */
  unmap(iova: number, size: number): number {
    return this.#unmap(iova, size);
  }
  /** Takes back every mapping of the IOAS. @returns bytes unmapped @throws VfioError of the kernel */
  unmapAll(): number {
    return this.#unmap(0, everything);
  }

  #unmap(iova: number, size: number | bigint): number {
    const context = { device: this.name, hint: unmapHint };
    return exact(unmapIoas(this.#fd(), this.id, iova, size, context), "the size that was unmapped");
  }

  /** Refuses new devices; it is destroyed with the last device. Safe to call twice. */
  [Symbol.dispose](): void {
    this.#life.release();
  }
}
