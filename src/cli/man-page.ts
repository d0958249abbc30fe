// The manual page, made of what the program says of itself: roff with the macros of man(7).
import type { Command } from "commander";
import { examples } from "./examples.ts";

/** Text of a line: no backslash, no dot or quote at its start has a meaning, and hyphens can be searched for. */
const roff = (text: string): string =>
  text
    .replaceAll("\\", "\\e")
    .replaceAll("-", "\\-")
    .replace(/^([.'])/gm, "\\&$1");
const bold = (text: string): string => `\\fB${roff(text)}\\fR`;

const entry = (term: string, text: string): string[] => [".TP", term, roff(text)];

function commandLines(command: Command): string[] {
  const known = examples[command.name()] ?? [];
  return [
    `.SS ${roff(`${command.name()} ${command.usage()}`)}`,
    roff(`${command.description()}.`),
    ...command.registeredArguments.flatMap((one) => entry(bold(one.name()), one.description)),
    ...command.options.flatMap(({ flags, description }) => entry(bold(flags), description)),
    ...known.flatMap(([line, what]) => [
      ".PP",
      `${roff(what)}:`,
      ".PP",
      ".nf",
      `.RS\n${roff(line)}\n.RE`,
      ".fi",
    ]),
  ];
}

/** The page as man(1) reads it. @param version of this program */
export function manPage(program: Command, version: string): string {
  return [
    `.TH BUN\\-VFIO 1 "" "bun\\-vfio ${roff(version)}" "User Commands"`,
    ".SH NAME",
    roff(`bun-vfio - ${program.description()}`),
    ".SH SYNOPSIS",
    `${bold("bun-vfio")} ${roff("[options] command [arguments]")}`,
    ".SH DESCRIPTION",
    roff(
      "A device of this host is named by its BDF (0000:01:00.0, or 01:00.0 of domain 0), by vendor:device (8086:10c9), or by what the kernel calls it (eth0, nvme0n1).",
    ),
    ".SH OPTIONS",
    ...program.options.flatMap(({ flags, description }) => entry(bold(flags), description)),
    ".SH COMMANDS",
    ...program.commands.flatMap(commandLines),
    ".SH EXIT STATUS",
    ...entry("0", "All is well."),
    ...entry("1", "Something was found: a difference, a check that fails."),
    ...entry("2", "Bad usage or input, a refusal, or a failure."),
    ".SH ENVIRONMENT",
    ...entry(bold("NO_COLOR"), "No colours, whatever the terminal."),
    ...entry(bold("COLUMNS"), "How wide lines of ls may be where the output is no terminal."),
    ...entry(bold("BUN_VFIO_ROOT"), "A directory that stands for /, for tests."),
    ".SH SEE ALSO",
    `${bold("lspci")}(8), ${bold("setpci")}(8), ${bold("udev")}(7)`,
    "",
  ].join("\n");
}
