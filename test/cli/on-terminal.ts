// Runs of the command on a terminal of its own, and what a person sees there in the end.
import { main } from "./run.ts";

export interface TerminalRun {
  readonly code: number;
  /** All that was written to it. */
  readonly written: string;
  /** The lines that stand there in the end. */
  readonly screen: readonly string[];
}
export interface TerminalOptions {
  readonly env?: Readonly<Record<string, string>>;
  /** What the shell does with the command: `exec "$@"`, or that with files and pipes. */
  readonly shell?: string;
  /** Hears all that was written so far, each time that there is more. */
  readonly heard?: (written: string) => void;
}

/** Runs the command with a terminal of 60 columns as its input, output and standard error. */
export async function onTerminal(
  args: readonly string[],
  options: TerminalOptions = {},
): Promise<TerminalRun> {
  const { env = {}, shell = 'exec "$@"', heard = () => {} } = options;
  const text = new TextDecoder();
  let written = "";
  const child = Bun.spawn(["sh", "-c", shell, "sh", process.execPath, main, ...args], {
    env: { PATH: process.env["PATH"], TERM: "xterm", ...env },
    terminal: {
      cols: 60,
      data(_, bytes) {
        written += text.decode(bytes, { stream: true });
        heard(written);
      },
    },
  });
  const code = await child.exited;
  child.terminal!.close();
  return { code, written, screen: screenOf(written) };
}

/** The lines of a terminal that knows returns, line feeds and EL: whatever else moves the cursor stands in them as it came. */
export function screenOf(written: string): string[] {
  const lines = [""];
  let column = 0;
  for (const [part] of written.matchAll(/\r|\n|\u001b\[K|[^\r\n\u001b]+|\u001b/g)) {
    const line = lines.at(-1)!;
    if (part === "\r") column = 0;
    else if (part === "\n") lines.push("");
    else if (part === "\u001b[K") lines[lines.length - 1] = line.slice(0, column);
    else {
      lines[lines.length - 1] = line.slice(0, column) + part + line.slice(column + part.length);
      column += part.length;
    }
  }
  return lines;
}
