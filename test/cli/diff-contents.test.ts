// Contents of BARs: by offset, and by register with a map of one's own.
import { expect, setDefaultTimeout, test } from "bun:test";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { readImage, writeImage, type ContentBlock } from "../../src/image/index.ts";
import { bunVfio, root, temporary } from "./run.ts";

// Each test starts the command several times.
setDefaultTimeout(60_000);

const nvme = readImage(readFileSync(join(root, "images/nvme.json"), "utf8"));
const at = (offset: number, ...bytes: number[]): ContentBlock => ({ offset, bytes: Uint8Array.from(bytes) });
const zeros = (size: number): number[] => Array.from({ length: size }, () => 0);

/** Two images that differ in the contents of BAR0 alone. */
function pair(from: readonly ContentBlock[], to: readonly ContentBlock[]) {
  const folder = temporary();
  const put = (name: string, contents: readonly ContentBlock[]): void => {
    const regions = nvme.regions.map((region) => (region.index === 0 ? { ...region, contents } : region));
    writeFileSync(folder.at(name), writeImage({ ...nvme, regions }));
  };
  put("a.json", from);
  put("b.json", to);
  return {
    folder,
    diff: (...options: string[]) => bunVfio(["diff", folder.at("a.json"), folder.at("b.json"), ...options]),
    [Symbol.dispose]: () => folder[Symbol.dispose](),
  };
}

const map = `
import { r32, registerMap, ro, rw } from "${join(root, "src/regs/index.ts")}";
export default registerMap("nvme", 16, {
  cc: r32(0x4, { enable: rw(0), css: rw(6, 4) }),
  csts: r32(0x8, { ready: ro(0) }),
});
`;

test("in whole dwords, from where both have them to where both have them", () => {
  using two = pair(
    [at(0x0, ...zeros(16)), at(0x100, 1, 2, 3, 4, 5, 6, 7, 8)],
    [at(0x2, 0, 0, 0, 0xaa, 0, 0, 0, 0, 0xbb), at(0x104, 5, 6, 7, 9, 1)],
  );
  const { code, out, err } = two.diff("--json");
  expect({ code, err }).toEqual({ code: 1, err: "" });
  const [device] = (JSON.parse(out) as { devices: { contents: unknown }[] }).devices;
  expect(device!.contents).toEqual([
    {
      where: "BAR0",
      differences: [
        { kind: "bytes", offset: 0x4, from: "00000000000000", to: "00aa00000000bb" },
        { kind: "bytes", offset: 0x104, from: "05060708", to: "05060709" },
      ],
    },
  ]);
  expect(two.diff().out).toContain("BAR0\n  bytes [04]: 00 00 00 00 00 00 00 -> 00 aa 00 00 00 00 bb\n");
  expect(two.diff("--json", "--format-version", "1").out).not.toContain('"contents": [');
});

test("a block that begins inside of a dword has the rest of that, and then whole ones", () => {
  using two = pair([at(0x3, ...zeros(9))], [at(0x3, 1, 0, 0, 0, 0, 0, 0, 0, 2)]);
  const [device] = (JSON.parse(two.diff("--json").out) as { devices: { contents: unknown }[] }).devices;
  expect(device!.contents).toEqual([
    {
      where: "BAR0",
      differences: [
        { kind: "bytes", offset: 0x3, from: "00", to: "01" },
        { kind: "bytes", offset: 0x8, from: "00000000", to: "00000002" },
      ],
    },
  ]);
});

test("by register and field with a map, and by offset behind it", () => {
  using two = pair([at(0, ...zeros(0x20))], [at(0, ...zeros(4), 0x21, 0, 0, 0, 1, ...zeros(15), 7, 0, 0, 0)]);
  writeFileSync(two.folder.at("map.ts"), map);
  const { code, out, err } = two.diff("--map", two.folder.at("map.ts"));
  expect({ code, err }).toEqual({ code: 1, err: "" });
  expect(out.slice(out.indexOf("BAR0\n"))).toBe(
    `BAR0
  [04] cc: enable: - -> + (rw)
  [04] cc: css: 0 -> 2 (rw)
  [08] csts: ready: - -> + (ro)
  bytes [18]: 00 00 00 00 -> 07 00 00 00
`,
  );
});

test("a module that is none of maps is refused in words", () => {
  using two = pair([at(0, 1)], [at(0, 2)]);
  for (const [text, message] of [
    ["export default 5;", "its default export must be a register map of BAR0"],
    ["export default { 9: {} };", "its default export must be a register map of BAR0"],
    ["export const x = 1;", "its default export must be a register map of BAR0"],
    ["throw new Error('no');", "it cannot be loaded: no"],
  ] as const) {
    writeFileSync(two.folder.at("map.ts"), text);
    const { code, err } = two.diff("--map", two.folder.at("map.ts"));
    expect([code, err]).toEqual([2, expect.stringContaining(message)]);
  }
  expect(two.diff("--map", two.folder.at("none.ts"))).toMatchObject({
    code: 2,
    err: expect.stringContaining("it cannot be loaded"),
  });
});
