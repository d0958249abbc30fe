// VFIO_DEVICE_SET_IRQS (linux/vfio.h) over memory that is made once: it is the one request that guests cause often.
import { checked, int32 } from "../regs/ioctl/integer.ts";
import { memberRange } from "../regs/ioctl/struct.ts";
import { VfioIrqSet, vfioIrqSetFlag, vfioPciIrq } from "../regs/ioctl/vfio-irq.ts";
import type { IrqRequest } from "../regs/vfio/irqs.ts";
import { vfioRequest } from "../regs/ioctl/vfio-requests.ts";
import { ioctl, ioctlOrErrno, valueName, type IoctlContext } from "./ioctl.ts";

/** The request under the name that this floor has always given it. */
export type IrqSet = IrqRequest;

const actions = {
  trigger: vfioIrqSetFlag.ACTION_TRIGGER,
  mask: vfioIrqSetFlag.ACTION_MASK,
  unmask: vfioIrqSetFlag.ACTION_UNMASK,
} as const;
const kinds = {
  none: vfioIrqSetFlag.DATA_NONE,
  bool: vfioIrqSetFlag.DATA_BOOL,
  eventfd: vfioIrqSetFlag.DATA_EVENTFD,
} as const;

const range = {
  index: memberRange(VfioIrqSet, "index"),
  start: memberRange(VfioIrqSet, "start"),
  count: memberRange(VfioIrqSet, "count"),
  fd: int32("an eventfd"),
};

const countOf = ({ data }: IrqSet): number =>
  data.kind === "none" ? data.count : data.kind === "bool" ? data.values.length : data.fds.length;

/** `VFIO_DEVICE_SET_IRQS MSIX trigger eventfd start 0 count 4`. */
export const irqSetText = (set: IrqSet): string =>
  `VFIO_DEVICE_SET_IRQS ${valueName(vfioPciIrq, set.index)} ${set.action} ${set.data.kind} start ${set.start} count ${countOf(set)}`;

/** Memory for the requests of one device, for as many vectors as it has. */
export class IrqSetBuffer {
  readonly #bytes: Uint8Array;
  readonly #view: DataView;
  readonly #vectors: number;

  /**
   * Memory for requests, made once.
   * @param vectors the most that one request names, 0 to 65535
   * @throws RangeError for another number
   */
  constructor(vectors: number) {
    if (!Number.isInteger(vectors) || vectors < 0 || vectors > 0xffff)
      throw new RangeError(`vectors must be an integer from 0 to 65535, not ${vectors}`);
    this.#vectors = vectors;
    const memory = new ArrayBuffer(VfioIrqSet.baseSize + 4 * vectors);
    this.#bytes = new Uint8Array(memory);
    this.#view = new DataView(memory);
  }

  /** The struct of a request. @throws TypeError, RangeError for a part that does not fit */
  fill(set: IrqSet): Uint8Array {
    const { data, start, index } = set;
    const count = countOf(set);
    checked(index, range.index);
    checked(start, range.start);
    checked(count, range.count);
    if (data.kind !== "none" && count > this.#vectors)
      throw new RangeError(`a request names at most ${this.#vectors} vectors, not ${count}`);
    const view = this.#view;
    const size = data.kind === "none" ? 0 : data.kind === "bool" ? count : 4 * count;
    view.setUint32(0, VfioIrqSet.baseSize + size, true);
    view.setUint32(4, kinds[data.kind] | actions[set.action], true);
    view.setUint32(8, index, true);
    view.setUint32(12, start, true);
    view.setUint32(16, count, true);
    const tail = VfioIrqSet.baseSize;
    if (data.kind === "bool") for (let i = 0; i < count; i++) view.setUint8(tail + i, data.values[i] ? 1 : 0);
    if (data.kind === "eventfd")
      for (let i = 0; i < count; i++) {
        const fd = checked(data.fds[i]!, range.fd);
        if (fd < -1) throw new RangeError(`a descriptor or -1 is expected, not ${fd}`);
        view.setInt32(tail + 4 * i, fd, true);
      }
    return this.#bytes;
  }
}

/** VFIO_DEVICE_SET_IRQS. @returns 0; where there are fewer vectors than asked for, how many there are: then none is on */
export function setIrqs(
  device: number,
  set: IrqSet,
  buffer: IrqSetBuffer,
  context: IoctlContext = {},
): number {
  return ioctl(device, vfioRequest.DEVICE_SET_IRQS, buffer.fill(set), {
    ...context,
    request: () => irqSetText(set),
  });
}

/** As `setIrqs`. @returns minus the errno where the kernel refuses */
export const trySetIrqs = (device: number, set: IrqSet, buffer: IrqSetBuffer): number =>
  ioctlOrErrno(device, vfioRequest.DEVICE_SET_IRQS, buffer.fill(set));
