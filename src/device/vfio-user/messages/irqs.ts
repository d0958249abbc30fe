// DEVICE_GET_IRQ_INFO and DEVICE_SET_IRQS. Descriptors of eventfds travel beside the message, never in it.
import type { IrqInfo, IrqRequest } from "../../../regs/vfio/irqs.ts";
import { wireStruct } from "../wire.ts";

const infoStruct = wireStruct(16, { argsz: "u32", flags: "u32", index: "u32", count: "u32" });
/** VFIO_IRQ_INFO_* of linux/vfio.h. */
const infoFlag = { eventfd: 1, maskable: 2, automasked: 4, noResize: 8 } as const;

/** DEVICE_GET_IRQ_INFO, and its reply. */
export const irqInfo = {
  ...infoStruct,
  /** What the reply says of an index. */
  encodeInfo(view: DataView, offset: number, info: IrqInfo): void {
    let flags = 0;
    for (const [name, bit] of Object.entries(infoFlag)) if (info[name as keyof typeof infoFlag]) flags += bit;
    infoStruct.encode(view, offset, {
      argsz: infoStruct.size,
      flags,
      index: info.index,
      count: info.count,
    });
  },
  decodeInfo(view: DataView, offset: number): IrqInfo {
    const { flags, index, count } = infoStruct.decode(view, offset);
    const has = (bit: number): boolean => (flags & bit) !== 0;
    return {
      index,
      count,
      eventfd: has(infoFlag.eventfd),
      maskable: has(infoFlag.maskable),
      automasked: has(infoFlag.automasked),
      noResize: has(infoFlag.noResize),
    };
  },
};

/** DEVICE_SET_IRQS; `count` bytes follow for booleans. */
export const irqSet = wireStruct(20, {
  argsz: "u32",
  flags: "u32",
  index: "u32",
  start: "u32",
  count: "u32",
});
/** VFIO_IRQ_SET_* of linux/vfio.h: one of the data, one of the actions. */
export const irqData = { none: 1, bool: 2, eventfd: 4 } as const;
export const irqAction = { mask: 8, unmask: 16, trigger: 32 } as const;
const known = 0x3f;

const nameOf = <Name extends string>(
  table: Readonly<Record<Name, number>>,
  value: number,
): Name | undefined => (Object.keys(table) as Name[]).find((name) => table[name] === value);

/**
 * The request that a body of `size` bytes holds.
 * @param fds descriptors that came with it: one for each vector, or none to take eventfds away
 * @param limit vectors that a request may name
 * @returns undefined for a request that is malformed
 */
export function decodeIrqSet(
  view: DataView,
  offset: number,
  size: number,
  fds: readonly number[],
  limit: number,
): IrqRequest | undefined {
  if (size < irqSet.size) return undefined;
  const { flags, index, start, count } = irqSet.decode(view, offset);
  const kind = nameOf(irqData, flags & 7);
  const action = nameOf(irqAction, flags & 0x38);
  if ((flags & ~known) !== 0 || kind === undefined || action === undefined || count > limit) return undefined;
  if (kind !== "eventfd" && fds.length > 0) return undefined;
  const request = { index, action, start };
  if (kind === "none") return { ...request, data: { kind, count } };
  if (kind === "bool") {
    if (size < irqSet.size + count) return undefined;
    const at = offset + irqSet.size;
    return {
      ...request,
      data: { kind, values: Array.from({ length: count }, (_, i) => view.getUint8(at + i) !== 0) },
    };
  }
  if (count === 0 || (fds.length > 0 && fds.length !== count)) return undefined;
  return { ...request, data: { kind, fds: Array.from({ length: count }, (_, i) => fds[i] ?? -1) } };
}

/** @returns size of the body, in bytes; eventfds go beside it */
export function encodeIrqSet(
  view: DataView,
  offset: number,
  { index, action, start, data }: IrqRequest,
): number {
  const count =
    data.kind === "none" ? data.count : data.kind === "bool" ? data.values.length : data.fds.length;
  const tail = data.kind === "bool" ? count : 0;
  const flags = irqData[data.kind] + irqAction[action];
  irqSet.encode(view, offset, { argsz: irqSet.size + tail, flags, index, start, count });
  if (data.kind === "bool")
    data.values.forEach((value, i) => view.setUint8(offset + irqSet.size + i, value ? 1 : 0));
  return irqSet.size + tail;
}
