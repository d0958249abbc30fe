import { describe, expect, test } from "bun:test";
import { lines, readTree, sources } from "../support/tree.ts";
import { checkRooms, rows } from "./rooms.ts";

const source = sources(readTree());

const imports = (path: string, specifier: string): string[] =>
  lines(checkRooms(new Map([[path, `import "${specifier}";`]])));

describe("the project", () => {
  test("has files in each room that is built", () => {
    for (const room of ["address", "host", "seam", "pci", "dma", "platforms", "passthrough", "replay"]) {
      expect(rows.flat()).toContain(room);
      expect([...source.keys()].filter((path) => path.startsWith(`src/device/${room}/`))).not.toBeEmpty();
    }
  });

  test("keeps each file of the device floor in a room, and each import downwards", () => {
    expect(lines(checkRooms(source))).toEqual([]);
  });
});

test("no file of src/ has more than 280 lines, and half of them have 80 at most", () => {
  const lengths = [...source].map(([path, text]) => [path, text.split("\n").length - 1] as const);
  expect(lengths.filter(([, length]) => length > 280)).toEqual([]);
  expect(lengths.filter(([, length]) => length <= 80).length).toBeGreaterThanOrEqual(lengths.length / 2);
});

describe("a breach is said in plain words", () => {
  const breaches: [path: string, specifier: string, why: string][] = [
    ["seam/x.ts", "../passthrough/a.ts", "seam may not reach up to passthrough"],
    ["pci/x.ts", "../dma/a.ts", "pci may not use dma, which stands beside it"],
    [
      "backends/kernel/x.ts",
      "../recorded/a.ts",
      "backends/kernel may not use backends/recorded, which stands beside it",
    ],
    [
      "backends/kernel/x.ts",
      "../../passthrough/a.ts",
      "backends/kernel may not use passthrough, which stands beside it",
    ],
    [
      "passthrough/x.ts",
      "../host/a.ts",
      "passthrough may not use host: the model knows a device and a platform by the seam alone",
    ],
    [
      "passthrough/bars/x.ts",
      "../../platforms/a.ts",
      "passthrough may not use platforms: the model knows a device and a platform by the seam alone",
    ],
    ["passthrough/config/x.ts", "../bars/a.ts", "passthrough/config may not reach up to passthrough/bars"],
    [
      "passthrough/interrupts/x.ts",
      "../attach.ts",
      "passthrough/interrupts may not reach up to the model's top",
    ],
    [
      "seam/x.ts",
      "../../ffi/a.ts",
      "seam may not use ffi: the seam knows ranges and the registers' floor alone",
    ],
    [
      "seam/x.ts",
      "../../image/a.ts",
      "seam may not use image: the seam knows ranges and the registers' floor alone",
    ],
  ];
  test.each(breaches)("%s to %s", (path, specifier, why) => {
    expect(imports(`src/device/${path}`, specifier)).toEqual([
      `src/device/${path}: imports ${specifier}: ${why}`,
    ]);
  });

  test("a file in no room, of the floor and of the model", () => {
    expect(lines(checkRooms(new Map([["src/device/x.ts", ""]])))).toEqual([
      `src/device/x.ts: stands in no room (${rows.flat().join(", ")})`,
    ]);
    expect(lines(checkRooms(new Map([["src/device/passthrough/msi/x.ts", ""]])))).toEqual([
      "src/device/passthrough/msi/x.ts: stands in no room of the model (config, interrupts, bars)",
    ]);
  });
});

test("down, within a room, and to the floors below is allowed", () => {
  const allowed: [path: string, specifier: string][] = [
    ["replay/x.ts", "../passthrough/a.ts"],
    ["backends/kernel/x.ts", "../../host/a.ts"],
    ["passthrough/bars/x.ts", "../interrupts/a.ts"],
    ["passthrough/x.ts", "./bars/a.ts"],
    ["seam/x.ts", "../address/a.ts"],
    ["seam/x.ts", "../../regs/a.ts"],
    ["pci/x.ts", "./a.ts"],
  ];
  for (const [path, specifier] of allowed) expect(imports(`src/device/${path}`, specifier)).toEqual([]);
});
