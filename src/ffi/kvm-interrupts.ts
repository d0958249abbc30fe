// Interrupts of a virtual machine (linux/kvm.h): routes, irqfds, lines, messages; and ioeventfds.
import { lazy } from "../regs/lazy.ts";
import {
  KvmIoeventfd,
  kvmIoeventfdFlag,
  KvmIrqfd,
  kvmIrqfdFlag,
  KvmIrqLevel,
  KvmIrqRouting,
  KvmIrqRoutingEntry,
  KvmIrqRoutingIrqchip,
  KvmIrqRoutingMsi,
  kvmIrqRoutingType,
  KvmMsi,
  kvmMsiFlag,
} from "../regs/ioctl/kvm-interrupt.ts";
import { kvmVmRequest } from "../regs/ioctl/kvm-requests.ts";
import { checked, type IntegerRange } from "../regs/ioctl/integer.ts";
import { bytesOf, create, memberRange, wide } from "../regs/ioctl/struct.ts";
import { ioctl, type IoctlContext } from "./ioctl.ts";
import { hex } from "../regs/hex-text.ts";

/** A message that a device sends: 32 bits each. */
export interface RoutedMessage {
  /** Low 32 bits of the address. */
  readonly addressLow: number;
  /** High 32 bits. */
  readonly addressHigh: number;
  /** What is written there. */
  readonly data: number;
  /** Requester ID of the sender, for interrupt controllers that route by it. */
  readonly requesterId: number;
}

/** A pin of an interrupt chip in the kernel, reached by a GSI. */
export interface ChipRoute {
  /** The line, as the guest's interrupts are counted. */
  readonly gsi: number;
  /** `kvmIrqchipId`: PIC master 0, PIC slave 1, IOAPIC 2. */
  readonly chip: number;
  /** Of the chip. */
  readonly pin: number;
}

const headerWords = KvmIrqRouting.baseSize / 4;
const entryWords = KvmIrqRoutingEntry.baseSize / 4;
const range = {
  gsi: memberRange(KvmIrqRoutingEntry, "gsi"),
  chip: memberRange(KvmIrqRoutingIrqchip, "irqchip"),
  pin: memberRange(KvmIrqRoutingIrqchip, "pin"),
  low: memberRange(KvmIrqRoutingMsi, "address_lo"),
  high: memberRange(KvmIrqRoutingMsi, "address_hi"),
  data: memberRange(KvmIrqRoutingMsi, "data"),
  devid: memberRange(KvmIrqRoutingMsi, "devid"),
};

/** The error of the first value that its word does not hold. */
function refuse(...values: readonly (readonly [value: number, member: IntegerRange])[]): void {
  for (const [value, member] of values) checked(value, member);
}

/**
 * `struct kvm_irq_routing`. Of all requests the one whose cost grows with the machine, so it is written word by word,
 * without an object an entry.
 * @param messages by GSI
 * @param withDevid whether messages carry the device ID (KVM_CAP_MSI_DEVID)
 * @throws TypeError, RangeError for a value that its member cannot hold
 */
export function encodeRouting(
  chips: readonly ChipRoute[],
  messages: ReadonlyMap<number, RoutedMessage>,
  withDevid: boolean,
): Uint32Array<ArrayBuffer> {
  const count = chips.length + messages.size;
  const words = new Uint32Array(new ArrayBuffer(4 * (headerWords + entryWords * count)));
  words[0] = count;
  let at = headerWords;
  for (const { gsi, chip, pin } of chips) {
    words[at] = gsi;
    words[at + 1] = kvmIrqRoutingType.IRQCHIP;
    words[at + 4] = chip;
    words[at + 5] = pin;
    if (words[at] !== gsi || words[at + 4] !== chip || words[at + 5] !== pin)
      refuse([gsi, range.gsi], [chip, range.chip], [pin, range.pin]);
    at += entryWords;
  }
  for (const [gsi, { addressLow, addressHigh, data, requesterId }] of messages) {
    words[at] = gsi;
    words[at + 1] = kvmIrqRoutingType.MSI;
    words[at + 4] = addressLow;
    words[at + 5] = addressHigh;
    words[at + 6] = data;
    if (
      words[at] !== gsi ||
      words[at + 4] !== addressLow ||
      words[at + 5] !== addressHigh ||
      words[at + 6] !== data
    )
      refuse([gsi, range.gsi], [addressLow, range.low], [addressHigh, range.high], [data, range.data]);
    if (withDevid) {
      words[at + 2] = kvmMsiFlag.VALID_DEVID;
      words[at + 7] = requesterId;
      if (words[at + 7] !== requesterId) refuse([requesterId, range.devid]);
    }
    at += entryWords;
  }
  return words;
}

/** KVM_SET_GSI_ROUTING: replaces the whole table. @param table as `encodeRouting` made it */
export function setGsiRouting(vm: number, table: Uint32Array<ArrayBuffer>, context: IoctlContext = {}): void {
  ioctl(vm, kvmVmRequest.SET_GSI_ROUTING, new Uint8Array(table.buffer), {
    hint: "KVM has KVM_CAP_IRQ_ROUTING entries for the whole virtual machine, 4096 on x86.",
    ...context,
    request: `KVM_SET_GSI_ROUTING of ${table[0]} entries`,
  });
}

/** Made once: a guest's write may ask for 2048 of them. */
const assignmentRequest = lazy(() => create(KvmIrqfd));

function irqfd(
  vm: number,
  [eventfd, gsi, flags, resample]: readonly [number, number, number, number],
  what: string,
  context: IoctlContext,
): void {
  const assignment = assignmentRequest();
  assignment.fd = eventfd;
  assignment.gsi = gsi;
  assignment.flags = flags;
  assignment.resamplefd = resample;
  ioctl(vm, kvmVmRequest.IRQFD, bytesOf(assignment), {
    ...context,
    request: () => `KVM_IRQFD ${what} GSI ${gsi} eventfd ${eventfd}`,
  });
}

/**
 * KVM_IRQFD: from now on the eventfd raises the GSI; an event that waits in it does at once.
 * @param resample an eventfd that KVM signals when the guest has handled the interrupt: the GSI is a line then, which is low
 * until the next event
 */
export function assignIrqfd(
  vm: number,
  eventfd: number,
  gsi: number,
  resample: number | undefined,
  context: IoctlContext = {},
): void {
  if (resample === undefined) irqfd(vm, [eventfd, gsi, 0, 0], "assign", context);
  else irqfd(vm, [eventfd, gsi, kvmIrqfdFlag.RESAMPLE, resample], "assign with resample,", context);
}

/** KVM_IRQFD with DEASSIGN: when it returns, nothing is injected by it any more. */
export function deassignIrqfd(vm: number, eventfd: number, gsi: number, context: IoctlContext = {}): void {
  irqfd(vm, [eventfd, gsi, kvmIrqfdFlag.DEASSIGN, 0], "deassign", context);
}

/** KVM_SIGNAL_MSI. @param withDevid as `encodeRouting` @returns whether a CPU took it */
export function signalMsi(
  vm: number,
  message: RoutedMessage,
  withDevid: boolean,
  context: IoctlContext = {},
): boolean {
  const argument = create(KvmMsi);
  argument.address_lo = message.addressLow;
  argument.address_hi = message.addressHigh;
  argument.data = message.data;
  if (withDevid) {
    argument.flags = kvmMsiFlag.VALID_DEVID;
    argument.devid = message.requesterId;
  }
  const result = ioctl(vm, kvmVmRequest.SIGNAL_MSI, bytesOf(argument), {
    ...context,
    request: "KVM_SIGNAL_MSI",
  });
  return result > 0;
}

/** KVM_IRQ_LINE: sets a line of the interrupt chips. */
export function setIrqLine(vm: number, gsi: number, high: boolean, context: IoctlContext = {}): void {
  const argument = create(KvmIrqLevel);
  argument.irq = gsi;
  argument.level = high ? 1 : 0;
  ioctl(vm, kvmVmRequest.IRQ_LINE, bytesOf(argument), {
    ...context,
    request: `KVM_IRQ_LINE ${gsi} ${high ? "high" : "low"}`,
  });
}

/** A guest write that signals an eventfd instead of leaving to the VMM. */
export interface IoeventfdWrite {
  /** Memory, or I/O ports. */
  readonly kind: "mmio" | "io";
  /** Guest physical address, or port. */
  readonly address: number;
  /** In bytes; 0: a write of any width. */
  readonly width: 0 | 1 | 2 | 4 | 8;
  /** Only a write of this value; undefined: any. */
  readonly value?: bigint | undefined;
}

/** KVM_IOEVENTFD. @param on false takes it away: with the same write and the same eventfd */
export function setKvmIoeventfd(
  vm: number,
  write: IoeventfdWrite,
  eventfd: number,
  on: boolean,
  context: IoctlContext = {},
): void {
  const { kind, address, width, value } = write;
  const argument = create(KvmIoeventfd);
  argument.addr = wide(address);
  argument.len = width;
  argument.fd = eventfd;
  if (value !== undefined) argument.datamatch = value;
  argument.flags =
    (kind === "io" ? kvmIoeventfdFlag.PIO : 0) |
    (value === undefined ? 0 : kvmIoeventfdFlag.DATAMATCH) |
    (on ? 0 : kvmIoeventfdFlag.DEASSIGN);
  ioctl(vm, kvmVmRequest.IOEVENTFD, bytesOf(argument), {
    ...context,
    request: () =>
      `KVM_IOEVENTFD ${on ? "assign" : "deassign"} ${kind} ${hex(address)} width ${width} eventfd ${eventfd}`,
  });
}
