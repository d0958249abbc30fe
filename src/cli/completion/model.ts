// What shells complete: the commands with their options and arguments, as the program itself has them.
import type { Command, Option } from "commander";

/** What an argument or an option's value is: devices of this host, files, either, some words, or nothing to complete. */
export type Values = "devices" | "files" | "both" | readonly string[] | undefined;

export interface CompletedOption {
  /** `--json`, `-o`. */
  readonly flags: readonly string[];
  readonly description: string;
  /** Undefined where it takes no value, or one that cannot be completed. */
  readonly values: Values;
  readonly takesValue: boolean;
}
export interface CompletedCommand {
  readonly name: string;
  readonly description: string;
  readonly options: readonly CompletedOption[];
  readonly values: Values;
}

const first = (text: string): string => text.replace(/[;:].*$/s, "");

function optionOf({ long, short, description, argChoices, required, flags }: Option): CompletedOption {
  const value = /<(.*)>/.exec(flags)?.[1] ?? "";
  return {
    flags: [short, long].flatMap((flag) => flag ?? []),
    description: first(description),
    takesValue: required,
    values: argChoices ?? (/^(?:file|path|folder)$/.test(value) ? "files" : undefined),
  };
}

/** By what the arguments are called, and what is said of them. */
function valuesOf({ registeredArguments }: Command): Values {
  const [argument] = registeredArguments;
  if (!argument) return undefined;
  if (argument.argChoices) return argument.argChoices;
  if (!/BDF/.test(argument.description)) return "files";
  return /^(?:bdf|what|device)$/.test(argument.name()) ? "devices" : "both";
}

/** Every command of the program, those options among theirs that it has for all. */
export function completedCommands(program: Command): CompletedCommand[] {
  const common = program.options.map(optionOf);
  return program.commands.map((command) => ({
    name: command.name(),
    description: first(command.description()),
    options: [
      ...command.options.map(optionOf),
      ...common.filter(({ flags }) => !flags.includes("--version")),
      { flags: ["-h", "--help"], description: "what it does, and how", takesValue: false, values: undefined },
    ],
    values: valuesOf(command),
  }));
}

/** Where the shells find names of devices: no program is started for them. */
export const deviceFolders = ["/sys/bus/pci/devices", "/sys/class/net", "/sys/class/block"] as const;
