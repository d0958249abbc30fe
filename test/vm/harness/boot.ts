// Starts a machine, follows its console, and sees to its end.
import { createWriteStream, existsSync } from "node:fs";
import { join } from "node:path";
import { fileText } from "./cache.ts";

/** How a machine ended. */
export interface End {
  /** What the guest gave as its status; undefined where it did not come to that. */
  readonly status: number | undefined;
  /** In words, where it is a failure of the machine itself: it hung, panicked, or QEMU did not start. */
  readonly problem: string | undefined;
  readonly seconds: number;
}

const running = new Set<Bun.Subprocess>();
process.on("exit", () => {
  for (const child of running) child.kill("SIGKILL");
});
for (const [signal, number] of [
  ["SIGINT", 2],
  ["SIGTERM", 15],
  ["SIGHUP", 1],
] as const)
  process.on(signal, () => process.exit(128 + number));

/** Where the console of a machine is kept. */
export const consoleOf = (out: string): string => join(out, "console.log");

/**
 * @param hung aborted where nothing is heard of the guest any more @param autopsy then says where it was
 * @param line hears what appears on the console
 * @param monitor is given this end of the monitor's socket, which is then its own
 */
export async function boot(
  command: readonly string[],
  out: string,
  hung: AbortSignal,
  autopsy: () => Promise<string>,
  line: (text: string) => void,
  monitor: (fd: number) => void,
): Promise<End> {
  const start = performance.now();
  const child = Bun.spawn([...command], {
    // What QEMU itself has to say stands among what the guest says. The fourth is `monitorFd`.
    stdio: ["ignore", "pipe", "pipe", "pipe"],
  });
  running.add(child);
  monitor(child.stdio[3]!);
  const log = createWriteStream(consoleOf(out));
  let told = Promise.resolve();
  hung.addEventListener("abort", () => {
    told = autopsy().then((text) => void log.write(`${text}\n`));
    void told.finally(() => child.kill("SIGKILL"));
  });
  const follow = async (stream: ReadableStream<Uint8Array>): Promise<void> => {
    let rest = "";
    const decoder = new TextDecoder();
    for await (const chunk of stream) {
      const text = decoder.decode(chunk, { stream: true });
      log.write(text);
      const lines = (rest + text).split("\n");
      rest = lines.pop()!;
      for (const one of lines) line(one.replace(/\r+$/, ""));
    }
    if (rest) line(rest);
  };
  try {
    await Promise.all([follow(child.stdout), follow(child.stderr), child.exited]);
    await told;
  } finally {
    running.delete(child);
    await new Promise<void>((done) => log.end(done));
  }
  const seconds = (performance.now() - start) / 1000;
  const { exitCode, signalCode } = child;
  if (hung.aborted) return { status: undefined, problem: "hung", seconds };
  const left = join(out, "exit");
  const status = existsSync(left) ? Number(fileText(left)) : undefined;
  if (status === 0) return { status, problem: undefined, seconds };
  if (status !== undefined) return { status, problem: guestProblem(status), seconds };
  // QEMU gives 0 when the guest reset itself, as it does after a panic.
  const problem = exitCode === 0 ? "panicked or reset itself" : `QEMU ended with ${signalCode ?? exitCode}`;
  return { status, problem, seconds };
}

function guestProblem(status: number): string {
  if (status === 101) return "could not mount the host's folders";
  if (status === 102) return "has no such module, or could not load it";
  return `ended with status ${status}`;
}
