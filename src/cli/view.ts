// Makes a page of what a device, a recording or this host is, or serves one of what it is now.
import { VfioError } from "../ffi/errors.ts";
import { pageHtml, pagePolicy, type PageParts } from "../view/page-html.ts";
import { pageParts } from "../view/page-parts.ts";
import { servePage } from "../view/page-server.ts";
import { CliError, exitCode, failureText } from "./failure.ts";
import { print, ReaderLeft, stdout, tell, writeFiles } from "./output.ts";
import { progress } from "./progress.ts";
import { printable } from "../regs/printable.ts";
import { fileReader, viewData } from "./view-data.ts";
import { remembered } from "./view-memory.ts";

export interface ViewOptions {
  /** `-` or undefined: standard output. */
  readonly output?: string | undefined;
  readonly device?: string | undefined;
  readonly force?: boolean | undefined;
  readonly serve?: boolean | undefined;
  /** To serve at; 0 or undefined: any that is free. */
  readonly port?: number | undefined;
}

/** The page is made after this has returned: a bundler makes its script. @returns its exit code */
export function viewCommand(words: readonly string[], options: ViewOptions): number {
  const { output = "-", device, force = false, serve = false } = options;
  if (serve) {
    if (options.output !== undefined) throw new CliError("--serve writes no file: leave out -o");
    return serveView(words, options);
  }
  if (options.port !== undefined) throw new CliError("--port is for --serve");
  if (output === "-" && process.stdout.isTTY)
    throw new CliError("a page is for a browser: give -o FILE, or --serve");
  const data = viewData(words, device, false);
  progress.wait("making the page");
  pageParts()
    .then((parts) => {
      const text = pageHtml(data, parts);
      if (output === "-") print(text);
      else {
        writeFiles([{ path: output, text }], { force, secret: true });
        print(`${printable(output)}\n`);
      }
      stdout.flush();
    })
    .catch(failed);
  return exitCode.ok;
}

function failed(error: unknown): void {
  if (error instanceof ReaderLeft) return;
  tell(failureText(error));
  process.exitCode = exitCode.failed;
}

const signals = ["SIGINT", "SIGTERM"] as const;

/** Serves until SIGINT or SIGTERM: the event loop does the work after this has returned. */
function serveView(words: readonly string[], { device, port }: ViewOptions): number {
  const read = remembered(fileReader(device));
  // What cannot be shown is told now, and not in a browser.
  viewData(words, device, true, read);
  let made: Promise<PageParts> | undefined;
  const make = async (): Promise<{ html: string; policy: string }> => {
    const parts = await (made ??= pageParts());
    return { html: pageHtml(viewData(words, device, true, read), parts), policy: pagePolicy(parts) };
  };
  const server = listening(() => servePage(make, port), port);
  print(`${server.url}\n`);
  const stop = (): void => {
    for (const signal of signals) process.off(signal, stop);
    Promise.resolve(server[Symbol.asyncDispose]()).catch(failed);
  };
  for (const signal of signals) process.on(signal, stop);
  return exitCode.ok;
}

function listening<Result>(listen: () => Result, port = 0): Result {
  try {
    return listen();
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    if (code === undefined) throw error;
    throw new VfioError(`port ${port} of 127.0.0.1: ${message}`, { code, hint: "Give another --port." });
  }
}
