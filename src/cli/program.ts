import { existsSync } from "node:fs";
import { Command, CommanderError, InvalidArgumentError } from "commander";
import { version } from "../../package.json";
import type { DecodeFormat } from "../regs/decode.ts";
import { diffCommand, type DiffOptions } from "./diff.ts";
import { exportCommand, type ExportOptions } from "./export.ts";
import { exitCode, failureText } from "./failure.ts";
import { addHostCommands } from "./host-commands.ts";
import { importCommand, type ImportOptions } from "./import.ts";
import { print, ReaderLeft, stdout, tell } from "./output.ts";
import { replayCommand, type ReplayOptions } from "./replay.ts";
import { replayFlightCommand } from "./replay-flight.ts";
import { addShellCommands } from "./shell-commands.ts";
import { addServeCommand } from "./serve.ts";
import { showCommand, type ShowOptions } from "./show.ts";
import { wantsColor } from "./style.ts";
import { sudoHint } from "./sudo-hint.ts";
import { addTraceCommand } from "./trace.ts";

const formatVersion = (text: string): DecodeFormat => {
  if (text === "1" || text === "2") return text === "1" ? 1 : 2;
  throw new InvalidArgumentError("It is 1 or 2.");
};
const kinds =
  "an image, the output of lspci -xxxx, a raw config space, or a device of this host (its BDF, vendor:device, or a name as eth0)";

/** The commands. @param color whether they mark text up @param done takes the exit code of the one that ran */
export function makeProgram(color: boolean, done: (code: number) => void): Command {
  const program = new Command("bun-vfio")
    .description(
      "PCI devices: which of this host can be passed through, and what is in those that were recorded",
    )
    .version(version)
    .exitOverride()
    .configureOutput({ writeOut: print, writeErr: () => {} })
    .addHelpText("after", "\nExit codes: 0 all is well, 1 something was found, 2 bad usage or input.");

  addHostCommands(program, color, done);

  program
    .command("show")
    .description(`print the registers of each device of ${kinds}`)
    .argument("<file...>", `${kinds}; - for standard input`)
    .option(
      "-v, --verbose",
      "registers; twice for every register with its raw value",
      (_, before: number) => before + 1,
      0,
    )
    .option("--json", "as JSON (docs/show-json.md)")
    .option("--format-version <n>", "of the JSON: 2, or 1 as it was before", formatVersion)
    .option("--device <bdf>", "this device of a dump alone; of a raw config space, its BDF")
    .action((files: string[], options: Omit<ShowOptions, "color">) => {
      done(showCommand(files, { ...options, color }));
    });

  program
    .command("diff")
    .description("print what differs between two files, field by field; exit code 1 if anything does")
    .argument("<a>", kinds)
    .argument("<b>", "the same of any kind")
    .option("--json", "as JSON (docs/show-json.md)")
    .option("--format-version <n>", "of the JSON: 2, or 1 as it was before", formatVersion)
    .option("--device <bdf>", "this device of a dump alone")
    .action((a: string, b: string, options: Omit<DiffOptions, "color">) => {
      done(diffCommand(a, b, { ...options, color }));
    });

  program
    .command("import")
    .description("make an image of each device of a file")
    .argument("<file>", kinds)
    .requiredOption(
      "-o, --output <path>",
      "file to write, or directory for BDF.json of each device; - for standard output",
    )
    .option(
      "--resource <file>",
      "the `resource` file of the device in sysfs: it has the sizes of the regions",
    )
    .option("--device <bdf>", "this device of a dump alone; of a raw config space, its BDF")
    .option("--redact", "with serial numbers, MAC addresses and VPD replaced")
    .option("--force", "replace files that exist")
    .action((file: string, options: ImportOptions) => {
      done(importCommand(file, options));
    });

  program
    .command("export")
    .description("write devices as text that lspci -F reads")
    .argument("<image...>", "images")
    .option("-o, --output <file>", "file to write instead of standard output, which is -")
    .option("--redact", "with serial numbers, MAC addresses and VPD replaced")
    .option("--force", "replace a file that exists")
    .action((images: string[], options: ExportOptions) => {
      done(exportCommand(images, options));
    });

  addServeCommand(program, kinds, done);

  program
    .command("replay")
    .description(
      "attach a recorded device, replay a guest's config accesses, and tell what came of it; or run a flight recorder's file again; exit code 1 if something differs that no rule explains",
    )
    .argument("<image>", "an image; or a flight recorder's file alone")
    .argument("[trace]", "lines of `read OFFSET VALUE` or `write OFFSET VALUE`")
    .option("--json", "as JSON (docs/replay-json.md)")
    .option("--trace", "print what the model did instead, a line an entry; with --json an object a line")
    .action((file: string, trace: string | undefined, options: Omit<ReplayOptions, "color">) => {
      const all = { ...options, color };
      done(trace === undefined ? replayFlightCommand(file, all) : replayCommand(file, trace, all));
    });

  addTraceCommand(program, color, done);

  addShellCommands(program, version);
  return program;
}

/**
 * Runs the command: prints, and says what went wrong in one line on standard error.
 * @param args words of the command line after the program's name
 * @returns the exit code
 */
export function runCommand(args: readonly string[]): number {
  let code: number = exitCode.ok;
  const program = makeProgram(wantsColor(process.stdout, args), (done) => {
    code = done;
  });
  return ended(args, () => {
    program.parse(args, { from: "user" });
    return code;
  });
}

/** Runs a command to its end, and says what went wrong; what it has printed is out by then. */
function ended(args: readonly string[], command: () => number): number {
  let code: number;
  try {
    code = attempted(args, command);
    stdout.flush();
  } catch (error) {
    if (error instanceof ReaderLeft) return exitCode.ok;
    tell(failureText(error));
    return exitCode.failed;
  }
  return code;
}

function attempted(args: readonly string[], command: () => number): number {
  try {
    return command();
  } catch (error) {
    if (error instanceof ReaderLeft) throw error;
    const text =
      error instanceof CommanderError ? usageText(error) : failureText(error) + asRoot(error, args);
    if (text === undefined) return exitCode.ok;
    stdout.flush();
    tell(text);
    return exitCode.failed;
  }
}

/** What a failure that root would not meet ends with, where sudo does not find Bun. */
function asRoot(error: unknown, args: readonly string[]): string {
  const { code } = (error ?? {}) as { readonly code?: unknown };
  if (code !== "EACCES" && code !== "EPERM") return "";
  const [bun, script = ""] = [process.execPath, process.argv[1]];
  const hint = sudoHint({ uid: process.getuid?.(), bun, script, args }, existsSync);
  return hint === undefined ? "" : `; ${hint}`;
}

/** What commander says, as one line with the next step; undefined where it has said it all. */
function usageText(error: CommanderError): string | undefined {
  if (error.exitCode === 0) return undefined;
  const said = error.message.replace(/^error: /, "").replace(/\s*\n\s*/g, " ");
  const what = error.code === "commander.help" ? "no command" : said.replace(/\.$/, "");
  return `${what}; see bun-vfio --help`;
}
