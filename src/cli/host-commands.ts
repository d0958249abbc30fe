// The commands about this host's devices. A command's own module is loaded when it runs: each run needs one.
import { Option, type Command } from "commander";
import type { BindOptions } from "./bind.ts";
import type { DoctorOptions } from "./doctor.ts";
import type { GroupsOptions } from "./groups.ts";
import type { ListOptions } from "./ls.ts";
import type { RecordOptions } from "./record.ts";
import { verdictWords } from "./verdict-text.ts";

const binding = () => require("./bind.ts") as typeof import("./bind.ts");

const named =
  "a device: its BDF (0000:01:00.0, or 01:00.0 of domain 0), vendor:device (8086:10c9), or a name as eth0, nvme0n1";
const json = ["--json", "as JSON (docs/host-commands.md)"] as const;
const force = [
  "--force",
  "even if the host would miss them; waits for those that are open until they are closed",
] as const;
const dryRun = ["--dry-run", "print the writes to sysfs and do none of them"] as const;

/** Adds the commands about this host's devices. @param done takes the exit code of the one that ran */
export function addHostCommands(program: Command, color: boolean, done: (code: number) => void): void {
  program
    .command("ls")
    .description("list the PCI devices of this host, and whether each can be passed through")
    .argument(
      "[what...]",
      "these alone: a BDF, vendor:device (or 8086:), a class (0108), a driver, a name as eth0, or a part of what it is called",
    )
    .addOption(
      new Option("--verdict <state>", "those of one verdict alone").choices(Object.keys(verdictWords)),
    )
    .option("--tree", "as a tree of ports and what is behind them")
    .option(...json)
    .action((words: string[], options: Omit<ListOptions, "color">) => {
      const { listCommand } = require("./ls.ts") as typeof import("./ls.ts");
      done(listCommand(words, { ...options, color }));
    });

  program
    .command("groups")
    .description(
      "print the IOMMU groups and who blocks them; exit code 1 if the host holds one that was named",
    )
    .argument("[device...]", `the groups of these alone: ${named}`)
    .option(...json)
    .action((bdfs: string[], options: Omit<GroupsOptions, "color">) => {
      const { groupsCommand } = require("./groups.ts") as typeof import("./groups.ts");
      done(groupsCommand(bdfs, { ...options, color }));
    });

  program
    .command("doctor")
    .description(
      "check what passing through needs, with the fix of what is missing; exit code 1 if anything is",
    )
    .argument("[device]", `this one as well: ${named}`)
    .option("--memory <size>", "memory that the guest is to have, as 512M or 4G", "1G")
    .option(...json)
    .action((text: string | undefined, options: Omit<DoctorOptions, "color">) => {
      const { doctorCommand } = require("./doctor.ts") as typeof import("./doctor.ts");
      done(doctorCommand(text, { ...options, color }));
    });

  program
    .command("record")
    .description("make an image of a device of this host: through VFIO if it is bound to it, else from sysfs")
    .argument("<device>", named)
    .requiredOption(
      "-o, --output <file>",
      "file to write, readable by its owner alone; - for standard output",
    )
    .option("--rom", "with the contents of its ROM")
    .option("--bar-contents", "with the contents of its BARs; reading a register may have an effect")
    .option("--redact", "with serial numbers, MAC addresses and VPD replaced, and without contents")
    .option("--force", "replace a file that exists")
    .option(...json)
    .action((text: string, options: RecordOptions) => {
      const { recordCommand } = require("./record.ts") as typeof import("./record.ts");
      done(recordCommand(text, options));
    });

  program
    .command("bind")
    .description("bind devices to vfio-pci, all or none; refuses those that the host would miss")
    .argument("<device...>", named)
    .option("--group", "with every other device of their IOMMU groups")
    .option("--driver <name>", "a driver made of vfio-pci instead")
    .option("--persist", "at each start, too: a rule for udev, which unbind and undo delete")
    .option("--undo-file <file>", "write what they were bound to, for bun-vfio undo")
    .option(...force)
    .option(...dryRun)
    .option(...json)
    .action((bdfs: string[], options: BindOptions) => done(binding().bindCommand(bdfs, options)));

  program
    .command("unbind")
    .description("give devices back to the drivers of the host; refuses what bind refuses")
    .argument("<device...>", named)
    .option("--group", "with every other device of their IOMMU groups")
    .option("--undo-file <file>", "write what they were bound to, for bun-vfio undo")
    .option(...force)
    .option(...dryRun)
    .option(...json)
    .action((bdfs: string[], options: BindOptions) => done(binding().unbindCommand(bdfs, options)));

  program
    .command("undo")
    .description("bind devices as they were before; refuses what bind refuses")
    .argument("<file>", "what --undo-file wrote")
    .option(...force)
    .option(...dryRun)
    .option(...json)
    .action((path: string, options: BindOptions) => done(binding().undoCommand(path, options)));
}
