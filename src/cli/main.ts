#!/usr/bin/env bun
import { runCommand } from "./program.ts";

// Not process.exit: what standard error still has on its way to a pipe would be lost.
process.exitCode = runCommand(process.argv.slice(2));
