// The summing of .ci/run, with steps made up to pass, to fail and to lie.
import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { Sandbox } from "../support/sandbox.ts";

let box: Sandbox;
beforeEach(() => {
  box = new Sandbox();
  box.copy([".ci", "scripts", "package.json"]);
});
afterEach(() => box[Symbol.dispose]());

/** Runs shell lines between the start and the end of .ci/run; gives its last line and its status. */
function ci(script: string): { code: number; last: string; stderr: string } {
  box.write("script", `set -uo pipefail\n. .ci/lib.sh\n${script}\nfinish\n`);
  const { code, stdout, stderr } = box.run(["bash", "script"]);
  return { code, last: stdout.trimEnd().split("\n").at(-1) ?? "", stderr };
}

/** A shell function that leaves a report of the given totals and exits with a status. */
function suite(
  name: string,
  totals: { tests: number; failures?: number; skipped?: number },
  status = 0,
): string {
  const { tests, failures = 0, skipped = 0 } = totals;
  const xml = `<testsuites name="bun test" tests="${tests}" assertions="9" failures="${failures}" skipped="${skipped}" time="0.1">
  <testsuite name="a" tests="1000" failures="1000" skipped="1000" />
</testsuites>`;
  return `${name}() { echo '${xml}' > "$BUN_VFIO_JUNIT/${name}.xml"; return ${status}; }`;
}

describe("totals", () => {
  test("of two suites are added, those of their parts are not", () => {
    const script = `${suite("unit", { tests: 40 })}\n${suite("package", { tests: 2 })}\nstep unit unit\nstep package package`;
    expect(ci(script)).toMatchObject({ code: 0, last: "42 passed, 0 failed" });
  });

  test("of a failing suite are its own: its status is not counted again", () => {
    const script = `${suite("unit", { tests: 10, failures: 3 }, 1)}\nstep unit unit`;
    expect(ci(script)).toMatchObject({ code: 1, last: "7 passed, 3 failed" });
  });

  test("count a skipped test as failed", () => {
    const script = `${suite("unit", { tests: 10, skipped: 1 })}\nstep unit unit`;
    const { code, last, stderr } = ci(script);
    expect({ code, last }).toEqual({ code: 1, last: "9 passed, 1 failed" });
    expect(stderr).toContain("1 tests of unit.xml were skipped");
  });

  test("of what Bun itself writes are right", () => {
    box.write(
      "a.test.ts",
      'import { expect, test } from "bun:test";\ntest("a", () => {});\ntest("b", () => {});\ntest("c", () => expect(1).toBe(2));\ntest.todo("d");\n',
    );
    const command = `'${process.execPath}' test --reporter=junit --reporter-outfile="$BUN_VFIO_JUNIT/unit.xml"`;
    expect(ci(`step unit ${command}`)).toMatchObject({ code: 1, last: "2 passed, 2 failed" });
  });
});

describe("counted as one failed:", () => {
  const ok = `${suite("unit", { tests: 5 })}\nstep unit unit`;
  const cases: [name: string, script: string, last: string, why: string][] = [
    [
      "a step that only exits with an error",
      `${ok}\nstep - false`,
      "5 passed, 1 failed",
      "false exited with 1",
    ],
    [
      "a command that does not exist",
      `${ok}\nstep - no-such-command`,
      "5 passed, 1 failed",
      "exited with 127",
    ],
    [
      "a suite that exits with an error though its tests passed",
      `${suite("unit", { tests: 5 }, 3)}\nstep unit unit`,
      "5 passed, 1 failed",
      "unit exited with 3",
    ],
    ["a suite that left no report", `${ok}\nstep gone true`, "5 passed, 1 failed", "left no report gone"],
    [
      "a suite that died before its report",
      `${ok}\nstep gone false`,
      "5 passed, 1 failed",
      "left no report gone",
    ],
    [
      "a report that holds no test",
      `${suite("none", { tests: 0 })}\nstep none none`,
      "0 passed, 1 failed",
      "no test",
    ],
    [
      "a report without totals",
      'cut() { echo "<testsuites" > "$BUN_VFIO_JUNIT/cut.xml"; }\nstep cut cut',
      "0 passed, 1 failed",
      "no totals",
    ],
    ["a run of nothing", "", "0 passed, 1 failed", "nothing ran"],
  ];
  for (const [name, script, last, why] of cases) {
    test(name, () => {
      const outcome = ci(script);
      expect(outcome).toMatchObject({ code: 1, last });
      expect(outcome.stderr).toContain(why);
    });
  }
});

test("a step that reads its input gets none", () => {
  const script = `${suite("unit", { tests: 1 })}\nstep unit unit\nstep - cat`;
  expect(ci(script)).toMatchObject({ code: 0, last: "1 passed, 0 failed" });
});

describe(".ci/run", () => {
  /** Programs in the place of the system's: only npm does anything, and what it does is given. */
  function run(npm: string): { code: number; last: string } {
    for (const name of ["lspci", "gcc", "apt-get", "git"]) box.write(`bin/${name}`, "#!/bin/sh\n", 0o755);
    box.write("bin/npm", `#!/bin/sh\n[ "$CI" = true ] || exit 99\n${npm}\n`, 0o755);
    box.write("scripts/uapi-headers.sh", "exit 0\n");
    const env = { ...process.env, CI: undefined, PATH: `${box.path}/bin:${process.env["PATH"] ?? ""}` };
    const { code, stdout } = box.run(["bash", `${box.path}/.ci/run`], { env });
    return { code, last: stdout.trimEnd().split("\n").at(-1) ?? "" };
  }
  const report = (name: string, tests: number): string =>
    `echo '<testsuites tests="${tests}" failures="0" skipped="0">' > "$BUN_VFIO_JUNIT/${name}.xml"`;
  const works = `case "$1 $2" in "test "*) ${report("unit", 30)} ;; "run test:package") ${report("package", 4)} ;; "run test:vm") ${report("vm", 6)} ;; esac`;

  test("adds up the steps", () => {
    expect(run(works)).toEqual({ code: 0, last: "40 passed, 0 failed" });
  });

  test("installs from package.json when the lock does not serve", () => {
    expect(run(`[ "$1" = ci ] && exit 1\n${works}`)).toEqual({ code: 0, last: "40 passed, 0 failed" });
  });

  test("counts an install that fails, and goes on", () => {
    const broken = `case "$1" in ci | install) exit 1 ;; esac\n${works}`;
    expect(run(broken)).toEqual({ code: 1, last: "40 passed, 1 failed" });
  });

  test("counts a failing npm test whose report says that all passed", () => {
    expect(run(`${works}\n[ "$1" != test ]`)).toEqual({ code: 1, last: "40 passed, 1 failed" });
  });

  test("counts a benchmark that fails", () => {
    box.write("bench/index.ts", "");
    expect(run(`${works}\n[ "$2" != bench ]`)).toEqual({ code: 1, last: "40 passed, 1 failed" });
  });
});

describe("scripts/test", () => {
  /** A launcher in the place of Bun's whose named commands fail. The folder of programs has those that are named. */
  function steps(
    failing: string,
    names: string[] = [],
    programs: readonly string[] = ["shellcheck"],
    env: Record<string, string> = {},
  ): { code: number; stdout: string; stderr: string } {
    box.write("scripts/bun", `case " ${failing} " in *" $1 "*) exit 1 ;; esac\n`);
    for (const name of programs)
      box.write(`bin/${name}`, '#!/bin/sh\n[ "$1" = --severity=warning ]\n', 0o755);
    const folder = `programs-${programs.join("-")}`;
    if (!existsSync(join(box.path, folder)))
      for (const name of ["sh", "dirname", "find"]) box.link(Bun.which(name)!, `${folder}/${name}`);
    const PATH = join(box.path, folder);
    for (const name of programs)
      box.write(`${folder}/${name}`, '#!/bin/sh\n[ "$1" = --severity=warning ]\n', 0o755);
    return box.run([join(PATH, "sh"), "scripts/test", ...names], { env: { ...env, PATH } });
  }

  test("runs the five steps, and says so", () => {
    const { code, stdout } = steps("");
    expect(stdout).toBe(
      "== fmt\n== lint\n== check\n== unit\n== types\n== passed: fmt lint check unit types\n",
    );
    expect(code).toBe(0);
  });

  test("goes on after a failing step, and names it at the end", () => {
    const { code, stdout, stderr } = steps("check");
    expect(stdout).toBe("== fmt\n== lint\n== check\n== unit\n== types\n");
    expect(stderr).toBe("== failed: check (one step alone: sh scripts/test check)\n");
    expect(code).toBe(1);
  });

  test("without shellcheck lint says so, and fails only where everything is to be checked", () => {
    const stderr = "scripts/test: shellcheck is not installed: the shell scripts were not checked\n";
    expect(steps("", ["lint"], [])).toEqual({ code: 0, stdout: "== lint\n== passed: lint\n", stderr });
    const strict = steps("", ["lint"], [], { CI: "true" });
    expect(strict).toMatchObject({ code: 1, stdout: "== lint\n" });
    expect(strict.stderr).toStartWith(stderr);
    expect(steps("node_modules/@biomejs/biome/bin/biome", ["lint"]).code).toBe(1);
  });

  test("leaves a failure to count for each failing step that has no report of its own", () => {
    box.write(
      "scripts/bun",
      'case $1 in check | node_modules/*) exit 1 ;; test) : >"$BUN_VFIO_JUNIT/unit.xml"; exit 1 ;; esac\n',
    );
    const { last } = ci(`step - sh scripts/test fmt check types`);
    expect(last).toBe("0 passed, 2 failed");
    expect(ci("step unit sh scripts/test unit").stderr).toContain("unit.xml has no totals");
  });

  test("refuses a step that it does not know, before it runs any", () => {
    expect(steps("", ["fmt", "polish"])).toEqual({
      code: 2,
      stdout: "",
      stderr: 'scripts/test: no step is called "polish": fmt, lint, check, unit, types, package\n',
    });
  });
});
