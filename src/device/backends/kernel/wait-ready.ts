import { endpointHeader } from "../../../regs/maps/header.ts";
import { VfioError } from "../../../ffi/errors.ts";
import { allOnes } from "../../seam/guest-answers.ts";

/** What may last that long is given up: a function is ready 1 s after a reset (PCI Express Base Specification 6.6.1). */
export const defaultResetTimeout = 1000;
/** The dword of revision and class. Those before it are the kernel's own copy, and say nothing of the device. */
export const aliveOffset: number = endpointHeader.register("revisionId").at;
const firstPause = 1;
const longestPause = 50;

/** Asks with `read`, which fills the dword at `aliveOffset`. @returns what asks; undefined where it cannot be read */
export function answerBy(read: (data: Uint8Array) => void): () => number | undefined {
  const word = new DataView(new ArrayBuffer(4));
  return () => {
    try {
      read(new Uint8Array(word.buffer));
      return word.getUint32(0, true);
    } catch {
      return undefined;
    }
  };
}

/**
 * Waits until a device answers config reads. The kernel has waited already, as long as it knows how to tell.
 * @param read the dword at `aliveOffset`; undefined where it cannot be read
 * @param timeout in ms
 * @throws VfioError ETIMEDOUT
 */
export function waitAlive(bdf: string, read: () => number | undefined, timeout: number): void {
  let pause = firstPause;
  for (let waited = 0; ; waited += pause, pause = Math.min(2 * pause, longestPause)) {
    const value = read();
    if (value !== undefined && value !== allOnes(4)) return;
    if (waited >= timeout)
      throw new VfioError(`${bdf}: does not answer ${timeout} ms after its reset`, {
        code: "ETIMEDOUT",
        device: bdf,
        hint: "It may be in D3cold or gone: close it, remove it (echo 1 > remove in its folder in sysfs) and rescan the bus; some devices come back only after a power cycle.",
      });
    Bun.sleepSync(pause);
  }
}
