import { existsSync } from "node:fs";
import { Command, CommanderError } from "commander";
import { version } from "../../package.json";
import { exitCode, failureText } from "./failure.ts";
import { addFileCommands } from "./file-commands.ts";
import { addHostCommands } from "./host-commands.ts";
import { print, ReaderLeft, stdout, tell } from "./output.ts";
import { progress, progressTerminal } from "./progress.ts";
import { addShellCommands } from "./shell-commands.ts";
import { wantsColor } from "./style.ts";
import { sudoHint } from "./sudo-hint.ts";

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

  addFileCommands(program, color, done);
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
  progress.open(progressTerminal(args));
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
  } finally {
    progress.clear();
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
