// The commands about files and devices in them. A command's own module is loaded when it runs: each run needs one.
import type { Command } from "commander";
import type { DiffOptions } from "./diff.ts";
import type { ExportOptions } from "./export.ts";
import type { ImportOptions } from "./import.ts";
import { duration, formatVersion, upTo } from "./option-values.ts";
import type { ReplayOptions } from "./replay.ts";
import type { ServeCommandOptions } from "./serve.ts";
import type { ShowOptions } from "./show.ts";
import type { TraceOptions } from "./trace.ts";
import type { ViewOptions } from "./view.ts";

const kinds =
  "an image, the output of lspci -xxxx, a raw config space, or a device of this host (its BDF, vendor:device, or a name as eth0)";

/** Adds the commands. @param color whether they mark text up @param done takes the exit code of the one that ran */
export function addFileCommands(program: Command, color: boolean, done: (code: number) => void): void {
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
      const { showCommand } = require("./show.ts") as typeof import("./show.ts");
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
    .option(
      "--map <file>",
      "a module whose default export has register maps of BARs: contents are compared by them",
    )
    .action((a: string, b: string, options: Omit<DiffOptions, "color">) => {
      const { diffCommand } = require("./diff.ts") as typeof import("./diff.ts");
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
      const { importCommand } = require("./import.ts") as typeof import("./import.ts");
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
      const { exportCommand } = require("./export.ts") as typeof import("./export.ts");
      done(exportCommand(images, options));
    });

  program
    .command("serve")
    .description(
      "give a device to a virtual machine monitor that speaks vfio-user, as QEMU does, until a signal ends it",
    )
    .argument("<file>", `${kinds}; the last bound to vfio-pci`)
    .requiredOption("--socket <path>", "where clients connect: a socket that is made, for this user alone")
    .option("--device <bdf>", "this device of a dump alone")
    .option("--trace", "print each access and what came of it")
    .action((file: string, options: ServeCommandOptions) => {
      const { serveCommand } = require("./serve.ts") as typeof import("./serve.ts");
      done(serveCommand(file, options));
    });

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
      if (trace === undefined) {
        const { replayFlightCommand } = require("./replay-flight.ts") as typeof import("./replay-flight.ts");
        done(replayFlightCommand(file, all));
      } else {
        const { replayCommand } = require("./replay.ts") as typeof import("./replay.ts");
        done(replayCommand(file, trace, all));
      }
    });

  program
    .command("trace")
    .description(
      "print what a flight recorder kept: what the guest did, and what came of it (docs/flight-recorder.md)",
    )
    .argument("<file>", "a flight recorder's file, - for standard input; with --live its socket")
    .option("--live", "print what is recorded from now on, and the newest of before, until the recorder ends")
    .option("--config", "accesses to config space alone")
    .option("--bar <n>", "what has to do with this BAR alone", upTo(5))
    .option("--vector <n>", "what has to do with this interrupt vector alone", upTo(2047))
    .option("--slow <time>", "what took at least as long, as 50us", duration)
    .option("--why", "where nothing answered, something failed, or the model did less than was asked")
    .option(
      "--redact",
      "with serial numbers, MAC addresses and VPD replaced, and what the device said in its BARs as 0",
    )
    .option(
      "-o, --output <file>",
      "write the recording to this file, in place of printing it; - for standard output",
    )
    .option("--force", "replace a file that exists")
    .option("--json", "an object a line")
    .action((file: string, options: TraceOptions) => {
      const { traceCommand } = require("./trace.ts") as typeof import("./trace.ts");
      done(traceCommand(file, options, color));
    });

  program
    .command("view")
    .description(
      "make a page for a browser: registers, addresses, interrupts, a recording as a time line, this host (docs/viewer.md)",
    )
    .argument("<file...>", `${kinds}; a flight recorder's file; or host: all of this host`)
    .option("-o, --output <file>", "file to write instead of standard output, which is -")
    .option("--device <bdf>", "this device of a dump alone; of a raw config space, its BDF")
    .option("--force", "replace a file that exists")
    .option("--serve", "on 127.0.0.1, as it is at each visit, until a signal ends it")
    .option("--port <n>", "to serve at; any that is free without it", upTo(65535))
    .action((words: string[], options: ViewOptions) => {
      const { viewCommand } = require("./view.ts") as typeof import("./view.ts");
      done(viewCommand(words, options));
    });
}
