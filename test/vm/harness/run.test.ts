// The whole program, with a script in QEMU's place: what it makes of machines that hang, panic and end, and what it leaves.
import { afterEach, beforeEach, describe, expect, setDefaultTimeout, test } from "bun:test";
import { existsSync, readdirSync, utimesSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { Sandbox } from "../../support/sandbox.ts";
import { Preparation } from "./prepare.ts";
import { makeRunFolder } from "./run-folder.ts";

/** Asks for one test file, and does with it what its name says. */
const guest = `#!/bin/sh
for word; do
  case $word in local,id=out,path=*) out=\${word#*path=} out=\${out%%,*} ;; esac
done
case $* in *no-such-device*) echo "qemu: no-such-device is no device" && exit 1 ;; esac
echo "the guest is up"
: >"$out/1.ask"
until [ -e "$out/1.file" ]; do sleep 0.02; done
case $(cat "$out/1.file") in
*hangs*) echo "the last that it said" && exec sleep 600 ;;
*panics*) echo "Kernel panic - not syncing" && exit 0 ;;
esac
echo '<testsuites tests="1" failures="0" skipped="0" time="1"></testsuites>' >"$out/1.xml"
echo 0 >"$out/1.status"
: >"$out/2.ask"
until [ -e "$out/2.file" ]; do sleep 0.02; done
echo 0 >"$out/exit"
`;
const runner = join(import.meta.dir, "../run.ts");
// Each starts a Bun or several, on a machine that may be busy.
setDefaultTimeout(60_000);

let box: Sandbox;
beforeEach(async () => {
  box = new Sandbox();
  for (const name of ["ends", "hangs", "panics"]) box.write(`tree/${name}.test.ts`, "");
  box.write(
    "machines.ts",
    'export const machines = ["one", "two"].map((name) => ({ name, iommu: "none", devices: {} }));',
  );
  const make: ConstructorParameters<typeof Preparation>[3] = async (...args) => {
    const folder = args.at(-1)!.slice(box.path.length + 1);
    box.write(join(folder, "release"), "1");
    box.write(join(folder, "root/usr/lib64/ld-linux-x86-64.so.2"), guest, 0o755);
  };
  const preparation = new Preparation(join(box.path, "cache"), process.execPath, () => {}, make);
  await preparation.of({ name: "one", iommu: "none", devices: {} });
});
afterEach(() => box[Symbol.dispose]());

const command = (...args: string[]): string[] => [
  ...[process.execPath, runner, "--tree", join(box.path, "tree")],
  ...["--machines", join(box.path, "machines.ts"), ...args],
];
const env = (): Record<string, string | undefined> => ({
  ...process.env,
  BUN_VFIO_VM_CACHE: join(box.path, "cache"),
});
const run = (...args: string[]): [number, string] => {
  const { code, stdout, stderr } = box.run(command(...args), { env: env() });
  return [code, stdout + stderr];
};
const one = (suite: string): string[] => ["--machine", "one", "--suite", `${suite}.test.ts`];
const runs = (): string[] => readdirSync(join(box.path, "cache")).filter((name) => name.startsWith("run-"));

describe("a machine", () => {
  test("that ends well: its results, and nothing is left", () => {
    const [code, said] = run(...one("ends"));
    expect(said).toMatch(
      /^vm: one has Linux 1\nvm: one +ends\.test\.ts: 1 passed \(1\.0 s\)\nvm: 1 passed, 0 failed in \d+ s\n$/,
    );
    expect([code, runs()]).toEqual([0, []]);
  });

  test("that hangs is ended, with the end of its console", () => {
    const [code, said] = run(...one("hangs"), "--timeout", "0.5", "--patience", "1");
    expect(said).toContain(
      "the machine hung; the end of its console:\n    the guest is up\n    the last that it said",
    );
    expect([code, runs()]).toEqual([1, []]);
  });

  test("that QEMU does not start is told with what QEMU says", () => {
    box.write(
      "machines.ts",
      'export const machines = [{ name: "one", iommu: "none", devices: { x: { device: "no-such-device" } } }];',
    );
    const [code, said] = run(...one("ends"));
    expect(said).toContain("the machine ended before it asked for a test file; the end of its console:");
    expect(said).toContain("    qemu: no-such-device is no device");
    expect(said).toContain("vm: 0 passed, 1 failed");
    expect([code, runs()]).toEqual([1, []]);
  });

  test("that panics is told with the end of its console", () => {
    const [code, said] = run(...one("panics"));
    expect(said).toContain("the machine panicked or reset itself; the end of its console:");
    expect(said).toContain("    Kernel panic - not syncing");
    expect(code).toBe(1);
  });
});

describe("a run", () => {
  /** Starts one that hangs, until its machine is up. */
  async function hanging(...args: string[]): Promise<Bun.Subprocess> {
    const child = Bun.spawn(command(...one("hangs"), ...args), {
      ...{ env: env(), stdin: "ignore", stdout: "ignore", stderr: "ignore" },
    });
    const up = (): boolean =>
      runs().some((name) => existsSync(join(box.path, "cache", name, "one-1/1.file")));
    while (!up()) await Bun.sleep(20);
    return child;
  }

  test("that is asked to end leaves nothing; what one that was killed leaves, the next removes; it removes no other's", async () => {
    const asked = await hanging();
    asked.kill("SIGTERM");
    expect(await asked.exited).toBe(143);
    expect(runs()).toEqual([]);
    const killed = await hanging();
    const left = runs();
    killed.kill("SIGKILL");
    await killed.exited;
    expect(runs()).toEqual(left);
    const mine = makeRunFolder(join(box.path, "cache"), false);
    expect(runs().map((name) => join(box.path, "cache", name))).toEqual([mine]);
    expect(run(...one("ends"))[0]).toBe(0);
    expect(existsSync(mine)).toBe(true);
  });

  test("keeps what it left, where it says, for as long as nobody removes it", () => {
    const [code, said] = run(...one("ends"), "--keep");
    const kept = /^vm: kept (.*)$/m.exec(said)![1]!;
    expect([code, runs().length]).toEqual([0, 1]);
    expect(readdirSync(join(kept, "one-1"))).toEqual(
      expect.arrayContaining(["console.log", "1.xml", "environment"]),
    );
    expect(run(...one("ends"))[0]).toBe(0);
    expect(existsSync(kept)).toBe(true);
  });

  test("of another boot or container is left alone for a day", () => {
    const cache = join(box.path, "cache");
    const [young, old] = [makeRunFolder(cache, false), makeRunFolder(cache, false)];
    for (const folder of [young, old]) writeFileSync(join(folder, "owner"), "boot pid:[1] 1 1");
    utimesSync(join(old, "owner"), 0, 0);
    makeRunFolder(cache, false);
    expect([existsSync(young), existsSync(old)]).toEqual([true, false]);
  });
});

test("a shell is refused without one machine, before anything is made", () => {
  const empty = join(box.path, "empty");
  for (const machines of [[], ["--machine", "one", "--machine", "two"]]) {
    const outcome = box.run(command("--shell", ...machines), { env: { ...env(), BUN_VFIO_VM_CACHE: empty } });
    expect([outcome.code, outcome.stderr]).toEqual([1, "vm: --shell needs one --machine\n"]);
  }
  expect(run("--shell", "--machine", "three")).toEqual([
    1,
    'vm: there is no machine "three": there are one, two\n',
  ]);
  expect(existsSync(empty)).toBe(false);
});

test.each([
  ["machine = 1", "exports no array `machines`"],
  ["machines = [{}]", 'the name of a machine is letters, digits and "-", not undefined'],
  [
    'machines = [{ name: "a", iommu: "any" }]',
    'a: iommu is one of intel, amd, virtio, smmuv3, none, not "any"',
  ],
  [
    'machines = [{ name: "a", iommu: "none", arch: "s390x" }]',
    'a: arch is one of x86-64, aarch64, not "s390x"',
  ],
  [
    'machines = [{ name: "a", iommu: "none", kernel: "6.1" }]',
    'a: kernel is one of bookworm, trixie, trixie-backports, not "6.1"',
  ],
  ['machines = [{ name: "a", iommu: "none" }]', "a has no `devices`"],
])("a module of machines that is none is refused: %s", (text, message) => {
  const file = box.write("machines.ts", `export const ${text};`);
  const [code, said] = run(...one("ends"));
  expect([code, said]).toEqual([1, expect.stringMatching(/^vm: [^\n]*\n$/)]);
  expect(said).toContain(file);
  expect(said).toContain(message);
});

test("options that there are not, and numbers that are none, are refused in one line", () => {
  expect(run("--nonsense")).toEqual([2, "vm: Unknown option '--nonsense'\n"]);
  expect(run("--jobs", "0")).toEqual([2, 'vm: --jobs must be a number from 1 on, not "0"\n']);
  expect(run("--timeout", "soon")).toEqual([2, 'vm: --timeout must be a number above 0, not "soon"\n']);
});

test("a package that is a link out of the tree is told: the guest has not what it leads to", () => {
  box.write("elsewhere/package.json", {});
  box.write("tree/packages/inside/package.json", {});
  box.link("../../elsewhere", "tree/node_modules/outside");
  box.link("../../../elsewhere", "tree/node_modules/@scope/outside");
  box.link("../packages/inside", "tree/node_modules/inside");
  const [code, said] = run(...one("ends"));
  const told = said.split("\n").filter((line) => line.includes("leads out of the tree"));
  expect(told.map((line) => line.split(" ")[1]).sort()).toEqual([
    "node_modules/@scope/outside",
    "node_modules/outside",
  ]);
  expect(code).toBe(0);
});
