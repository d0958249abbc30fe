// Memory of a virtual machine (linux/kvm.h).
import { KvmDirtyLog, kvmMemoryFlag, KvmUserspaceMemoryRegion } from "../regs/ioctl/kvm-memory.ts";
import { kvmVmRequest } from "../regs/ioctl/kvm-requests.ts";
import { checked, uint32, type IntegerRange } from "../regs/ioctl/integer.ts";
import { bytesOf, create, wide } from "../regs/ioctl/struct.ts";
import { addressOf, flagNames, ioctl, type IoctlContext } from "./ioctl.ts";
import { hex } from "../regs/hex-text.ts";

/** A memory slot. Addresses and sizes in bytes, multiples of a page. */
export interface MemoryRegion {
  /** The number by which KVM knows it. */
  readonly slot: number;
  /** Guest physical address. */
  readonly gpa: number;
  /** 0 takes the slot away. */
  readonly size: number;
  /** Host virtual address. */
  readonly hva: number;
  /** Of `kvmMemoryFlag`. */
  readonly flags: number;
}

/** KVM_SET_USER_MEMORY_REGION. */
export function setUserMemoryRegion(vm: number, region: MemoryRegion, context: IoctlContext = {}): void {
  const { slot, gpa, size, hva, flags } = region;
  const argument = create(KvmUserspaceMemoryRegion);
  argument.slot = slot;
  argument.flags = flags;
  argument.guest_phys_addr = wide(gpa);
  argument.memory_size = wide(size);
  argument.userspace_addr = wide(hva);
  ioctl(vm, kvmVmRequest.SET_USER_MEMORY_REGION, bytesOf(argument), {
    ...context,
    request: () =>
      `KVM_SET_USER_MEMORY_REGION slot ${slot} at ${hex(gpa)}, ${hex(size)} bytes of ${hex(hva)}` +
      (flags === 0 ? "" : ` ${flagNames(kvmMemoryFlag, flags)}`),
  });
}

/** KVM_MEM_MAX_NR_PAGES (include/linux/kvm_host.h). */
const slotPages: IntegerRange = { ...uint32("the pages of a slot"), max: 2 ** 31 - 1 };

/**
 * KVM_GET_DIRTY_LOG: what the guest has written since the last time.
 * @param pages of the slot
 * @returns a bit a page, the lowest first; a whole number of 64 bits
 */
export function getDirtyLog(
  vm: number,
  slot: number,
  pages: number,
  context: IoctlContext = {},
): Uint8Array<ArrayBuffer> {
  const bitmap = new Uint8Array(new ArrayBuffer(8 * Math.ceil(checked(pages, slotPages) / 64)));
  const argument = create(KvmDirtyLog);
  argument.slot = slot;
  argument.dirty_bitmap = addressOf(bitmap);
  ioctl(vm, kvmVmRequest.GET_DIRTY_LOG, bytesOf(argument), {
    ...context,
    request: `KVM_GET_DIRTY_LOG slot ${slot}`,
  });
  return bitmap;
}
