import { attachDevice, type AttachedDevice } from "./attach.ts";
import { inspectCustom } from "../../regs/inspect.ts";
import type { DeviceBackend } from "../seam/backend.ts";
import { DecodeControl } from "./decoding.ts";
import { command } from "../pci/header-registers.ts";
import { GuestConfig } from "./guest-config.ts";
import { BarAccess } from "./bars/bar-access.ts";
import { GuestAnswers } from "../seam/guest-answers.ts";
import { hostAddressOf } from "./bars/host-address.ts";
import { BusAccess } from "./bars/bus-access.ts";
import { describe, factsOf, type DeviceDescription } from "./describe.ts";
import { VfioError } from "../../ffi/errors.ts";
import { eventReporter } from "../seam/events.ts";
import { StandingFault } from "../seam/standing-fault.ts";
import { TracedBackend } from "../seam/traced-backend.ts";
import { tracedPlatform } from "../seam/traced-platform.ts";
import { tracedDevice } from "./traced-device.ts";
import { TraceKind, type Tracer } from "../seam/trace.ts";
import { checkOptions, type AttachOptions } from "./options.ts";
import type { Platform } from "../seam/platform.ts";
import {
  applySnapshot,
  restoring,
  parseSnapshot,
  snapshotOptions,
  takeSnapshot,
  type Attached,
  type DeviceSnapshot,
} from "./snapshot.ts";

/** A PCI device passed through to a guest: everything that the guest and the VMM can ask of it. */
export class VfioPciDevice implements Disposable {
  readonly #backend: DeviceBackend;
  readonly #parts: AttachedDevice;
  readonly #options: AttachOptions;
  readonly #trace: Tracer | undefined;
  readonly #decode: DecodeControl;
  readonly #config: GuestConfig;
  readonly #bus: BusAccess;
  /** The backend is closed too. */
  #ended = false;
  readonly #staysOpen: StandingFault;

  /**
   * Attaches a device to a platform: resets it, stops it, reads it, finds guest addresses for its BARs and turns INTx on.
   * The guest finds it as after power-on: decoding off, interrupts masked. Takes ownership of the backend: `dispose`
   * closes it, and so does a failure here.
   * @throws VfioError where the device does not answer or does not fit; TypeError, RangeError for options that do not fit it
   */
  static attach(backend: DeviceBackend, platform: Platform, options: AttachOptions = {}): VfioPciDevice {
    return new VfioPciDevice(backend, platform, options);
  }

  /**
   * Attaches a device and gives it the state of a snapshot. The device must be of the same kind.
   * @param options as for `attach`; what the guest has seen (patches, relocation) is as the snapshot says, whatever they are.
   * `requesterId` is the snapshot's where it is not given
   * @throws VfioError `EBADSNAPSHOT` if the snapshot is malformed, of another version, of another device or of a host that gave
   * it more vectors; others where the device refuses a part of it, TypeError, RangeError as `attach`. The backend is closed then
   */
  static restore(
    backend: DeviceBackend,
    platform: Platform,
    snapshot: unknown,
    options: AttachOptions = {},
  ): VfioPciDevice {
    using failed = new DisposableStack();
    failed.use(backend);
    checkOptions(options);
    const state = parseSnapshot(snapshot, backend.name);
    failed.move();
    using device = new DisposableStack();
    const restored = device.use(
      restoring(backend.name, () => new VfioPciDevice(backend, platform, snapshotOptions(state, options))),
    );
    applySnapshot(restored.#attached, state);
    device.move();
    return restored;
  }

  private constructor(backend: DeviceBackend, platform: Platform, options: AttachOptions) {
    const { trace } = options;
    this.#options = options;
    this.#trace = trace;
    using failed = new DisposableStack();
    failed.use(backend);
    checkOptions(options);
    this.#backend = trace === undefined ? backend : new TracedBackend(backend, trace);
    const seen = trace === undefined ? platform : tracedPlatform(platform, trace);
    const report = eventReporter(backend.name, options.onEvent, trace);
    const answers = new GuestAnswers(report, trace);
    this.#parts = attachDevice(
      { backend: this.#backend, platform: seen, options, report, answers },
      (config) => trace?.attached?.(tracedDevice(backend, config, platform, options)),
    );
    failed.move();
    this.#staysOpen = new StandingFault(report, "teardown");
    this.#decode = new DecodeControl(this.#parts);
    this.#config = new GuestConfig(this.#parts, this.#decode);
    const access = new BarAccess(this.#parts, this.#config, (ask) => this.#isGone(ask));
    this.#bus = new BusAccess(this.#parts.placement, access, answers, trace);
  }

  /** For messages: the backend's name. */
  get name(): string {
    return this.#backend.name;
  }

  /** Bytes of config space: 256 or 4096. */
  get configSize(): number {
    return this.#parts.config.tables.size;
  }

  /**
   * A guest's config read. Once the device is detached it reads all ones, as do its BARs, and writes are dropped.
   * @param offset in bytes @param width 1, 2 or 4 bytes, inside of one dword
   * @returns unsigned. All ones, of 32 bits at most, for any other access, beyond the end of config space, and where the
   * device does not answer
   */
  configRead(offset: number, width: number): number {
    let value = this.#parts.config.known(offset, width);
    if (value < 0) value = this.#config.read(offset, width);
    if (this.#trace !== undefined) this.#trace.record(TraceKind.configRead, offset, width, value, 0, 0);
    return value;
  }

  /**
   * A guest's config write; see `configRead`. Dropped where it cannot be.
   * @param value an integer from 0 to 0xffffffff, of which `width` bytes count
   * @throws TypeError or RangeError if `value` is no unsigned 32-bit integer, which only the VMM can cause
   */
  configWrite(offset: number, width: number, value: number): void {
    if (this.#trace !== undefined) this.#trace.record(TraceKind.configWrite, offset, width, value, 0, 0);
    this.#config.write(offset, width, value);
  }

  /**
   * Looks whether the device is still there: for a VMM that hears the host's wish to have it back, as a surprise removal is
   * told. One that is gone is an event (`device-gone`); from then on its guest reads all ones, and `dispose` is what is left.
   */
  checkPresence(): boolean {
    this.#open();
    this.#trace?.record(TraceKind.presence, 0, 0, 0, 0, 0);
    return this.#isPresent();
  }

  #isPresent(): boolean {
    const present = this.#open().config.isPresent();
    if (!present) this.#decode.sync();
    return present;
  }

  #isGone(ask: boolean): boolean {
    return this.#parts.config.gone || (ask && !this.#isPresent());
  }

  /**
   * A guest's read of memory-mapped I/O at a guest physical address, 1 to 8 bytes.
   * @returns whether the device has the address; `data` is all ones otherwise
   */
  mmioRead(address: number, data: Uint8Array): boolean {
    return this.#bus.read("mmio", address, data, this.#config.closed);
  }
  /** A guest's write of memory-mapped I/O. @returns whether the device has the address */
  mmioWrite(address: number, data: Uint8Array): boolean {
    return this.#bus.write("mmio", address, data, this.#config.closed);
  }
  /** A guest's read of an I/O port. @returns whether the device has the port */
  ioRead(port: number, data: Uint8Array): boolean {
    return this.#bus.read("io", port, data, this.#config.closed);
  }
  /** A guest's write of an I/O port. @returns whether the device has the port */
  ioWrite(port: number, data: Uint8Array): boolean {
    return this.#bus.write("io", port, data, this.#config.closed);
  }

  /** The guest's interrupt controller saw the end of an INTx interrupt; for platforms without a resample eventfd. */
  endOfInterrupt(): void {
    const { interrupts } = this.#open();
    this.#trace?.record(TraceKind.endOfInterrupt, 0, 0, 0, 0, 0);
    interrupts.intx?.endOfInterrupt();
  }

  /**
   * Resets the function, as at a reset of the virtual machine: the guest finds it as after attach, interrupts off but for
   * INTx, COMMAND 0, BARs at the first addresses that they had. (After a reset that the guest itself asks for they read 0.)
   * @throws VfioError where the device cannot be reset, or its COMMAND not be written, so that it may still do DMA. What the
   * model holds of it is as after attach all the same; the power state is the one that the device says it is in.
   */
  reset(): void {
    this.#open(true);
    this.#trace?.record(TraceKind.reset, 0, 0, 0, 0, 0);
    this.#decode.reset(() => this.#backend.reset());
  }

  /**
   * Host memory behind a guest address of a BAR; undefined unless the whole range, at least a byte, lies in one mapped area: a
   * range across a hole is not memory. For mappings that a virtual IOMMU asks for.
   */
  hostAddress(gpa: number, size: number): { readonly hva: number; readonly writable: boolean } | undefined {
    return hostAddressOf(this.#open().placement, gpa, size);
  }

  /** As `VfioPciDevice 0000:01:00.0 (BAR0 at 0xc0000000, BAR4 off; MSI-X 3 of 65)`. */
  [inspectCustom](): string {
    const facts = this.#config.closed ? "closed" : factsOf(this.describe());
    return `VfioPciDevice ${this.name} (${facts})`;
  }

  /** Whether it was disposed of: it answers nothing any more. */
  get closed(): boolean {
    return this.#config.closed;
  }

  /** Whether all that it had is given back, and its backend closed. False after `dispose`: that is to be called again. */
  get released(): boolean {
    const { interrupts, placement } = this.#parts;
    return this.#ended && interrupts.isReleased && placement.isReleased;
  }

  /** What was found, hidden, placed and mapped, as plain data. */
  describe(): DeviceDescription {
    return describe(this.#backend, this.#open(), this.#decode.command);
  }

  /**
   * Everything that the guest could tell apart, as plain data for JSON.
   * @throws VfioError where the device does not answer: what it would have said is part of it; what the platform throws where it
   * cannot tell which vectors are pending
   */
  snapshot(): DeviceSnapshot {
    this.#open(true);
    this.#trace?.record(TraceKind.snapshot, 0, 0, 0, 0, 0);
    try {
      return takeSnapshot(this.#attached, this.#options);
    } finally {
      if (this.#parts.config.gone) this.#decode.sync();
    }
  }

  /**
   * Stops the device, withdraws everything from the platform and closes the backend. Safe to call twice. Where the platform does
   * not take back what shows the device's memory, the backend stays open, as that memory must stay; an event (`teardown`) says
   * so, and the next call tries again.
   */
  [Symbol.dispose](): void {
    const { config, interrupts, placement } = this.#parts;
    if (!this.#config.closed) {
      this.#config.close();
      this.#trace?.record(TraceKind.detach, 0, 0, 0, 0, 0);
      // No DMA and no interrupt may arrive while things are taken away: bus mastering off first.
      config.writeRegister(command, 0);
    }
    interrupts[Symbol.dispose]();
    placement[Symbol.dispose]();
    if (this.#ended) return;
    // Closing unmaps what is left, and the guest would reach whatever the host puts there next.
    if (placement.isReached)
      return this.#staysOpen.tell("the device stays open: the guest or a peer still reaches its memory");
    this.#ended = true;
    try {
      this.#backend[Symbol.dispose]();
    } catch (cause) {
      this.#staysOpen.tell("the device cannot be closed", cause);
    }
  }

  get #attached(): Attached {
    return { backend: this.#backend, parts: this.#parts, decoding: this.#decode };
  }

  /** @param present whether it must be there, too @throws VfioError (`ECLOSED`, `ENODEV`) */
  #open(present = false): AttachedDevice {
    const device = this.name;
    if (this.#config.closed) throw new VfioError(`${device} is closed`, { code: "ECLOSED", device });
    if (present && this.#parts.config.gone)
      throw new VfioError(`${device} is gone`, { code: "ENODEV", device });
    return this.#parts;
  }
}
