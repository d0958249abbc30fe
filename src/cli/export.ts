// `export`: devices as text that lspci -F reads, each written as it is read.
import { lspciDevice } from "../image/lspci-export.ts";
import { Redaction } from "../image/redact.ts";
import { CliError, exitCode } from "./failure.ts";
import { openInput } from "./input.ts";
import { OutputFiles, print, stdout } from "./output.ts";
import { noteSkipped } from "./skipped-note.ts";

export interface ExportOptions {
  readonly output?: string | undefined;
  readonly force?: boolean | undefined;
  readonly redact?: boolean | undefined;
}

/** Writes devices as text that `lspci -F` reads. */
export function exportCommand(files: readonly string[], options: ExportOptions): number {
  const { output, force = false } = options;
  const redaction = options.redact ? new Redaction() : undefined;
  using written = new OutputFiles({ force });
  const file = output === undefined || output === "-" ? undefined : written.create(output);
  const write = file ? buffered(file.write) : { text: print, end: () => {} };
  const from = new Map<string, string>();
  try {
    for (const path of files) {
      const input = openInput(path);
      for (const { bdf, config, unknown } of input.devices) {
        if (bdf === undefined)
          throw new CliError(
            `${input.path}: which device is it? import it first, with --device 0000:01:00.0`,
          );
        const before = from.get(bdf);
        if (before !== undefined && (before !== input.path || input.kind === "image"))
          throw new CliError(`${input.path}: ${bdf} is in ${before} as well; a dump has each device once`);
        from.set(bdf, input.path);
        const shown = redaction ? redaction.config(config, unknown) : config;
        write.text(lspciDevice({ bdf, config: shown, unknown }));
      }
      noteSkipped(input);
    }
  } catch (error) {
    stdout.drop();
    throw error;
  }
  write.end();
  file?.end();
  written.commit();
  return exitCode.ok;
}

/** Characters that wait before they are written. */
const atOnce = 65536;

function buffered(write: (text: string) => void): { text(text: string): void; end(): void } {
  let waiting = "";
  const end = (): void => {
    if (waiting !== "") write(waiting);
    waiting = "";
  };
  return {
    text: (text) => {
      waiting += text;
      if (waiting.length >= atOnce) end();
    },
    end,
  };
}
