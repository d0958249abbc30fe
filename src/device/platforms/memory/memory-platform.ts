import type { DeliveredInterrupt, PlatformAction, PlatformActionKind } from "./action.ts";
import { RecordedAllocator } from "./addresses.ts";
import { Bus } from "./bus.ts";
import { InterruptController } from "./interrupts.ts";
import { type FaultPredicate, Journal } from "./journal.ts";
import { Mappings } from "./mappings.ts";
import { Slots } from "./slots.ts";
import { heldBy, usersOf, type MemoryPlatformState } from "./state.ts";
import type {
  AddressSpace,
  AddressWindows,
  Dma,
  GuestBus,
  Interrupts,
  IntxLine,
  MemorySlots,
  Platform,
  TrappedRange,
} from "../../seam/platform.ts";
import { formatRange, intersects, isPowerOfTwo, type Range, rangeEnd, toRange } from "../../address/range.ts";
import { inspectCustom } from "../../../regs/inspect.ts";
import { hex } from "../../../regs/hex-text.ts";

export type { AddressWindow, DeliveredInterrupt, PlatformAction, PlatformActionKind } from "./action.ts";
export type { Route } from "./irqchip.ts";
export type { FaultPredicate } from "./journal.ts";
export type { LineState } from "./line.ts";
export type { SlotState } from "./slots.ts";
export type { MemoryPlatformState } from "./state.ts";

/** The machine that a `MemoryPlatform` is. */
export interface MemoryPlatformOptions {
  /** Bytes of a host page: a power of two, 4096 or more; 4096. */
  readonly pageSize?: number | undefined;
  /** Guest address windows. `io: false` is a machine without I/O ports. */
  readonly windows?:
    | {
        /** Below 4 GiB; 0xc0000000 to 0xfbffffff. */
        readonly mmio32?: Range | undefined;
        /** 1 TiB from 1 TiB. */
        readonly mmio64?: Range | undefined;
        /** Below 64 KiB; 0x1000 to 0xffff. */
        readonly io?: Range | false | undefined;
      }
    | undefined;
  /** Memory slots that can be in use at once; 32764, as KVM has on x86-64. */
  readonly maxSlots?: number | undefined;
  /** Entries of the interrupt routing table; 4096, KVM's KVM_MAX_IRQ_ROUTES. */
  readonly maxRoutes?: number | undefined;
  /** Vectors of all open MSI groups together; without limit. */
  readonly maxVectors?: number | undefined;
  /** Whether there are INTx lines; true. */
  readonly intx?: boolean | undefined;
  /** Whether lines have a resample eventfd; true. */
  readonly resample?: boolean | undefined;
  /** Without resampling: lines promise to report the end of an interrupt, and this is called with the line's number. */
  readonly onEndOfInterrupt?: ((line: number) => void) | undefined;
  /** Whether there is an IOMMU for `dma`; true. */
  readonly dma?: boolean | undefined;
}

function checkCount(value: number, name: string): number {
  if (typeof value !== "number") throw new TypeError(`${name} must be a number, not ${typeof value}`);
  if (value !== Infinity && (!Number.isSafeInteger(value) || value < 0))
    throw new RangeError(`${name} must be a whole number, not ${value}`);
  return value;
}

function checkWindow(window: Range, name: string, limit: number): Range {
  if (rangeEnd(window) > limit)
    throw new RangeError(`the ${name} window ${formatRange(window)} does not end at or below ${hex(limit)}`);
  return window;
}

/**
 * A virtual machine in memory, for tests of passthrough code with no hypervisor: it records every action in order, holds
 * the state that results, refuses what a kernel would refuse and more, and fails where a test tells it to.
 * Eventfds are real, so that a device below can signal them. See docs/memory-platform.md.
 *
 * Refusals are TypeError or RangeError for bad arguments and VfioError with the kernel's errno name (EEXIST, ENOENT,
 * ENOSPC, EINVAL) for what does not fit the state. Whatever is refused leaves the state as it was.
 */
export class MemoryPlatform implements Platform, Disposable {
  readonly pageSize: number;
  readonly memory: MemorySlots;
  readonly interrupts: Interrupts;
  readonly addresses: AddressWindows;
  readonly bus: GuestBus;
  readonly dma: Dma | undefined;
  readonly #journal = new Journal();
  readonly #slots: Slots;
  readonly #controller: InterruptController;
  readonly #allocators: Readonly<Record<"mmio32" | "mmio64", RecordedAllocator>> & {
    readonly io?: RecordedAllocator;
  };
  readonly #bus: Bus;
  readonly #mappings: Mappings | undefined;
  readonly #onEndOfInterrupt: ((line: number) => void) | undefined;

  /** @throws TypeError, RangeError for options that cannot be */
  constructor(options: MemoryPlatformOptions = {}) {
    const {
      pageSize = 4096,
      windows = {},
      maxSlots = 32764,
      maxRoutes = 4096,
      maxVectors = Infinity,
    } = options;
    const { intx = true, resample = true, dma = true, onEndOfInterrupt } = options;
    if (!isPowerOfTwo(pageSize) || pageSize < 4096)
      throw new RangeError(`pageSize must be a power of two, 4096 or more, not ${pageSize}`);
    const { mmio32 = { base: 0xc000_0000, size: 0x3c00_0000 }, io = { base: 0x1000, size: 0xf000 } } =
      windows;
    const { mmio64 = { base: 2 ** 40, size: 2 ** 40 } } = windows;
    if (intersects(checkWindow(mmio32, "mmio32", 2 ** 32), mmio64))
      throw new RangeError(
        `the mmio32 window ${formatRange(mmio32)} overlaps the mmio64 window ${formatRange(mmio64)}`,
      );
    const journal = this.#journal;
    this.pageSize = pageSize;
    this.memory = this.#slots = new Slots(journal, pageSize, checkCount(maxSlots, "maxSlots"));
    this.interrupts = this.#controller = new InterruptController(journal, {
      maxRoutes: checkCount(maxRoutes, "maxRoutes"),
      maxVectors: checkCount(maxVectors, "maxVectors"),
      intx: intx ? (resample ? "resample" : onEndOfInterrupt ? "notify" : "none") : undefined,
    });
    this.addresses = this.#allocators = {
      mmio32: new RecordedAllocator(journal, "mmio32", mmio32),
      mmio64: new RecordedAllocator(journal, "mmio64", mmio64),
      ...(io && { io: new RecordedAllocator(journal, "io", checkWindow(io, "io", 0x1_0000)) }),
    };
    this.bus = this.#bus = new Bus(journal);
    this.dma = this.#mappings = dma ? new Mappings(journal, pageSize) : undefined;
    this.#onEndOfInterrupt = onEndOfInterrupt;
  }

  /** As `MemoryPlatform (14 actions, 0 resources held)`. */
  [inspectCustom](): string {
    const state = this.#journal.closed ? "closed" : `${this.leaks().length} resources held`;
    return `MemoryPlatform (${this.#journal.actions.length} actions, ${state})`;
  }

  /** What was done, in order, since the beginning or `clearRecord`. Only what took effect is here. */
  get actions(): readonly PlatformAction[] {
    return this.#journal.actions;
  }

  /** The same, of the named kinds only. */
  actionsOf<K extends PlatformActionKind>(...kinds: readonly K[]): Extract<PlatformAction, { kind: K }>[] {
    return this.#journal.actions.filter((action): action is Extract<PlatformAction, { kind: K }> =>
      (kinds as readonly string[]).includes(action.kind),
    );
  }

  /** The MSI and MSI-X interrupts that reached the guest, in order, since the beginning or `clearRecord`. */
  get delivered(): readonly DeliveredInterrupt[] {
    return this.#controller.interrupts;
  }

  /** Starts both records afresh. The arrays that `actions` and `delivered` gave before stay as they are. */
  clearRecord(): void {
    this.#journal.actions = [];
    this.#controller.clearInterrupts();
  }

  /**
   * Lets the next action of a kind fail before it takes effect, once. Several calls queue up.
   * @param error to throw; a VfioError with code EIO without it
   */
  failNext(kind: PlatformActionKind, error?: Error): void {
    this.#journal.failNext(kind, error);
  }

  /**
   * Lets every action that matches fail before it takes effect.
   * @param error to throw; a VfioError with code EIO without it
   * @returns ends it
   */
  failOn(predicate: FaultPredicate, error?: Error): () => void {
    return this.#journal.failOn(predicate, error);
  }

  /**
   * Does what an interrupt controller would have done by itself: injects the events that wait in the eventfds of routed
   * vectors, and asserts the connected lines whose device signalled. Signals of one vector in between are one interrupt.
   * @returns the MSI and MSI-X interrupts that came since the last call, those included that an update of routes let through
   */
  deliver(): DeliveredInterrupt[] {
    this.#journal.check();
    return this.#controller.deliver();
  }

  /**
   * The guest has handled an INTx interrupt: the line falls, and the resample eventfd is signalled or `onEndOfInterrupt`
   * called. A device that still has a reason signals its eventfd again; `deliver` then asserts the line again.
   * @param line itself, or its number
   * @throws VfioError if the line is not asserted; TypeError, RangeError if it is none of this platform's
   */
  endOfInterrupt(line: IntxLine | number): void {
    this.#journal.check();
    const found = this.#controller.line(line);
    found.endOfInterrupt();
    if (found.notifiesEndOfInterrupt) this.#onEndOfInterrupt?.(found.line);
  }

  /** Which trapped range a guest's access belongs to: the one that holds all of its bytes. */
  find(kind: AddressSpace, address: number, size: number): TrappedRange | undefined {
    return this.#bus.find(kind, address, size);
  }

  /** A copy of what the platform holds. */
  state(): MemoryPlatformState {
    const { mmio32, mmio64, io } = this.#allocators;
    return {
      slots: this.#slots.state(),
      ...this.#controller.irqchip.state(),
      intx: [...this.#controller.lines].map((line) => line.state()),
      dma: this.#mappings?.state() ?? [],
      trapped: this.#bus.state(),
      kept: this.#bus.kept(),
      addresses: { mmio32: mmio32.state(), mmio64: mmio64.state(), io: io?.state() ?? [] },
    };
  }

  /** What is still held, one line each, in words; empty after a device went as it should. */
  leaks(): string[] {
    return heldBy(this.state(), [...this.#controller.groups]);
  }

  /**
   * The memory slots and DMA mappings that show part of a range of host memory, one line each, in words. Ask before the
   * range is unmapped, and expect none: a guest and a peer device would reach whatever the host puts there next.
   * @param hva host virtual address @param size in bytes
   * @throws TypeError, RangeError if the range ends at or above 2^53
   */
  usersOf(hva: number, size: number): string[] {
    const slots = this.#slots.state();
    return usersOf({ slots, dma: this.#mappings?.state() ?? [] }, toRange(hva, size, "host memory"));
  }

  /** Closes every eventfd and forgets all that is held; recorded actions stay. Ask `leaks` before. Safe to call twice. */
  [Symbol.dispose](): void {
    if (this.#journal.closed) return;
    this.#journal.closed = true;
    this.#controller.clear();
    this.#slots.clear();
    this.#mappings?.clear();
    this.#bus.clear();
    for (const allocator of [this.#allocators.mmio32, this.#allocators.mmio64, this.#allocators.io])
      allocator?.clear();
  }
}
