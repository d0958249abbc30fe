import { describe, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import {
  configText,
  decodeConfig,
  endpointHeader,
  layoutOf,
  r16,
  registerMap,
  ro,
  rw,
} from "../../src/regs/index.ts";
import { decodeRegisters } from "../../src/regs/decode.ts";
import { registerText } from "../../src/regs/text.ts";

const nvme = new Uint8Array(readFileSync(new URL("../data/config/0000:02:00.0.bin", import.meta.url)));

describe("a recorded NVMe controller", () => {
  test("as data", () => {
    const { header, capabilities, malformations } = decodeConfig(nvme);
    expect([header.type, malformations]).toEqual(["endpoint", []]);
    expect(header.registers).toMatchObject({
      vendorId: 0x1b36,
      deviceId: 0x10,
      baseClass: 1,
      subclass: 8,
      command: { memorySpace: true, busMaster: true, interruptDisable: true },
    });
    expect(capabilities.map(({ name, offset, extended }) => [name, offset, extended])).toEqual([
      ["MSI-X", 0x40, false],
      ["PCIe", 0x80, false],
      ["PM", 0x60, false],
    ]); // prettier-ignore
    expect(capabilities[0]).toEqual({
      id: 0x11,
      name: "MSI-X",
      offset: 0x40,
      extended: false,
      registers: {
        id: 0x11,
        next: 0x80,
        control: { tableSize: 64, functionMask: false, enable: true },
        table: { bir: 0, offset: 0x2000 },
        pba: { bir: 0, offset: 0x3000 },
      },
      values: { vectors: 65 },
    });
    // As it was before: units of 8 bytes, and nothing worked out.
    expect(decodeConfig(nvme, 1).capabilities[0]).toMatchObject({
      registers: { table: { bir: 0, offset: 0x400 }, pba: { bir: 0, offset: 0x600 } },
    });
    expect(decodeConfig(nvme, 1).capabilities[0]).not.toHaveProperty("values");
  });

  test("as text, one line a capability", () => {
    expect(configText(nvme, 0)).toBe(
      [
        "Non-Volatile memory controller [0108]: 1b36:0010 (rev 02) (prog-if 02), endpoint header",
        "\tCapabilities: [40] MSI-X",
        "\tCapabilities: [80] PCIe",
        "\tCapabilities: [60] PM",
        "",
      ].join("\n"),
    );
  });

  test("as text, with registers and with raw values", () => {
    const text = configText(nvme, 1);
    expect(text).toContain("\tControl: I/O+ Mem+ BusMaster+ SpecCycle- MemWINV-");
    expect(text).toContain(
      "\t\tControl: Count: 65, Masked- Enable+\n\t\tVector table: BAR: 0, offset: 00002000\n",
    );
    expect(text).toContain("\t\tLnkSta: Speed: 2.5GT/s, Width: 1, TrErr-");
    expect(text).not.toContain("vendorId");
    const all = configText(nvme, 2);
    expect(all).toContain("\t[00] 0x1b36 vendorId: 1b36\n\t[02] 0x0010 deviceId: 0010\n");
    expect(all).toContain("\t\t[02] 0x8040 Control: Count: 65, LastVector: 64, Masked- Enable+\n");
  });
});

describe("what no map describes", () => {
  test("an unknown capability keeps its bytes up to the next one", () => {
    const config = new Uint8Array(256);
    config[0x06] = 0x10;
    config[0x34] = 0x40;
    config.set([0x77, 0x48, 1, 2, 3, 4, 5, 6, 0x09, 0x00, 0x06, 0xaa, 0xbb, 0xcc], 0x40);
    const { capabilities } = decodeConfig(config);
    expect(capabilities).toEqual([
      { id: 0x77, name: "unknown", offset: 0x40, extended: false, registers: { id: 0x77, next: 0x48 }, bytes: "010203040506" },
      { id: 9, name: "Vendor", offset: 0x48, extended: false, registers: { id: 9, next: 0, length: 6 }, bytes: "aabbcc" },
    ]); // prettier-ignore
    expect(configText(config, 1)).toContain(
      "\tCapabilities: [40] unknown (ID 0x77)\n\t\tBytes: 01 02 03 04 05 06\n",
    );
  });

  test("a long body is cut in the short text, and whole in the long one", () => {
    const config = new Uint8Array(256);
    config[0x06] = 0x10;
    config[0x34] = 0x40;
    config.set([0x77, 0x00, 0xab], 0x40);
    const rows = (verbosity: 1 | 2): string[] =>
      configText(config, verbosity)
        .split("\n")
        .filter((line) => line.includes("Bytes:"));
    expect(rows(1)).toEqual([`\t\tBytes: ab${" 00".repeat(15)} ... (190 bytes)`]);
    expect(rows(2).length).toBe(12);
  });

  test("a header of another layout shows the 16 bytes that all share", () => {
    for (const [layout, type] of [[0x7e, "unknown"]] as const) {
      const config = new Uint8Array(256);
      config[0x0e] = layout;
      const { header } = decodeConfig(config);
      expect([header.type, "command" in header.registers, "bar0" in header.registers]).toEqual([
        type,
        true,
        false,
      ]);
    }
    const { header, malformations } = decodeConfig(nvme.subarray(0, 10));
    expect([header.type, header.registers["revisionId"], "baseClass" in header.registers]).toEqual([
      "unknown",
      2,
      false,
    ]);
    expect(malformations.map(({ kind }) => kind)).toEqual(["truncated"]);
  });

  test("a capability that is cut off or overlapped is its head, and reported", () => {
    const config = new Uint8Array(256);
    config[0x06] = 0x10;
    config[0x34] = 0x40;
    config.set([0x11, 0x44], 0x40);
    config.set([0x01, 0xfc], 0x44);
    config.set([0x11, 0x00], 0xfc);
    const { capabilities, malformations } = decodeConfig(config);
    expect(capabilities.map(({ name, registers }) => [name, Object.keys(registers).length])).toEqual([["MSI-X", 2], ["PM", 6], ["MSI-X", 2]]); // prettier-ignore
    expect(malformations.map(({ kind, offset }) => [kind, offset])).toEqual([["overlap", 0x40], ["truncated", 0xfc]]); // prettier-ignore
    expect(configText(config, 0)).toContain(
      "\tMalformed: MSI-X at 0x40 takes 12 bytes, but only 4 are there\n",
    );
  });
});

describe("values", () => {
  const map = registerMap("map", 16, {
    flags: r16(0, {
      a: ro(0),
      b: rw(1, "B"),
      mode: rw(3, 2, ["x", "y"]),
      n: rw(7, 4, "N"),
      c: rw(8, "S: C"),
      d: rw(9, "S: D"),
    }),
  });

  test("a register's text: flags, values, sections, and what has no name", () => {
    const { registers } = map;
    const decoded = decodeRegisters(map, Uint8Array.of(0x5e, 0x02, 0, 0));
    expect(decoded).toEqual({ flags: { a: false, b: true, mode: "reserved(3)", n: 5, c: false, d: true } });
    expect(registerText(registers.flags, decoded["flags"]!)).toBe("a- B+, mode: reserved(3), N: 5; S: C- D+");
  });

  test("a register past the end of the image is left out", () => {
    expect(decodeRegisters(map, Uint8Array.of(1))).toEqual({});
    expect(layoutOf(new Uint8Array(64)).header!.size).toBe(endpointHeader.size);
  });
});
