import { writeLspci } from "../image/lspci-export.ts";
import { CliError, exitCode } from "./failure.ts";
import { readInput } from "./input.ts";
import { print, writeFiles } from "./output.ts";

export interface ExportOptions {
  readonly output?: string | undefined;
  readonly force?: boolean | undefined;
}

/** Writes devices as text that `lspci -F` reads. */
export function exportCommand(files: readonly string[], { output, force = false }: ExportOptions): number {
  const from = new Map<string, string>();
  const devices = files.flatMap((file) =>
    readInput(file).devices.map(({ bdf, image }) => {
      if (bdf === undefined)
        throw new CliError(`${file}: which device is it? import it first, with --device 0000:01:00.0`);
      const before = from.get(bdf);
      if (before !== undefined)
        throw new CliError(`${file}: ${bdf} is in ${before} as well; a dump has each device once`);
      from.set(bdf, file);
      return image;
    }),
  );
  const text = writeLspci(devices);
  if (output === undefined) print(text);
  else writeFiles([{ path: output, text }], force);
  return exitCode.ok;
}
