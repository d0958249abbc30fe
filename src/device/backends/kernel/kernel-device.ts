import { VfioError } from "../../../ffi/errors.ts";
import type { ListenOptions } from "../../../ffi/eventfd-listener.ts";
import type { FileDescriptor } from "../../../ffi/file-descriptor.ts";
import { pageSize } from "../../../ffi/page-size.ts";
import { getFeature, probeFeature, setFeature } from "../../../ffi/vfio-feature.ts";
import { exportDmaBuf } from "../../../ffi/vfio-dma-buf.ts";
import { IrqSetBuffer } from "../../../ffi/vfio-irqs.ts";
import { resetDevice } from "../../../ffi/vfio-reset.ts";
import type { DeviceInfo } from "../../../ffi/vfio-device.ts";
import type { DeviceRegionInfo } from "../../../ffi/vfio-region.ts";
import { RegionIndex, regionName, type RegionArea } from "../../../regs/vfio/regions.ts";
import { vfioFeature } from "../../../regs/ioctl/vfio-feature.ts";
import type { IrqInfo, IrqRequest } from "../../../regs/vfio/irqs.ts";
import type { DeviceBackend, FeatureSupport } from "../../seam/backend.ts";
import type { DmaMap } from "../../dma/dma-map.ts";
import { InspectableBackend } from "../../seam/inspect.ts";
import type { Iommu } from "../../seam/iommu.ts";
import type { DeviceApi } from "./choose-api.ts";
import { readFacts } from "./device-info.ts";
import { DeviceNotices, type DeviceNotice } from "./device-notices.ts";
import { readFeatures, type FeatureReport } from "./features.ts";
import { nothingToMap, regionMapHint } from "./open-hints.ts";
import { doHotReset, hotResetReport, type HotResetReport, type HotResetTarget } from "./hot-reset.ts";
import type { OpenedDevice } from "./opened-device.ts";
import type { PhysicalMemory } from "./physical-memory.ts";
import { requestIrqs } from "./irq-request.ts";
import { interruptSelfTest, type InterruptSelfTestResult } from "./interrupt-self-test.ts";
import { readRegion, writeRegion } from "./region-access.ts";
import { KernelMapping } from "./region-mapping.ts";
import { resetMethods, setResetMethods } from "./reset-methods.ts";
import { Vectors } from "./vectors.ts";
import { tokenBytes } from "./vf-token.ts";
import { aliveOffset, answerBy, defaultResetTimeout, waitAlive } from "./wait-ready.ts";

/**
 * A device of this host, through Linux's VFIO. Every access is one system call.
 *
 * `read` and `write` never end the process: where memory decoding is off they throw EIO. A mapping does: what touches it
 * while decoding is off, in D3hot or across a reset gets a SIGBUS, which no handler turns into an error. `KernelDevice`
 * does not guard raw mappings; `VfioPciDevice` withdraws them from its guest before it lets that happen.
 */
export class KernelDevice extends InspectableBackend implements DeviceBackend {
  readonly name: string;
  /** How it was opened. */
  readonly api: DeviceApi;
  /** Why so: what was looked for, found and missed, a line each. */
  readonly explain: readonly string[];
  /** What the kernel told of it when it was opened. */
  readonly info: DeviceInfo;
  readonly regions: readonly DeviceRegionInfo[];
  readonly irqs: readonly IrqInfo[];
  /**
   * What memory its DMA reaches, shared with the devices in the same container or IOAS; undefined without IOMMU, and for a
   * device that came in as a descriptor alone.
   */
  readonly dma: DmaMap | undefined;
  /**
   * Memory by its true addresses, for a driver of a device without IOMMU; undefined with one, and where the kernel does not tell:
   * before Linux 7.3, and for a device that was opened through its group.
   */
  readonly physical: PhysicalMemory | undefined;
  /** Its id in the iommufd; undefined where it was opened through a group. */
  readonly iommufdDevice: number | undefined;
  readonly #opened: OpenedDevice;
  readonly #descriptor: FileDescriptor;
  readonly #irqBuffer: IrqSetBuffer;
  readonly #mappings = new Set<KernelMapping>();
  readonly #notices: DeviceNotices;
  #hasDmaBufs: boolean | undefined;

  /** Takes over an opened device, and closes it should that fail. @throws VfioError @internal */
  constructor(opened: OpenedDevice) {
    super();
    this.#opened = opened;
    this.#descriptor = opened.descriptor;
    this.name = opened.bdf;
    this.api = opened.api;
    this.explain = opened.explain;
    this.dma = opened.dma;
    this.physical = opened.physical;
    this.iommufdDevice = opened.iommufdDevice;
    using failed = new DisposableStack();
    failed.defer(opened.release);
    failed.use(opened.descriptor);
    if (opened.detach) failed.defer(opened.detach);
    const { info, regions, irqs } = readFacts(this.fd, this.name);
    this.info = info;
    this.regions = Object.freeze(regions);
    this.irqs = Object.freeze(irqs);
    this.#irqBuffer = new IrqSetBuffer(Math.min(0xffff, Math.max(...irqs.map(({ count }) => count))));
    this.#notices = new DeviceNotices(this);
    failed.move();
  }

  /** The device's descriptor, open until `dispose`; for what is not here. @throws VfioError (`ECLOSED`) afterwards */
  get fd(): number {
    return this.#descriptor.fd;
  }
  /** What maps below `dma`, which does not know what is mapped here; undefined without IOMMU. */
  get iommu(): Iommu | undefined {
    return this.dma?.iommu;
  }
  get resettable(): boolean {
    return this.info.resettable;
  }

  /** One pread(2). @throws VfioError EINVAL outside of the region (EFAULT in config space), EIO where the device does not decode */
  read(region: number, offset: number, data: Uint8Array): void {
    readRegion(this, region, offset, data);
  }
  /** One pwrite(2). @throws VfioError as `read`, and EINVAL for a region that is read-only */
  write(region: number, offset: number, data: Uint8Array): void {
    writeRegion(this, region, offset, data);
  }

  /**
   * Maps an area, at an address where the kernel can use huge pages. See the class for what a mapping risks.
   * It is unmapped with the device at the latest. @throws VfioError EINVAL for what the kernel does not let be mapped
   */
  map(region: number, area: RegionArea): KernelMapping {
    const fd = this.fd;
    const info = this.regions[region];
    const ok =
      info?.mappable === true &&
      Number.isSafeInteger(area.offset) &&
      Number.isSafeInteger(area.size) &&
      area.offset >= 0;
    if (!ok || area.size < 1 || area.offset + area.size > Math.ceil(info.size / pageSize()) * pageSize())
      throw new VfioError(
        `${this.name}: ${regionName(region)} has nothing to map at ${area.offset} size ${area.size}: mmap fails with EINVAL`,
        { code: "EINVAL", errno: 22, syscall: "mmap", device: this.name, hint: nothingToMap },
      );
    const mapping = new KernelMapping({
      mapping: {
        device: this.name,
        name: `${this.name} ${regionName(region)}`,
        fd,
        offset: info.offset + area.offset,
        size: area.size,
        access: info.writable ? "rw" : "r",
        hint: regionMapHint,
      },
      exportDmaBuf: () => {
        this.#hasDmaBufs ??= this.probeFeature(vfioFeature.DMA_BUF)?.get ?? false;
        return this.#hasDmaBufs ? exportDmaBuf(fd, region, area, { device: this.name }) : undefined;
      },
      onDispose: (gone) => void this.#mappings.delete(gone),
    });
    this.#mappings.add(mapping);
    return mapping;
  }

  /** VFIO_DEVICE_SET_IRQS. @throws VfioError; ENOSPC where the host has fewer vectors left: then none is on */
  setIrqs(request: IrqRequest): void {
    const device = { fd: this.fd, bdf: this.name, host: this.#opened.host, irqs: this.irqs };
    requestIrqs(device, request, this.#irqBuffer);
  }

  /**
   * Resets the function, and waits until it answers again (1 s, unless `openDevice` was told otherwise).
   * @throws VfioError EINVAL where it cannot be reset alone, ETIMEDOUT where it does not come back
   */
  reset(): void {
    resetDevice(this.fd, {
      device: this.name,
      hint: (code) =>
        code === "EAGAIN"
          ? "The host has it locked: its driver is being taken from it (close it), or another reset is under way (try again)."
          : `Ways to reset it: ${this.resetMethods.join(", ") || "none"}. A hot reset resets the whole bus: hotReset().`,
    });
    this.#waitAlive();
  }

  /** How the kernel resets the function, in the order in which it tries: `flr`, `pm`, `bus`. */
  get resetMethods(): string[] {
    return resetMethods(this.#opened.host, this.name);
  }
  /** Chooses of them, for everybody and until the host boots again. @throws VfioError where sysfs does not take it */
  set resetMethods(methods: readonly string[]) {
    setResetMethods(this.#opened.host, this.name, methods);
  }

  /** Which functions a hot reset would reach, who has them, and whether it is possible. @throws VfioError */
  hotResetReport(): HotResetReport {
    return hotResetReport(this.#hotResetTarget());
  }
  /** Resets the bus or slot with every function on it, and waits as `reset`. @throws VfioError EPERM where one is not ours */
  hotReset(): void {
    doHotReset(this.#hotResetTarget());
    this.#waitAlive();
  }
  #hotResetTarget(): HotResetTarget {
    const { host, container } = this.#opened;
    return { fd: this.fd, bdf: this.name, host, container };
  }

  #waitAlive(): void {
    const read = (data: Uint8Array): void => this.read(RegionIndex.config, aliveOffset, data);
    waitAlive(this.name, answerBy(read), this.#opened.resetTimeout ?? defaultResetTimeout);
  }

  probeFeature(feature: number): FeatureSupport | undefined {
    return probeFeature(this.fd, feature);
  }
  /** Every feature that Linux has, and whether this device does; none is used. @throws VfioError */
  features(): FeatureReport {
    return readFeatures(this.fd, this.name);
  }
  /** Gets a VFIO_DEVICE_FEATURE. @param data the feature's struct; filled @throws VfioError */
  getFeature(feature: number, data: Uint8Array): number {
    return getFeature(this.fd, feature, data, { device: this.name });
  }
  /** Sets a VFIO_DEVICE_FEATURE. @param data the feature's struct, where it has one @throws VfioError */
  setFeature(feature: number, data?: Uint8Array): number {
    return setFeature(this.fd, feature, data, { device: this.name });
  }
  /** Sets the token that users of this function's virtual ones must know. @param token a UUID @throws VfioError */
  setVfToken(token: string): void {
    this.setFeature(vfioFeature.PCI_VF_TOKEN, tokenBytes(token));
  }

  /** Raises every vector through the kernel and looks where it arrives. Interrupts must be off, and are off afterwards. */
  selfTest(limit?: number): InterruptSelfTestResult[] {
    try {
      return interruptSelfTest(this, limit);
    } finally {
      this.#notices.rearm();
    }
  }

  /** Its MSI or MSI-X vectors, for a driver. @param index one of `IrqIndex` @throws VfioError for a device that has none */
  vectors(index: number): Vectors {
    return new Vectors(this, index);
  }

  /**
   * Calls back on the event loop when the device has an error, or when the host wants it back and waits for it to be closed.
   * The host asks again every 10 s, so who listens later hears of it, too; an error is told once.
   * @param options the process does not live on for it, unless `keepAlive` is set
   * @returns what ends it; it ends with the device at the latest
   * @throws VfioError EOPNOTSUPP for a device that does not tell
   */
  on(notice: DeviceNotice, callback: () => void, options: ListenOptions = { keepAlive: false }): Disposable {
    return this.#notices.on(notice, callback, options);
  }

  /** Unmaps what is mapped, closes the device, and leaves its group or address space. Safe to call twice. */
  [Symbol.dispose](): void {
    if (this.#descriptor.closed) return;
    using order = new DisposableStack();
    order.defer(this.#opened.release);
    order.use(this.#descriptor);
    if (this.#opened.detach) order.defer(this.#opened.detach);
    // A mapping left behind would keep the device open, and with it the group.
    for (const mapping of [...this.#mappings]) order.use(mapping);
    order.use(this.#notices);
  }
}
