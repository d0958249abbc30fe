import { describe, expect, test } from "bun:test";
import { checkCycles, checkImports, importsOf } from "./imports.ts";
import { lines, readTree, sources } from "../support/tree.ts";

const source = sources(readTree());

/** Files of a made-up project, by path. */
function made(files: Record<string, string>): Map<string, string> {
  return new Map(Object.entries(files));
}

describe("the project", () => {
  test("was found, and its imports are seen", () => {
    expect(source.size).toBeGreaterThan(100);
    expect(importsOf(source.get("src/regs/index.ts") ?? "")).toContain("./bdf.ts");
  });

  test("imports only from the same floor or down, and only the packages of the floor", () => {
    expect(lines(checkImports(source))).toEqual([]);
  });

  test("has no import cycle", () => {
    expect(lines(checkCycles(source))).toEqual([]);
  });
});

describe("an import of every form is caught", () => {
  const up = [
    'import { a } from "../device/a.ts";',
    'import type { A } from "../device/a.ts";',
    'export * from "../device/a.ts";',
    'import "../device/a.ts";',
    'const a = await import("../device/a.ts");',
    'type A = import("../device/a.ts").A;',
  ];
  for (const text of up) {
    test(text, () => {
      const files = made({ "src/regs/x.ts": text, "src/device/a.ts": "" });
      expect(lines(checkImports(files))).toEqual([
        "src/regs/x.ts: imports ../device/a.ts: regs may not reach up to device",
      ]);
    });
  }
});

describe("a breach is caught", () => {
  const breaches: [name: string, path: string, specifier: string, why: string][] = [
    ["device to kvm", "src/device/x.ts", "../kvm/a.ts", "device may not reach up to kvm"],
    ["the face to the command", "src/index.ts", "./cli/a.ts", "device may not reach up to cli"],
    ["the page to the command", "src/view/x.ts", "../cli/a.ts", "view may not reach up to cli"],
    ["Node's module in a browser", "src/view/page/x.ts", "node:fs", "that package may not be used here"],
    ["what was built, but by its reader", "src/view/x.ts", "../../dist/view-page.json", "no such file"],
    ["kvm to the command", "src/kvm/x.ts", "../cli/a.ts", "kvm may not reach up to cli"],
    ["image to the face of device", "src/image/x.ts", "../index.ts", "image may not reach up to device"],
    ["ffi to image", "src/ffi/x.ts", "../image/a.ts", "ffi may not reach up to image"],
    ["a missing file", "src/device/x.ts", "./gone.ts", "no such file"],
    ["Bun's module on the lowest floor", "src/regs/x.ts", "bun", "that package may not be used here"],
    ["Bun's FFI on the lowest floor", "src/regs/x.ts", "bun:ffi", "that package may not be used here"],
    ["Node's module on the lowest floor", "src/regs/x.ts", "node:fs", "that package may not be used here"],
    ["typed-struct beside the structs", "src/regs/x.ts", "typed-struct", "that package may not be used here"],
    ["zod in the model", "src/device/x.ts", "zod", "that package may not be used here"],
    ["commander in the model", "src/device/x.ts", "commander", "that package may not be used here"],
    ["package.json outside the command", "src/device/x.ts", "../../package.json", "no such file"],
    ["a package nobody listed", "src/cli/x.ts", "left-pad", "that package may not be used here"],
    ["Node's module without its prefix", "src/device/x.ts", "fs", "that package may not be used here"],
  ];
  for (const [name, path, specifier, why] of breaches) {
    test(name, () => {
      const others = made({
        "src/kvm/a.ts": "",
        "src/cli/a.ts": "",
        "src/image/a.ts": "",
        "src/index.ts": "",
      });
      others.set(path, `import "${specifier}";`);
      expect(lines(checkImports(others))).toEqual([`${path}: imports ${specifier}: ${why}`]);
    });
  }

  test("an import that leaves src", () => {
    const files = made({ "src/cli/x.ts": 'import "../../test/a.ts";', "test/a.ts": "" });
    expect(lines(checkImports(sources(files)))).toEqual([
      "src/cli/x.ts: imports ../../test/a.ts: no such file",
    ]);
  });

  test("a file of no floor", () => {
    expect(lines(checkImports(made({ "src/util.ts": "" })))).toEqual([
      "src/util.ts: belongs to no floor (regs, ffi, image, device, kvm, view, cli)",
    ]);
  });

  test("a cycle through three files, type-only imports too", () => {
    const files = made({
      "src/regs/a.ts": 'import { b } from "./b.ts";',
      "src/regs/b.ts": 'import type { C } from "./c.ts";',
      "src/regs/c.ts": 'import { a } from "./a.ts";',
      "src/regs/d.ts": 'import { a } from "./a.ts";',
    });
    expect(lines(checkCycles(files))).toEqual([
      "src/regs/a.ts: import cycle: src/regs/a.ts > src/regs/b.ts > src/regs/c.ts > src/regs/a.ts",
    ]);
  });
});

describe("what is allowed passes", () => {
  test("down, sideways, and the packages of a floor", () => {
    const files = made({
      "src/index.ts": 'export * from "./device/a.ts";',
      "src/cli/a.ts":
        'import "commander"; import "zod"; import "../index.ts"; import "../kvm/a.ts"; import "node:fs";',
      "src/cli/main.ts": 'import "../../package.json";',
      "src/kvm/a.ts": 'import "../device/a.ts"; import "../ffi/a.ts"; import "bun";',
      "src/device/a.ts":
        'import "../image/a.ts"; import "./passthrough/snapshot-schema.ts"; import "./passthrough/bars/bars-schema.ts";',
      "src/device/passthrough/snapshot-schema.ts": 'import "zod";',
      "src/device/passthrough/bars/bars-schema.ts": 'import "zod";',
      "src/image/a.ts": 'import "zod"; import "../regs/ioctl/a.ts"; import "../ffi/a.ts";',
      "src/ffi/a.ts": 'import "bun:ffi"; import "../regs/ioctl/a.ts";',
      "src/regs/ioctl/a.ts": 'import "typed-struct";',
    });
    expect(lines(checkImports(files))).toEqual([]);
    expect(lines(checkCycles(files))).toEqual([]);
  });
});
