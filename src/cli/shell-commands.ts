// What helps at the terminal: completion, the manual page, examples, colours when they are wanted.
import { Argument, Option, type Command } from "commander";
import { bashCompletion } from "./completion/bash.ts";
import { fishCompletion } from "./completion/fish.ts";
import { completedCommands, type CompletedCommand } from "./completion/model.ts";
import { zshCompletion } from "./completion/zsh.ts";
import { exampleText } from "./examples.ts";
import { manPage } from "./man-page.ts";
import { print } from "./output.ts";
import { colorChoices } from "./style.ts";

const shells: Readonly<Record<string, (commands: readonly CompletedCommand[]) => string>> = {
  bash: bashCompletion,
  zsh: zshCompletion,
  fish: fishCompletion,
};

/** Adds them to a program that has all of its other commands. @param version of this program */
export function addShellCommands(program: Command, version: string): void {
  program
    .command("completion")
    .description("print a script that completes commands, options and devices in a shell")
    .addArgument(new Argument("<shell>", "which shell it is for").choices(Object.keys(shells)))
    .action((shell: string) => print(shells[shell]!(completedCommands(program))));
  program
    .command("man")
    .description("print the manual page: bun-vfio man | man -l -")
    .action(() => print(manPage(program, version)));
  program.addOption(
    new Option("--color <when>", "colours: auto is for a terminal, unless NO_COLOR is set")
      .choices(colorChoices)
      .default("auto"),
  );
  for (const command of program.commands) command.addHelpText("after", exampleText(command.name()));
}
