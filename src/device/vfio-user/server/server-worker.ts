// A device in a thread of its own: the thread. It blocks until it is told to stop.
import { VfioError } from "../../../ffi/errors.ts";
import type { DeviceModule } from "./options.ts";
import { serveDeviceBlocking } from "./serve-blocking.ts";
import type { ThreadMessage, ThreadStart } from "./server-thread.ts";
import { StopWord } from "./stop-word.ts";
import { messageOf } from "../../../regs/message-of.ts";

declare const self: Worker;

const say = (message: ThreadMessage): void => postMessage(message);

self.onmessage = async ({ data: start }: MessageEvent<ThreadStart>): Promise<void> => {
  try {
    const stopWord = new StopWord(start.stopWord);
    const module = (await import(start.module)) as DeviceModule;
    serveDeviceBlocking(
      (environment, data: unknown) => module.default(environment, data),
      {
        ...start.options,
        onEvent: start.tells ? (event) => say({ kind: "event", event }) : undefined,
        onListening: () => say({ kind: "ready" }),
        control: stopWord,
      },
      start.data,
    );
  } catch (error) {
    const message = messageOf(error);
    say({ kind: "failed", message, code: error instanceof VfioError ? error.code : undefined });
  }
  process.exit();
};
