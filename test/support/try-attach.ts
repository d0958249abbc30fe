// An attach that may fail: then it says why in a way that is documented, and leaves nothing behind.
import { expect } from "bun:test";
import type { MemoryPlatform } from "../../src/device/platforms/memory/memory-platform.ts";
import { attach, type Attached, type AttachTest, type WatchedBackend } from "./attached.ts";

/**
 * Attaches or restores.
 * @param documented throws unless the error is one that may be
 * @returns undefined where that failed and nothing leaked
 */
export function tryAttach(
  what: Parameters<typeof attach>[0],
  how: AttachTest,
  documented: (error: unknown) => void,
): Attached | undefined {
  let made: { backend: WatchedBackend; platform: MemoryPlatform } | undefined;
  try {
    return attach(what, {
      ...how,
      prepare: (backend, platform) => {
        made = { backend, platform };
        how.prepare?.(backend, platform);
      },
    });
  } catch (error) {
    documented(error);
    expect((error as Error).message).not.toBe("");
    expect(made!.platform.leaks()).toEqual([]);
    expect(made!.backend.calls.filter(({ kind }) => kind === "close").length).toBe(1);
    made!.platform[Symbol.dispose]();
    return undefined;
  }
}
