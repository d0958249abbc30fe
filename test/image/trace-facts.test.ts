// What the recorded guests tell of a device beside its config space.
import { describe, expect, test } from "bun:test";
import { addCapabilities, keptBits } from "../../scripts/trace-facts.ts";
import { parseTrace } from "../../src/image/index.ts";
import { at, syntheticImage, type SyntheticDevice } from "../support/synthetic-image.ts";

const configOf = (device: SyntheticDevice = {}): Uint8Array =>
  syntheticImage({ bars: { 0: { size: 0x1000 } }, pcie: true, ...device }).config.slice();
const hex = (value: number): string => `0x${value.toString(16)}`;

describe("bits that a device keeps", () => {
  const control = hex(at.pcie + 8);
  const kept = (...lines: string[]) => keptBits(configOf(), parseTrace(lines.join("\n")));

  test("written, and not read back", () => {
    expect(kept(`write ${control} 0x10f`, `read ${control} 0xf`)).toEqual([
      { offset: at.pcie + 8, mask: 0x100 },
    ]);
    expect(kept(`write ${control} 0x10f`, `read ${control} 0x10f`)).toEqual([]);
  });

  test("not what the guest wrote in between, or never read", () => {
    expect(kept(`write ${control} 0x100`, `write ${control} 0x0`, `read ${control} 0x0`)).toEqual([]);
    expect(kept(`write ${control} 0x100`)).toEqual([]);
    expect(kept(`read ${control} 0x0`, `write ${control} 0x100`)).toEqual([]);
  });

  test("not a bit that ever had another value, nor one that a reset took back", () => {
    expect(
      kept(`write ${control} 0x1`, `read ${control} 0x1`, `write ${control} 0x1`, `read ${control} 0x0`),
    ).toEqual([]);
    expect(kept(`write ${control} 0x1`, `write ${control} 0x8000`, `read ${control} 0x0`)).toEqual([]);
  });

  test("not what the model answers itself, the reset bit, or what is read-only anyway", () => {
    expect(kept("write 0x10 0xffffffff", "read 0x10 0xfffff000")).toEqual([]);
    expect(kept("write 0x30 0xfffff800", "read 0x30 0x0")).toEqual([]);
    expect(kept(`write ${control} 0x8000`, `read ${control} 0x0`)).toEqual([]);
    expect(kept("write 0x0 0xffffffff", "read 0x0 0x56781234")).toEqual([]);
  });

  test("in order, a dword each, the bytes of any width in their place", () => {
    expect(
      kept("write 0x3c 0xff", `write ${hex(at.pcie + 9)} 0x1`, `read ${control} 0x0`, "read 0x3c 0x0"),
    ).toEqual([
      { offset: 0x3c, mask: 0xff },
      { offset: at.pcie + 8, mask: 0x100 },
    ]);
  });
});

describe("extended capabilities that a dump lacks", () => {
  const seen = parseTrace("read 0x100 0x20001\nread 0x10c 0x462030\nwrite 0x108 0xff\nread 0x108 0xff\n");

  test("are added with what the guest read before it wrote there", () => {
    const config = configOf();
    expect(addCapabilities(config, seen)).toEqual([{ name: "AER", offset: 0x100 }]);
    const memory = new DataView(config.buffer);
    expect([0x100, 0x104, 0x108, 0x10c].map((offset) => memory.getUint32(offset, true))).toEqual([
      0x20001, 0, 0, 0x462030,
    ]);
    expect(addCapabilities(config, seen)).toEqual([]);
  });

  test("after those that it has, as far as the list goes", () => {
    const config = configOf({ extended: [0x03] });
    const memory = new DataView(config.buffer);
    memory.setUint32(0x100, (memory.getUint32(0x100, true) & 0xfffff) | (0x200 << 20), true);
    const before = memory.getUint32(0x100, true);
    expect(addCapabilities(config, parseTrace("read 0x200 0x1000e\nread 0x100 0xffffffff"))).toEqual([
      { name: "ARI", offset: 0x200 },
    ]);
    expect(memory.getUint32(0x100, true)).toBe(before);
  });

  test("none where the guest saw none, and a list in a circle ends", () => {
    for (const text of ["read 0x100 0x0", "read 0x0 0x56781234", "write 0x100 0x20001"]) {
      const config = configOf();
      expect(addCapabilities(config, parseTrace(text))).toEqual([]);
      expect(config).toEqual(configOf());
    }
    const config = configOf();
    expect(addCapabilities(config, parseTrace("read 0x100 0x10010001"))).toHaveLength(1);
  });
});
