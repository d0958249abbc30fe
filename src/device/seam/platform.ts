// What the passthrough model needs of a virtual machine: small interfaces that a VMM implements.
// `MemoryPlatform` implements all of them in memory, for tests; `bun-vfio/kvm` will on KVM.

import type { Range } from "../address/range.ts";

/** Host memory to be seen by the guest. */
export interface SlotRequest {
  /** Guest physical address, page-aligned. */
  readonly gpa: number;
  /** In bytes, page-aligned. */
  readonly size: number;
  /** Host virtual address, page-aligned. */
  readonly hva: number;
  /** Guest writes leave to the VMM instead of reaching the memory. */
  readonly readOnly: boolean;
}

/** Guest memory slots (KVM_SET_USER_MEMORY_REGION). */
export interface MemorySlots {
  /** Shows memory to the guest and returns the slot's number. @throws if the range overlaps another slot or no slot is left */
  add(request: SlotRequest): number;
  /**
   * Takes a slot away; afterwards the guest cannot touch its memory and its number may be used again.
   * @throws where it cannot; then the slot is as it was, and the model asks again later
   */
  remove(slot: number): void;
}

/** Guest-programmed address and data of an MSI or MSI-X vector. */
export interface MsiMessage {
  /** Low 32 bits of the address that the device writes to. */
  readonly addressLow: number;
  /** High 32 bits. */
  readonly addressHigh: number;
  /** What it writes: 32 bits, of MSI 16. */
  readonly data: number;
  /** Requester ID of the device, for interrupt controllers that route by it. */
  readonly requesterId: number;
}

/** What becomes of one vector: routed to the guest with this message, or not at all. */
export interface VectorChange {
  /** In its group, from 0 on. */
  readonly vector: number;
  /** Undefined: masked or unused. Its irqfd goes first, then its route. */
  readonly message: MsiMessage | undefined;
}

/** The vectors of one MSI or MSI-X capability. Closing it closes its eventfds and releases its routes. */
export interface MsiGroup extends Disposable {
  /** The eventfd that the device signals for a vector; created when first asked for, owned by the group. */
  eventfd(vector: number): number;
  /**
   * Applies all changes with at most one update of the routing table, in this order, which matters:
   * irqfds of withdrawn vectors off (an irqfd without a route loses events), the table set once, irqfds of routed vectors on.
   * An event that came while a vector was withdrawn stays in its eventfd and is delivered when it is routed again.
   * @throws if the table is full; then nothing has changed
   */
  update(changes: readonly VectorChange[]): void;
  /** Whether an event waits in the eventfd of a vector that is not routed: its pending bit. */
  pending(vector: number): boolean;
  /**
   * Closes the eventfd of a vector that is not routed, with what waits in it: the device does not have it. The next `eventfd`
   * makes a new one. Without this method it stays until the group is closed.
   */
  release?(vector: number): void;
  /** Throws away an event that waits in a vector's eventfd: what came before a reset must not arrive after it. */
  discard(vector: number): void;
  /** Puts an event into a vector's eventfd, as the device would; a restored pending bit comes back this way. */
  signal(vector: number): void;
}

/** A level-triggered interrupt line. Closing it closes its eventfds. */
export interface IntxLine extends Disposable {
  /** The device signals it when the line is asserted. */
  readonly eventfd: number;
  /**
   * The platform signals it when the guest has handled the interrupt (irqfd resampling, KVM_IRQFD_FLAG_RESAMPLE);
   * undefined where it cannot: the device is then unmasked on guest accesses, or by `endOfInterrupt`.
   */
  readonly resample: number | undefined;
  /** The platform promises to call the device's `endOfInterrupt` instead, from its own interrupt controller. */
  readonly notifiesEndOfInterrupt?: boolean | undefined;
  /** Connects the line to the guest's interrupt controller; idempotent. */
  connect(): void;
  /** Takes the line off the guest's interrupt controller; idempotent. */
  disconnect(): void;
}

/** The interrupts that a platform gives to devices. */
export interface Interrupts {
  /** The messages of one device. @param vectors 1 to 2048 @throws where the platform has no vectors left */
  createMsiGroup(vectors: number): MsiGroup;
  /**
   * The line of an interrupt pin.
   * @param pin 1 to 4 for INTA to INTD
   * @returns undefined where the platform has no line for the device
   */
  createIntx(pin: number): IntxLine | undefined;
}

/** A mapping of the IOMMU that stands between the device and memory. */
export interface DmaMapping {
  /** Its first address as the device sees it, on pages. */
  readonly iova: number;
  /** In bytes, whole pages. */
  readonly size: number;
  /** Its first byte in this process. */
  readonly hva: number;
  /** Whether the device may read it. */
  readonly readable: boolean;
  /** Whether the device may write to it. */
  readonly writable: boolean;
  /** A device's memory: nothing to lock, and not for every IOMMU to map. RAM without. */
  readonly deviceMemory?: boolean | undefined;
  /** A file of the same memory, for an IOMMU that maps files: a memfd, or a dma-buf of device memory. `offset` in bytes. */
  readonly file?: { readonly fd: number; readonly offset: number } | undefined;
}

/** What maps memory for devices' DMA, as the model needs it: `DmaMap` is one. */
export interface Dma {
  /** Lets devices reach a range. @throws where the IOMMU refuses */
  map(mapping: DmaMapping): void;
  /** Takes back exactly one mapping made before. @throws where it cannot; then it is as it was, and the model asks again */
  unmap(iova: number, size: number): void;
}

/**
 * One window of guest addresses. What is reserved here is not handed out again; whether a BAR may decode where a guest puts
 * it, in the window, is the bus's to say.
 */
export interface AddressAllocator {
  /** First address of the window. */
  readonly base: number;
  /** In bytes. */
  readonly size: number;
  /** The highest free range of `size` bytes, aligned; undefined where none is left. @param alignment a power of two */
  allocate(size: number, alignment: number): number | undefined;
  /** Takes exactly this range; false where it is not free or not in the window. */
  reserve(base: number, size: number): boolean;
  /** Gives back exactly a range taken before. @throws RangeError otherwise; where it cannot, the range stays taken */
  free(base: number, size: number): void;
}

/** Memory addresses, or I/O ports. */
export type AddressSpace = "mmio" | "io";

/** The windows that BARs get their guest addresses from. */
export interface AddressWindows {
  /** For 32-bit memory BARs and the ROM. */
  readonly mmio32: AddressAllocator;
  /** For 64-bit memory BARs. */
  readonly mmio64: AddressAllocator;
  /** For I/O BARs; absent on machines without I/O ports. */
  readonly io?: AddressAllocator | undefined;
}

/** A range of guest addresses whose accesses the VMM hands to the device. */
export interface TrappedRange {
  /** Memory, or I/O ports. */
  readonly kind: AddressSpace;
  /** Its first guest address, or port. */
  readonly base: number;
  /** In bytes, or ports. */
  readonly size: number;
  /** Region index of the device. */
  readonly region: number;
}

/** Where a device's trapped accesses are announced: who hands them to the device is the VMM. */
export interface GuestBus {
  /**
   * Has accesses to a range go to the device.
   * @throws where anything else has part of the range: another device's BAR, or something of the VMM's own
   */
  insert(range: TrappedRange): void;
  /** Takes back exactly one range. @throws where it cannot; then it is as it was, and the model asks again */
  remove(range: TrappedRange): void;
  /**
   * Keeps the rest of a page, beside a BAR smaller than that, free of everything else while a memory slot shows the page.
   * Accesses there are nobody's. Without this method such BARs stay trapped.
   * @param rest of memory addresses
   * @param giveWay to be called before anything else comes to be there; where it returns false `insert` is to throw
   * @returns ends it; undefined where something is there already
   */
  readonly keepFree?: ((rest: Range, giveWay: () => boolean) => Disposable | undefined) | undefined;
}

/** A virtual machine, as far as a passed-through device sees it. */
export interface Platform {
  /** Bytes of a host page; a power of two, 4096 or more. */
  readonly pageSize: number;
  /** Memory that the guest reaches without the VMM. */
  readonly memory: MemorySlots;
  /** The guest's vectors and interrupt lines. */
  readonly interrupts: Interrupts;
  /** Where BARs may be. */
  readonly addresses: AddressWindows;
  /** Where accesses of the guest go to this device. */
  readonly bus: GuestBus;
  /** Where peers of this device can reach its BARs; absent behind a virtual IOMMU. */
  readonly dma?: Dma | undefined;
}
