// Memory that a map is laid over holds all of it.
import { said } from "../said.ts";

/** @throws TypeError for what is no DataView; RangeError where the map does not lie inside of it */
export function checkMemory(map: string, size: number, memory: DataView, base: number): void {
  if (!(memory instanceof DataView))
    throw new TypeError(`"${map}" must be viewed in a DataView, not in ${said(memory)}`);
  if (!Number.isSafeInteger(base) || base < 0 || base + size > memory.byteLength)
    throw new RangeError(
      `"${map}" must lie within the memory's ${memory.byteLength} bytes, not at ${said(base)} with ${size}`,
    );
}
