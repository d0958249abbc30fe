import { VfioError } from "../../ffi/errors.ts";
import { irqsByIndex, regionsByIndex, type DeviceImage } from "../../image/image.ts";
import { capabilityId, extendedCapabilityId, msixCapability } from "../../regs/index.ts";
import { IrqIndex, irqName, type IrqInfo, type IrqRequest } from "../../regs/vfio/irqs.ts";
import { RegionIndex, type RegionArea, type RegionInfo } from "../../regs/vfio/regions.ts";
import type { DeviceBackend, FeatureSupport, RegionMapping } from "../seam/backend.ts";
import { InspectableBackend } from "../seam/inspect.ts";
import { barsOf } from "../pci/bars.ts";
import { kindOf } from "../pci/config-kind.ts";
import { interruptStatus } from "../pci/header-registers.ts";
import { pendingProblem, physicalGeometry, type MsixArea } from "../pci/msix-geometry.ts";
import type { RecordedAccesses } from "./accesses.ts";
import { FunctionConfig } from "./config.ts";
import { FunctionHardware } from "./hardware.ts";
import { FunctionIrqs } from "./irqs.ts";
import { ioctlFails, refusedAccess } from "./refusals.ts";
import { HiddenTable } from "./hidden-table.ts";
import type { RegionSpaces } from "./region-spaces.ts";
import { configBits, memoryBits } from "./vector-bits.ts";

/** VFIO_DEVICE_FEATURE numbers (linux/vfio.h): the token of a function with virtual ones, and the low power states. */
const vfToken = 0;
const lowPower: readonly number[] = [3, 4, 5];

/** Of the host that these functions are on, and of every mapping. In bytes. */
export const pageSize = 4096;

/**
 * A PCI function as vfio-pci of Linux 6.12 shows it: config space with the kernel's permissions, interrupts on real eventfds,
 * resets, and regions behind which lies what a recording or a model gives. Config bytes that neither a register map nor the
 * image describes cannot be written. Mappings stay readable while memory decoding is off, where the kernel's raise SIGBUS.
 */
export class HostedFunction extends InspectableBackend implements DeviceBackend {
  readonly name: string;
  readonly resettable: boolean;
  readonly regions: readonly RegionInfo[];
  readonly irqs: readonly IrqInfo[];
  /** What was asked of it so far. */
  readonly accesses: RecordedAccesses;
  readonly #hardware: FunctionHardware;
  readonly #config: FunctionConfig;
  readonly #interrupts: FunctionIrqs;
  readonly #spaces: RegionSpaces;
  readonly #ioRegions: ReadonlySet<number>;
  readonly #table: HiddenTable;
  readonly #pba: MsixArea | undefined;
  readonly #hasVirtualFunctions: boolean;
  #lost = 0;
  #closed = false;

  /**
   * A function as its image describes it.
   * @param spaces what lies behind its regions, config space apart; disposed of with the function
   */
  constructor(image: DeviceImage, spaces: RegionSpaces) {
    super();
    this.name = image.bdf;
    this.resettable = image.resettable;
    this.regions = Object.freeze(regionsByIndex(image));
    this.irqs = Object.freeze(irqsByIndex(image));
    this.accesses = {
      reads: this.regions.map(() => 0),
      writes: this.regions.map(() => 0),
      setIrqs: 0,
      resets: 0,
    };
    this.#spaces = spaces;
    this.#interrupts = new FunctionIrqs(this.irqs, {
      msi: configBits(
        () => this.#hardware.config,
        () => this.#config.msiMaskAt,
      ),
      msix: memoryBits(() => {
        const pba = this.#pba;
        return pba && { spaces, region: pba.region, offset: pba.offset };
      }),
    });
    const { bars } = barsOf(image.config, this.regions);
    this.#hardware = new FunctionHardware(image, bars);
    this.#config = new FunctionConfig(this.#hardware, bars, this.irqs[IrqIndex.intx]!.count > 0, {
      reset: () => this.#functionReset(),
      interruptDisable: (disabled) => this.#interrupts.setDisabled(disabled),
      msiMask: () => this.#interrupts.sendHeld(),
    });
    this.#ioRegions = new Set(bars.filter(({ kind }) => kind === "io").map(({ region }) => region));
    const { capabilities } = kindOf(image.config).layout;
    const msix = capabilities.find(
      ({ id, extended, map }) => id === capabilityId.msix && !extended && map.size >= msixCapability.size,
    );
    const geometry = msix && physicalGeometry(image.config, msix);
    // The host keeps the table to itself, wherever the device says that the rest lies.
    this.#table = new HiddenTable(geometry?.table);
    this.#pba = geometry && pendingProblem(geometry, this.regions) === undefined ? geometry.pba : undefined;
    this.#hasVirtualFunctions = capabilities.some(
      ({ id, extended }) => id === extendedCapabilityId.srIov && extended,
    );
  }

  /** Interrupts that nobody heard. */
  get lost(): number {
    return this.#lost;
  }

  /** @throws VfioError: EINVAL outside of the region (EFAULT in config space), EIO where memory decoding is off */
  read(region: number, offset: number, data: Uint8Array): void {
    this.#check("read", region, offset, data.length);
    if (region === RegionIndex.config) this.#config.read(offset, data);
    else if (this.#isSilent(region)) data.fill(0xff);
    else {
      this.#spaces.read(region, offset, data);
      // The kernel keeps its user away from the MSI-X table: reads give ones, writes nothing.
      if (this.#table.isIn(region, offset, data.length))
        data.fill(0xff, ...this.#table.part(offset, data.length));
    }
    this.accesses.reads[region]!++;
  }

  /** @throws VfioError as `read`, and EINVAL for a read-only region */
  write(region: number, offset: number, data: Uint8Array): void {
    this.#check("write", region, offset, data.length);
    if (region === RegionIndex.config) this.#config.write(offset, data);
    else if (!this.#isSilent(region) && !this.#table.isIn(region, offset, data.length))
      this.#spaces.write(region, offset, data);
    else if (!this.#isSilent(region)) {
      const [from, to] = this.#table.part(offset, data.length);
      if (from > 0) this.#spaces.write(region, offset, data.subarray(0, from));
      if (to < data.length) this.#spaces.write(region, offset + to, data.subarray(to));
    }
    this.accesses.writes[region]!++;
  }

  map(region: number, area: RegionArea): RegionMapping {
    const { offset, size } = area;
    const info = this.#open().regions[region];
    const whole = { offset: 0, size: Math.ceil((info?.size ?? 0) / pageSize) * pageSize };
    const inside = (info?.sparse ?? [whole]).some(
      (one) => offset >= one.offset && offset + size <= one.offset + one.size,
    );
    const aligned = offset % pageSize === 0 && size % pageSize === 0 && size > 0;
    const overTable = this.#table.isIn(region, offset, size) && !info?.msixMappable;
    if (!info?.mappable || !inside || !aligned || overTable)
      throw refusedAccess(
        this.name,
        "mmap",
        region,
        offset,
        size,
        "EINVAL",
        "the host does not let this area be mapped",
      );
    return this.#spaces.map(region, area);
  }

  setIrqs(request: IrqRequest): void {
    this.#open();
    const code = this.#interrupts.set(request);
    const { active, vectors } = this.#interrupts.mode;
    this.#config.interruptMode(active, vectors);
    if (code !== undefined) {
      const { index, action, start, data } = request;
      throw ioctlFails(
        this.name,
        `VFIO_DEVICE_SET_IRQS ${irqName(index)} ${action} ${data.kind} start ${start}`,
        code,
      );
    }
    this.accesses.setIrqs++;
  }

  reset(): void {
    this.#open();
    if (!this.resettable) throw ioctlFails(this.name, "VFIO_DEVICE_RESET", "EINVAL");
    this.#functionReset();
  }

  /** What vfio-pci itself knows; migration and the like are of other drivers. */
  probeFeature(feature: number): FeatureSupport | undefined {
    this.#open();
    const known = lowPower.includes(feature) || (feature === vfToken && this.#hasVirtualFunctions);
    return known ? { get: false, set: true } : undefined;
  }

  /**
   * What the device does to interrupt: signals the eventfd of a vector, if the host has been asked for one. A vector that
   * is masked waits, and is sent once it no longer is.
   * @param index one of `IrqIndex` @returns whether somebody hears of it; `lost` counts the others
   */
  raise(index: number, vector: number): boolean {
    this.#open();
    const heard = this.#interrupts.raise(index, vector);
    if (!heard) this.#lost++;
    return heard;
  }

  /** The kind of interrupts that is on, of `IrqIndex`; undefined for none. */
  get activeIrq(): number | undefined {
    return this.#interrupts.mode.active;
  }

  /** Asserts the INTx line, or takes it back: unlike `raise`, it is told again each time that it is unmasked. */
  setIntx(asserted: boolean): void {
    this.#open();
    interruptStatus.write(new DataView(this.#hardware.config.buffer), asserted);
    this.#interrupts.setLine(asserted);
  }

  /** Whether the function may do DMA and send messages: bus master enable as the device has it. */
  get busMaster(): boolean {
    return this.#config.busMasterEnabled;
  }

  /** Does what the kernel would have done by itself: hears of a signalled unmask eventfd. `raise` and requests do so too. */
  poll(): void {
    this.#open().#interrupts.poll();
  }

  /** Frees eventfds, and the memory behind the BARs once the last mapping is disposed of. Safe to call twice. */
  [Symbol.dispose](): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#interrupts[Symbol.dispose]();
    this.#spaces[Symbol.dispose]();
  }

  #functionReset(): void {
    this.#config.awake();
    this.#hardware.reset();
    this.#spaces.restart();
    this.#interrupts.forget();
    this.accesses.resets++;
  }

  /** I/O ports of a device whose I/O enable is off: vfio-pci does not look at it, but the device does not answer. */
  #isSilent(region: number): boolean {
    return this.#ioRegions.has(region) && !this.#config.ioEnabled;
  }

  #open(): this {
    if (this.#closed) throw new VfioError(`${this.name} is closed`, { code: "ECLOSED", device: this.name });
    return this;
  }

  #check(what: "read" | "write", region: number, offset: number, size: number): RegionInfo {
    const info = this.#open().regions[region];
    if (!info || !Number.isInteger(offset) || offset < 0 || offset + size > info.size) {
      const code = region === RegionIndex.config ? "EFAULT" : "EINVAL";
      throw refusedAccess(
        this.name,
        what,
        region,
        offset,
        size,
        code,
        `the region has ${info?.size ?? 0} bytes`,
      );
    }
    if (!(what === "read" ? info.readable : info.writable)) {
      const why = what === "read" ? "the region is not readable" : "the region is read-only";
      throw refusedAccess(this.name, what, region, offset, size, "EINVAL", why);
    }
    const isMemory = region <= RegionIndex.rom && !this.#ioRegions.has(region);
    // What is kept away from the user anyway is not asked of the device.
    if (isMemory && !this.#config.memoryEnabled && this.#table.rest(region, offset, size) > 0)
      throw refusedAccess(this.name, what, region, offset, size, "EIO", "memory decoding is off");
    return info;
  }
}
