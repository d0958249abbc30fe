import type { MemorySlots, SlotRequest } from "../device/seam/platform.ts";
import { formatRange, intersects } from "../device/address/range.ts";
import { VfioError } from "../ffi/errors.ts";
import { getDirtyLog, setUserMemoryRegion } from "../ffi/kvm-memory.ts";
import { pageSize } from "../ffi/page-size.ts";
import { Unreleased } from "../ffi/unreleased.ts";
import { kvmMemoryFlag } from "../regs/ioctl/kvm-memory.ts";
import type { VmDescriptor } from "./vm-descriptor.ts";

/** A memory slot of KVM, with what KVM offers besides. */
export interface KvmSlotRequest extends SlotRequest {
  /** Guest writes are logged, a bit a page; see `dirtyLog`. */
  readonly logDirty?: boolean | undefined;
}

/** The memory slots of a virtual machine (KVM_SET_USER_MEMORY_REGION), numbered from the lowest free one. */
export class KvmMemorySlots implements MemorySlots {
  readonly #vm: VmDescriptor;
  readonly #limit: number;
  readonly #slots: (KvmSlotRequest | undefined)[] = [];

  /** @param limit KVM_CAP_NR_MEMSLOTS */
  constructor(vm: VmDescriptor, limit: number) {
    this.#vm = vm;
    this.#limit = limit;
  }

  /** Slots in use, by number. */
  get inUse(): ReadonlyMap<number, KvmSlotRequest> {
    return new Map(this.#slots.flatMap((slot, number) => (slot ? [[number, slot] as const] : [])));
  }

  /** @throws VfioError: EEXIST (both ranges named), ENOSPC, or what KVM says; then there is no slot */
  add(request: KvmSlotRequest): number {
    const range = { base: request.gpa, size: request.size };
    const there = this.#slots.find((slot) => slot && intersects({ base: slot.gpa, size: slot.size }, range));
    if (there)
      throw new VfioError(
        `guest memory ${formatRange(range)} overlaps the slot ${formatRange({ base: there.gpa, size: there.size })}`,
        { code: "EEXIST" },
      );
    const free = this.#slots.indexOf(undefined);
    const slot = free < 0 ? this.#slots.length : free;
    if (slot >= this.#limit)
      throw new VfioError(`all ${this.#limit} memory slots of the virtual machine are in use`, {
        code: "ENOSPC",
      });
    this.#set(slot, request, request.size);
    this.#slots[slot] = request;
    return slot;
  }

  /**
   * Once the machine is closed there are no slots, and nothing happens.
   * @throws RangeError if there is no such slot; VfioError if KVM keeps it: it is still in use then
   */
  remove(slot: number): void {
    if (this.#vm.closed) return;
    this.#set(slot, this.#slot(slot), 0);
    this.#slots[slot] = undefined;
    while (this.#slots.length > 0 && this.#slots.at(-1) === undefined) this.#slots.pop();
  }

  /** Turns the log of a slot on or off. @throws RangeError if there is no such slot; VfioError; then it is as it was */
  setDirtyLog(slot: number, on: boolean): void {
    const request = { ...this.#slot(slot), logDirty: on };
    this.#set(slot, request, request.size);
    this.#slots[slot] = request;
  }

  /**
   * What the guest has written since the last time, of a slot that logs it (KVM_GET_DIRTY_LOG); devices' DMA is not in it.
   * @returns numbers of pages in the slot, ascending
   * @throws RangeError if there is no such slot; VfioError ENOENT where it has no log
   */
  dirtyPages(slot: number): number[] {
    const { size } = this.#slot(slot);
    const bitmap = getDirtyLog(this.#vm.fd, slot, Math.ceil(size / pageSize()));
    const pages: number[] = [];
    bitmap.forEach((byte, at) => {
      for (let bit = 0; byte >> bit !== 0; bit++) if ((byte >> bit) & 1) pages.push(8 * at + bit);
    });
    return pages;
  }

  /** Takes all slots away. @throws VfioError the first that KVM keeps, after all were tried: those are still in use then */
  clear(): void {
    const left = new Unreleased((slot: number) => this.remove(slot));
    for (const slot of this.inUse.keys()) left.add(slot);
    left.settleOrThrow();
  }

  #slot(slot: number): KvmSlotRequest {
    const request = this.#slots[slot];
    if (!request) throw new RangeError(`there is no memory slot ${slot}`);
    return request;
  }

  #set(slot: number, { gpa, hva, readOnly, logDirty }: KvmSlotRequest, size: number): void {
    const flags = (readOnly ? kvmMemoryFlag.READONLY : 0) | (logDirty ? kvmMemoryFlag.LOG_DIRTY_PAGES : 0);
    setUserMemoryRegion(this.#vm.fd, { slot, gpa, size, hva, flags });
  }
}
