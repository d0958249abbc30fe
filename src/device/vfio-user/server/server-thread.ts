// A device in a thread of its own: this side of it.
import { VfioError } from "../../../ffi/errors.ts";
import { workerModule } from "../../../ffi/worker-module.ts";
import type { DeviceServer, ServeOptions, ServerEvent } from "./options.ts";
import { newStopWord, StopWord } from "./stop-word.ts";

/** What the thread is started with. @internal */
export interface ThreadStart {
  readonly module: string;
  readonly options: Omit<ServeOptions, "onEvent">;
  readonly data: unknown;
  readonly stopWord: SharedArrayBuffer;
  /** Whether anybody hears of events. */
  readonly tells: boolean;
}

/** What the thread says. @internal */
export type ThreadMessage =
  | { readonly kind: "ready" }
  | { readonly kind: "event"; readonly event: ServerEvent }
  | { readonly kind: "failed"; readonly message: string; readonly code: string | undefined };

/** As `serveDevice` with a URL. */
export function startThread(module: URL, options: ServeOptions, data: unknown): DeviceServer {
  const { onEvent, ...rest } = options;
  const memory = newStopWord();
  const stopWord = new StopWord(memory);
  const ready = Promise.withResolvers<void>();
  const ended = Promise.withResolvers<void>();
  // Whoever does not wait for it hears of a failure by `stop`, or not at all.
  ready.promise.catch(() => {});
  const worker = new Worker(workerModule("server-worker", import.meta.url));
  const fail = (message: string, code = "EWORKER"): void =>
    ready.reject(new VfioError(message, { code, device: module.href }));
  worker.addEventListener("message", ({ data: said }: MessageEvent<ThreadMessage>) => {
    if (said.kind === "ready") ready.resolve();
    else if (said.kind === "event") onEvent?.(said.event);
    else fail(said.message, said.code);
  });
  worker.addEventListener("error", (event) => {
    event.preventDefault();
    fail(`the device's thread fails: ${event.message}`);
  });
  worker.addEventListener("close", () => {
    fail("the device's thread has ended");
    ended.resolve();
  });
  const start: ThreadStart = {
    module: module.href,
    options: rest,
    data,
    stopWord: memory,
    tells: onEvent !== undefined,
  };
  worker.postMessage(start);
  const stop = (): Promise<void> => {
    stopWord.stop();
    return ended.promise;
  };
  return { ready: ready.promise, stop, [Symbol.asyncDispose]: stop };
}
