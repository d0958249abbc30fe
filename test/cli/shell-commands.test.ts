// Completion, the manual page, examples and colours.
import { describe, expect, setDefaultTimeout, test } from "bun:test";
import { spawnSync } from "node:child_process";
import { readdirSync } from "node:fs";
import { join } from "node:path";
import { bashCompletion } from "../../src/cli/completion/bash.ts";
import { completedCommands, type CompletedCommand } from "../../src/cli/completion/model.ts";
import { examples } from "../../src/cli/examples.ts";
import { manPage } from "../../src/cli/man-page.ts";
import { makeProgram } from "../../src/cli/program.ts";
import { wantsColor } from "../../src/cli/style.ts";
import { sudoHint } from "../../src/cli/sudo-hint.ts";
import { bunVfio, root } from "./run.ts";

setDefaultTimeout(60_000);

const program = makeProgram(false, () => {});
const commands = completedCommands(program);

describe("completion", () => {
  const script = (shell: string): string => bunVfio(["completion", shell]).out;
  const bash = script("bash");
  /** What bash offers for a line, with the cursor at its end. */
  function offered(line: string): string[] {
    const body = `eval "$1"; COMP_LINE=$2; COMP_POINT=\${#2}; _bun_vfio; printf '%s\\n' "\${COMPREPLY[@]}"`;
    const run = spawnSync("bash", ["-c", body, "bash", bash, line], { cwd: root });
    expect(run.stderr.toString()).toBe("");
    return run.stdout.toString().split("\n").filter(Boolean);
  }

  test("bash: commands, options, choices, files", () => {
    expect(offered("bun-vfio ")).toEqual(commands.map(({ name }) => name));
    expect(offered("bun-vfio und")).toEqual(["undo"]);
    expect(offered("bun-vfio ls --")).toEqual(["--verdict", "--tree", "--json", "--color", "--help"]);
    expect(offered("bun-vfio ls --verdict in")).toEqual(["in-use"]);
    expect(offered("bun-vfio ls --color ")).toEqual(["auto", "always", "never"]);
    expect(offered("bun-vfio completion ")).toEqual(["bash", "zsh", "fish"]);
    expect(offered("bun-vfio bind --undo-file package-l")).toEqual(["package-lock.json"]);
    expect(offered("bun-vfio show images/nv")).toEqual(["images/nvme.json"]);
    expect(offered("bun-vfio bind --driver ")).toEqual([]);
  });

  test("bash: devices of this host, whose colons cut no word", () => {
    const devices = readdirSync("/sys/bus/pci/devices").sort();
    const found = offered("bun-vfio doctor 0000:00:");
    expect(found.sort()).toEqual(
      devices.filter((bdf) => bdf.startsWith("0000:00:")).map((bdf) => bdf.slice("0000:00:".length)),
    );
    for (const name of readdirSync("/sys/class/net"))
      expect(offered(`bun-vfio bind ${name}`)).toContain(name);
  });

  test.each(["zsh", "fish"])("%s: every command with every option", (shell) => {
    const text = script(shell);
    const flag = (one: string): string =>
      shell === "zsh" ? `*${one}[` : one.startsWith("--") ? ` -l ${one.slice(2)}` : ` -s ${one.slice(1)}`;
    const lines = ({ name }: CompletedCommand): string[] =>
      text
        .split("\n")
        .filter((line) =>
          shell === "zsh" ? line.startsWith(`        ${name}) `) : line.includes(`_from ${name}'`),
        );
    for (const command of commands)
      for (const one of command.options.flatMap(({ flags }) => flags))
        expect([command.name, one, lines(command).some((line) => line.includes(flag(one)))]).toEqual([
          command.name,
          one,
          true,
        ]);
  });

  test("text with quotes and brackets stays text", () => {
    const hostile = [
      {
        name: "x",
        description: "it's [a] $(touch nothing) `x`: \\",
        options: [{ flags: ["--y"], description: "o'[b]:c", takesValue: true, values: ["a'b"] }],
        values: ["c'd"],
      },
    ] as const;
    const run = spawnSync("bash", ["-n"], { input: bashCompletion(hostile) });
    expect([run.status, run.stderr.toString()]).toEqual([0, ""]);
  });

  test("a shell that is none", () => {
    expect(bunVfio(["completion", "tcsh"]).err).toContain("Allowed choices are bash, zsh, fish");
  });
});

test("the manual page has every command, option and example, and no macro that is none", () => {
  const page = manPage(program, "1.2.3");
  const plain = page.replaceAll("\\-", "-");
  for (const { name, options } of commands) {
    expect(plain).toContain(`\n.SS ${name}`);
    for (const { flags } of options.filter((one) => !one.flags.includes("-h")))
      expect(plain).toContain(flags.at(-1)!);
  }
  const macros = new Set(page.split("\n").flatMap((line) => /^[.'](\S*)/.exec(line)?.[1] ?? []));
  expect([...macros].sort()).toEqual(["PP", "RE", "RS", "SH", "SS", "TH", "TP", "fi", "nf"]);
  expect(bunVfio(["man"]).out).toStartWith('.TH BUN\\-VFIO 1 "" "bun\\-vfio ');
});

test("every command has examples, whose options are its own; --help shows them", () => {
  expect(Object.keys(examples).sort()).toEqual(commands.map(({ name }) => name).sort());
  for (const [line] of Object.values(examples).flat())
    for (const part of line.split(/[;|>]|\$\(/)) {
      const [word, name, ...rest] = part.trim().replace(/\).*$/, "").split(/\s+/);
      if (word !== "bun-vfio") continue;
      const command = commands.find((one) => one.name === name);
      const known = command?.options.flatMap(({ flags }) => flags) ?? [];
      expect([line, command?.name]).toEqual([line, name]);
      for (const option of rest.filter((one) => one.startsWith("-")))
        expect([line, known]).toEqual([line, expect.arrayContaining([option])]);
    }
  const help = bunVfio(["bind", "--help"]);
  expect(help.out).toContain("Examples:\n  bun-vfio bind 01:00.0 --dry-run\n      the writes to sysfs");
});

test("--color, before or after the command, is above all else", () => {
  const terminal = { isTTY: true };
  expect(wantsColor({}, ["ls", "--color", "always"])).toBe(true);
  expect(wantsColor({}, ["--color=always", "ls"])).toBe(true);
  expect(wantsColor(terminal, ["ls", "--color=never"])).toBe(false);
  expect(wantsColor({}, ["ls", "--color=auto"])).toBe(false);
  expect(wantsColor({}, ["ls", "--", "--color=always"])).toBe(false);
  expect(bunVfio(["show", "images/nvme.json", "--color=always"]).out).toContain("\u001b[1m");
  expect(bunVfio(["--color", "never", "show", "images/nvme.json"]).out).not.toContain("\u001b");
  expect(bunVfio(["show", "images/nvme.json", "--color=red"]).err).toContain(
    "Allowed choices are auto, always",
  );
});

test("sudo that does not find Bun: the line that works", () => {
  const started = {
    uid: 1000,
    bun: "/home/a b/.bun/bin/bun",
    script: join("/srv", "main.ts"),
    args: ["bind", "x'y"],
  };
  expect(sudoHint(started, () => false)).toBe(
    "sudo does not find Bun where it is, so: sudo '/home/a b/.bun/bin/bun' /srv/main.ts bind 'x'\\''y'",
  );
  expect(sudoHint(started, (path) => path === "/usr/local/bin/bun")).toBeUndefined();
  expect(sudoHint({ ...started, uid: 0 }, () => false)).toBeUndefined();
});
