// scripts/bun on made-up machines: every folder it looks into, with a stand-in for Bun that says which one it is.
import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { join } from "node:path";
import manifest from "../../package.json" with { type: "json" };
import { Sandbox } from "../support/sandbox.ts";
import { readTree } from "../support/tree.ts";

const least = "1.4.5";
const launcher = readTree().get("scripts/bun") ?? "";
let box: Sandbox;

beforeEach(() => {
  box = new Sandbox();
  box.write("scripts/bun", launcher);
  // A system that has nothing but what the launcher itself needs.
  for (const name of ["sh", "dirname", "head", "chmod"]) {
    const path = Bun.which(name, { PATH: "/usr/bin:/bin" });
    if (path === null) throw new Error(`this system has no ${name}`);
    box.link(path, `bin/${name}`);
  }
});
afterEach(() => box[Symbol.dispose]());

/** A program in Bun's place that answers with a version and else prints its own name and its arguments. */
function standIn(path: string, version: string, mode = 0o755): string {
  return box.write(
    path,
    `#!/bin/sh\n[ "$1" = --version ] && echo ${version} && exit\necho "${path} ran: $*"\n`,
    mode,
  );
}

/** What is left in place of Bun when npm ran no install scripts. */
function shim(path: string): string {
  return box.write(path, "#!/bin/sh\necho 'Error: the postinstall script was not run.' >&2\nexit 1\n", 0o755);
}

function launch(
  env: Record<string, string> = {},
  ...args: string[]
): { code: number; stdout: string; stderr: string } {
  return box.run(["sh", "scripts/bun", ...args], { env: { PATH: join(box.path, "bin"), ...env } });
}

const platform = "node_modules/@oven/bun-linux-x64/bin/bun";
const linked = "node_modules/.bin/bun";

test("asks for the version that package.json asks for", () => {
  expect(manifest.engines.bun).toBe(`>=${least}`);
  expect(launcher).toContain(`\nleast=${least}\n`);
  expect(manifest.devDependencies.bun).toBe(least);
});

describe("finds", () => {
  for (const variant of ["x64", "x64-baseline", "x64-musl", "aarch64", "aarch64-musl"]) {
    test(`the package of the platform ${variant} behind a shim that fails`, () => {
      const path = `node_modules/@oven/bun-linux-${variant}/bin/bun`;
      shim(linked);
      standIn(path, least);
      expect(launch({}, "a b", "c").stdout).toBe(`${path} ran: a b c\n`);
    });
  }

  test("the next one when a platform's program does not start here", () => {
    box.write(platform, "\x7fELF of another processor", 0o755);
    standIn("node_modules/@oven/bun-linux-x64-musl/bin/bun", least);
    expect(launch().stdout).toStartWith("node_modules/@oven/bun-linux-x64-musl/bin/bun ran");
  });

  test("the linked command, where the platform's package was emptied into it", () => {
    standIn(linked, least);
    expect(launch().stdout).toStartWith(`${linked} ran`);
  });

  test("a platform's program that lost its execute bit", () => {
    standIn(platform, least, 0o644);
    expect(launch().stdout).toStartWith(`${platform} ran`);
  });

  test("a Bun of the system, after those of node_modules", () => {
    standIn("bin/bun", "2.0.0");
    expect(launch().stdout).toStartWith("bin/bun ran");
    standIn(linked, least);
    expect(launch().stdout).toStartWith(`${linked} ran`);
  });

  test("the Bun that runs the script, before all others", () => {
    standIn(linked, least);
    const npm_execpath = standIn("elsewhere/bun", "1.5.0");
    const env = { npm_config_user_agent: "bun/1.5.0 npm/? linux x64", npm_execpath };
    expect(launch(env).stdout).toStartWith("elsewhere/bun ran");
  });

  test("a Bun, not the npm that runs the script, though npm answers with a high version too", () => {
    standIn(linked, least);
    const npm_execpath = standIn("elsewhere/npm-cli.js", "11.19.1");
    const env = { npm_config_user_agent: "npm/11.19.1 node/v20.20.2 linux x64", npm_execpath };
    expect(launch(env).stdout).toStartWith(`${linked} ran`);
  });
});

describe("versions", () => {
  for (const version of [
    "1.4.5",
    "1.4.6",
    "1.4.10",
    "1.5.0",
    "1.10.0",
    "2.0.0",
    "1.4.6-canary.7",
    "1.4.5+a7733435c",
  ]) {
    test(`${version} will do`, () => {
      standIn("bin/bun", version);
      expect(launch().code).toBe(0);
    });
  }
  for (const version of [
    "1.4.4",
    "1.3.9",
    "1.3.99",
    "0.9.9",
    "1.4",
    "v1.4.5",
    "bun",
    "1.4.x",
    "'1.4.5\nmore'",
  ]) {
    test(`${JSON.stringify(version)} will not`, () => {
      standIn("bin/bun", version);
      expect(launch().code).toBe(127);
    });
  }
});

describe("with no Bun to run", () => {
  test("says so in one line and exits with 127", () => {
    const { code, stdout, stderr } = launch({}, "test");
    expect(stderr).toBe(
      `bun-vfio needs Bun ${least} or newer and found none: run "npm install" in ${box.path}, or install Bun from https://bun.com\n`,
    );
    expect({ code, stdout }).toEqual({ code: 127, stdout: "" });
  });

  test("says what it found instead, still in one line", () => {
    const shimmed = shim(linked);
    const old = standIn("bin/bun", "1.3.0");
    const { stderr } = launch({}, "test");
    expect(stderr).toContain(`(${shimmed}: no answer; ${old}: 1.3.0)`);
    expect(stderr.trimEnd()).not.toContain("\n");
  });
});

test("keeps the caller's folder, arguments and status", () => {
  box.write(
    linked,
    '#!/bin/sh\n[ "$1" = --version ] && echo 1.4.5 && exit\npwd\nprintf "<%s>" "$@"\nexit 7\n',
    0o755,
  );
  box.write("sub/file", "");
  const outcome = box.run(["sh", "../scripts/bun", "a b", "", "*"], {
    cwd: "sub",
    env: { PATH: join(box.path, "bin") },
  });
  expect(outcome.code).toBe(7);
  expect(outcome.stdout).toBe(`${box.path}/sub\n<a b><><*>`);
});
