import { VfioError } from "../../../ffi/errors.ts";
import type { PlatformAction, PlatformActionKind } from "./action.ts";

/** Whether an action is to fail. */
export type FaultPredicate = (action: PlatformAction) => boolean;

interface Fault {
  readonly matches: FaultPredicate;
  readonly error: Error | undefined;
  readonly once: boolean;
}

/** An action that the platform refuses, as the kernel would with this errno. */
export function refuse(code: string, message: string, hint?: string): VfioError {
  return new VfioError(message, { code, hint });
}

const describe = (action: PlatformAction): string =>
  Object.entries(action)
    .map(([name, value]) => (name === "kind" ? value : `${name} ${value}`))
    .join(" ");

/** The one way by which anything happens to the platform: faults first, then the effect, then the record of it. */
export class Journal {
  actions: PlatformAction[] = [];
  closed = false;
  readonly #faults = new Set<Fault>();

  /** @throws what a fault holds, or what `effect` throws; then nothing is recorded */
  perform<T>(action: PlatformAction, effect: () => T): T {
    this.check();
    for (const fault of this.#faults) {
      if (!fault.matches(action)) continue;
      if (fault.once) this.#faults.delete(fault);
      throw fault.error ?? refuse("EIO", `fault injected by the test: ${describe(action)}`);
    }
    return this.always(action, effect);
  }

  /** Without faults: taking back what an action that failed had begun must not fail in turn. */
  always<T>(action: PlatformAction, effect: () => T): T {
    const result = effect();
    this.actions.push(action);
    return result;
  }

  /** @throws VfioError if the platform is closed */
  check(): void {
    if (this.closed) throw refuse("ECLOSED", "the platform has been disposed of");
  }

  failNext(kind: PlatformActionKind, error: Error | undefined): void {
    this.#faults.add({ matches: (action) => action.kind === kind, error, once: true });
  }

  failOn(matches: FaultPredicate, error: Error | undefined): () => void {
    const fault: Fault = { matches, error, once: false };
    this.#faults.add(fault);
    return () => void this.#faults.delete(fault);
  }
}
