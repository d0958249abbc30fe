// `npm run bench -- --compare`: the table that it prints, the revisions that it checks out, and that it runs.
import { describe, expect, test } from "bun:test";
import { existsSync, readlinkSync } from "node:fs";
import { join } from "node:path";
import { entryPoints } from "../../bench/compare/library.ts";
import { compare, type Measured } from "../../bench/compare/measure.ts";
import { paths, traces } from "../../bench/compare/paths.ts";
import { checkOut, workingTree } from "../../bench/compare/revision.ts";
import { ratio, remarks, table } from "../../bench/compare/table.ts";
import { testNeeding } from "../support/needing.ts";
import { Sandbox } from "../support/sandbox.ts";
import { root } from "../support/tree.ts";

const measured = (rounds: readonly number[], counts: Measured["counts"] = {}): Measured => ({
  rounds,
  counts,
});
const failing: Measured = { rounds: [], counts: {}, failure: "no such export" };

describe("the table", () => {
  const read = {
    path: "config read",
    a: measured([10, 30, 20], { reads: 0 }),
    b: measured([11, 33, 60], { reads: 1 }),
  };
  const attach = { path: "attach", a: measured([2e6], { memory: 10 }), b: measured([1e6], { memory: 8 }) };
  const gone = { path: "gone", a: measured([5, 5, 5]), b: failing };
  const kept = { path: "a device keeps", a: measured([2048]), b: measured([2048]) };

  test("has medians, the spread, the ratio of the rounds and the counts, in columns", () => {
    expect(table([read, attach, gone, kept], "abc", "working tree").split("\n")).toEqual([
      "path            A: abc                B: working tree       B/A   reads   writes  calls  bytes",
      "config read     20.0 ns [10.0-30.0]   33.0 ns [11.0-60.0]   1.10  0 -> 1",
      "attach          2.00 ms [2.00-2.00]   1.00 ms [1.00-1.00]   0.50                         10 -> 8",
      "gone            5.00 ns [5.00-5.00]   failed",
      "a device keeps  2.00 KiB [2.00-2.00]  2.00 KiB [2.00-2.00]  1.00",
    ]);
  });

  test("the ratio is the median of the rounds', each of two neighbours: one slow spell does not move it", () => {
    expect(ratio({ path: "", a: measured([10, 10, 100, 10, 10]), b: measured([12, 12, 120, 90, 12]) })).toBe(
      1.2,
    );
    expect(ratio(gone)).toBeUndefined();
  });

  test("what is slower, counts more or fails is said below it", () => {
    const slow = { path: "slow", a: measured([10]), b: measured([12]) };
    expect(remarks([read, attach, slow, gone, kept])).toEqual([
      "config read: more reads, 0 -> 1",
      "slow: 1.20 times as much",
      "gone: cannot be taken in B: no such export",
    ]);
  });
});

describe("a revision", () => {
  const git = Bun.which("git") ? undefined : "git is not installed: no revision can be checked out";
  testNeeding(
    git,
    "is its own files, with packages of here where the locks are equal; nothing of it stays",
    () => {
      using box = new Sandbox();
      const run = (...args: string[]): void =>
        expect(box.run(["git", "-c", "user.name=a", "-c", "user.email=a@b", ...args])).toMatchObject({
          code: 0,
        });
      box.write("package-lock.json", "{}");
      box.write("file", "first");
      run("init", "-q");
      run("add", ".");
      run("commit", "-qm", "first");
      box.write("file", "second");
      box.write("new", "");
      run("add", ".");
      run("commit", "-qm", "second");
      const checkout = checkOut(box.path, "HEAD^");
      expect(existsSync(join(checkout.root, "file"))).toBe(true);
      expect(existsSync(join(checkout.root, "new"))).toBe(false);
      expect(readlinkSync(join(checkout.root, "node_modules"))).toBe(join(box.path, "node_modules"));
      expect(checkout.name).toMatch(/^[0-9a-f]{9}$/);
      checkout[Symbol.dispose]();
      expect(existsSync(checkout.root)).toBe(false);
      expect(() => checkOut(box.path, "--help")).toThrow("git rev-parse");
      expect(() => checkOut(box.path, "nothing")).toThrow("exits with 1");
    },
    60_000,
  );

  test("is found by its entry points, wherever they lie", () => {
    using box = new Sandbox();
    const moved = box.write("src/somewhere/else.ts", "");
    box.write("package.json", {
      exports: {
        ".": { types: "./dist/x.d.ts", bun: "./src/somewhere/else.ts" },
        "./gone": { bun: "./gone.ts" },
        "./package.json": "./package.json",
      },
    });
    expect([...entryPoints(box.path)]).toEqual([[".", moved]]);
    expect([...entryPoints(root).keys()]).toEqual(
      expect.arrayContaining([".", "./regs", "./ffi", "./image", "./kvm"]),
    );
  });
});

test("every path can be taken, and is counted", () => {
  const here = workingTree(root);
  const rows = compare(here, here, { rounds: 1, smoke: true }, () => {});
  expect(rows.filter(({ a, b }) => a.failure ?? b.failure)).toEqual([]);
  const of = (path: string): Measured => rows.find((row) => row.path === path)!.a;
  for (const path of Object.keys(paths)) {
    expect(of(path).rounds).toEqual([expect.any(Number)]);
    expect(Object.keys(of(path).counts).sort()).toEqual(["calls", "memory", "reads", "writes"]);
  }
  for (const name of traces) expect(of(`replay of ${name}`).counts.reads).toBeGreaterThan(0);
  expect(of("config read, emulated").counts).toMatchObject({ reads: 0, writes: 0, calls: 0 });
  expect(of("config read, of the device").counts).toMatchObject({ reads: 1, calls: 0 });
  expect(of("config write, to the device").counts).toMatchObject({ writes: 1 });
  expect(of("BAR read, trapped").counts).toMatchObject({ reads: 1, writes: 0 });
  expect(of("attach and detach nvme").counts.reads).toBeGreaterThan(0);
  expect(of("an attached nvme keeps").rounds[0]).toBeGreaterThan(1000);
  expect(of("import of all entry points").rounds[0]).toBeGreaterThan(of("bun, an empty program").rounds[0]!);
}, 120_000);

test("the traps beside Rust are measured with a device that does nothing", () => {
  const { exitCode, stdout, stderr } = Bun.spawnSync({
    cmd: [process.execPath, join(root, "bench/traps/subject.ts"), root, "igb", "--mixed", "8", "--smoke"],
    stdout: "pipe",
    stderr: "pipe",
  });
  expect([stderr.toString(), exitCode]).toEqual(["", 0]);
  const found = JSON.parse(stdout.toString()) as Record<string, number>;
  const traps = ["bar-read", "bar-write", "msix-write-off", "msix-write-on", "msix-mask-flip", "msix-read"];
  const others = ["config-read-emulated", "config-read-passed", "config-write", "attach", "heap-bytes"];
  expect(Object.keys(found).sort()).toEqual([...traps, ...others].sort());
  expect(traps.every((path) => found[path]! > 0)).toBe(true);
});
