// How many message vectors the host gives a device. What the capability says is not that: without interrupt remapping Linux has
// one MSI vector a function, and a host may have given its vectors to others; also one that adds MSI-X vectors one by one.
import { VfioError } from "../../ffi/errors.ts";
import { IrqIndex } from "../../regs/vfio/irqs.ts";
import type { DeviceBackend } from "../seam/backend.ts";
import { trigger, turnOff, unarmed } from "../seam/irq-requests.ts";

/** Of a host that gives fewer, and does not say how many. Why it refuses is clear if it says that it has no more. */
type Refusal = "full" | "unclear";

/** Vectors to offer to the guest, by kind. */
export interface HostVectors {
  readonly msi: number;
  readonly msix: number;
}

/**
 * Asks the host once, by turning each kind on without an eventfd, and off again: a guest that is offered too many does not read
 * back that it got none. INTx must be off.
 * @throws VfioError where a kind does not go off again
 */
export const hostVectors = (backend: DeviceBackend): HostVectors => ({
  msi: vectorsOf(backend, IrqIndex.msi),
  msix: vectorsOf(backend, IrqIndex.msix),
});

function vectorsOf(backend: DeviceBackend, index: number): number {
  const count = backend.irqs[index]?.count ?? 0;
  if (count === 0) return 0;
  const told = given(backend, index, count);
  if (typeof told === "number") return told;
  let max = 0;
  for (let refused = count; refused - max > 1;) {
    const asked = Math.floor((max + refused) / 2);
    if (given(backend, index, asked) === asked) max = asked;
    else refused = asked;
  }
  // What is unclear and holds for any number need not be for want of vectors.
  return max === 0 && told === "unclear" ? count : max;
}

/**
 * How many of so many vectors the host gives. Where it fails for another reason than their number the guest finds out, as it
 * would later.
 */
function given(backend: DeviceBackend, index: number, asked: number): number | Refusal {
  try {
    backend.setIrqs(trigger(index, 0, new Array<number>(asked).fill(unarmed)));
  } catch (cause) {
    if (!(cause instanceof VfioError)) return asked;
    const { code, available } = cause;
    if (code === "EINVAL") return "unclear";
    if (code !== "ENOSPC") return asked;
    return available !== undefined && available >= 0 && available < asked ? available : "full";
  }
  backend.setIrqs(turnOff(index));
  return asked;
}
