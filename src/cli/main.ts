#!/usr/bin/env bun
import { exitCode, oneLine } from "./failure.ts";
import { runCommand } from "./program.ts";

// A reader that went away, as `head` does, wants no more: that is not a failure of the command.
process.stdout.on("error", (error: NodeJS.ErrnoException) => {
  if (error.code === "EPIPE") return;
  process.stderr.write(`bun-vfio: cannot write the output: ${oneLine(error.message)}\n`);
  process.exitCode = exitCode.failed;
});

// Not process.exit: what is still on its way to a pipe would be lost.
process.exitCode = runCommand(process.argv.slice(2));
