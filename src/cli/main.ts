#!/usr/bin/env bun
import { writeSync } from "node:fs";
import { version } from "../../package.json";

const standardOutput = 1;

/** The version alone needs none of the commands, whose loading is most of what it would take. */
function printVersion(): boolean {
  try {
    return writeSync(standardOutput, `${version}\n`) > 0;
  } catch {
    // The program says what is wrong, as for any other output.
    return false;
  }
}

const args = process.argv.slice(2);
const isVersion = args.length === 1 && args[0] === "--version";
// Not process.exit: what standard error still has on its way to a pipe would be lost.
if (!isVersion || !printVersion()) process.exitCode = (await import("./program.ts")).runCommand(args);
