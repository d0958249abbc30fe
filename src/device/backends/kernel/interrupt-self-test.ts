// A self-test of interrupts: the kernel signals a vector's eventfd as if the device had raised it, and it must arrive
// there and nowhere else. It proves the way from the host to this process, not the device.
import { Eventfd } from "../../../ffi/eventfd.ts";
import { irqName } from "../../../regs/vfio/irqs.ts";
import type { IrqInfo } from "../../../regs/vfio/irqs.ts";
import { raise, trigger, turnOff } from "../../seam/irq-requests.ts";
import type { DeviceBackend } from "../../seam/backend.ts";
import { messageOf } from "../../../regs/message-of.ts";

/** What became of the vectors of one interrupt index. */
export interface InterruptSelfTestResult {
  /** Interrupt index; see `IrqIndex`. */
  readonly index: number;
  /** `INTX`, `MSI`, `MSIX`, `ERR`, `REQ`. */
  readonly name: string;
  /** Vectors that the device has. */
  readonly vectors: number;
  /** Of these, how many were tried, from 0 on. */
  readonly tried: number;
  /** What went wrong, a line each; none: every vector arrived. */
  readonly problems: readonly string[];
}

/** Vectors of an index that are tried unless told otherwise: each needs a descriptor. */
const defaultLimit = 64;

/**
 * Enables each interrupt index of a device in turn, raises each vector, and turns it off again.
 * The device's interrupts must be off, and are off afterwards. @param limit vectors of an index to try, at least 1
 */
export function interruptSelfTest(
  device: DeviceBackend,
  limit: number = defaultLimit,
): InterruptSelfTestResult[] {
  if (!Number.isInteger(limit) || limit < 1)
    throw new RangeError(`limit must be an integer from 1, not ${limit}`);
  return device.irqs
    .filter(({ count, eventfd }) => count > 0 && eventfd)
    .map((irq) => test(device, irq, limit));
}

function test(device: DeviceBackend, { index, count }: IrqInfo, limit: number): InterruptSelfTestResult {
  const tried = Math.min(count, limit);
  const name = irqName(index);
  const problems: string[] = [];
  using resources = new DisposableStack();
  try {
    const eventfds = Array.from({ length: tried }, () => resources.use(new Eventfd()));
    const fds = eventfds.map(({ fd }) => fd);
    device.setIrqs(trigger(index, 0, fds));
    resources.defer(() => device.setIrqs(turnOff(index)));
    // What the device raises by itself meanwhile is not ours to judge: it is thrown away first.
    for (const eventfd of eventfds) eventfd.drain();
    for (let vector = 0; vector < tried; vector++) {
      device.setIrqs(raise(index, vector));
      for (const [other, eventfd] of eventfds.entries()) {
        const events = eventfd.drain();
        if (other === vector && events === 0) problems.push(`vector ${vector} does not arrive`);
        if (other !== vector && events > 0) problems.push(`vector ${vector} arrives at ${other}`);
      }
    }
    resources.dispose();
  } catch (error) {
    problems.push(messageOf(error));
  }
  return { index, name, vectors: count, tried, problems };
}

/** The former name of `interruptSelfTest`. @deprecated loopback is VFIO's word for one way to trigger a vector */
export const loopBack: typeof interruptSelfTest = interruptSelfTest;
/** The former name of `InterruptSelfTestResult`. @deprecated */
export type LoopBackResult = InterruptSelfTestResult;
