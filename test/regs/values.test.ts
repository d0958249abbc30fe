// What several fields mean together, of each kind: as data, as text, and what differs.
import { describe, expect, test } from "bun:test";
import { configText, decodeConfig, diffConfig } from "../../src/regs/index.ts";

/** A config space with bytes at places, and a list of capabilities where `capabilities` says so. */
function config(bytes: Readonly<Record<number, readonly number[]>>, size = 256): Uint8Array {
  const space = new Uint8Array(size);
  for (const [at, values] of Object.entries(bytes)) space.set(values, Number(at));
  return space;
}
const le32 = (...words: readonly number[]): number[] =>
  words.flatMap((word) => [word & 0xff, (word >>> 8) & 0xff, (word >>> 16) & 0xff, word >>> 24]);

/** A standard capability at 0x40. */
const standard = (...bytes: readonly number[]): Uint8Array =>
  config({ 0x06: [0x10], 0x34: [0x40], 0x40: [bytes[0]!, 0, ...bytes.slice(1)] });
/** An extended capability at 0x100. */
const extended = (id: number, version: number, words: readonly number[]): Uint8Array =>
  config({ 0x100: le32(id | (version << 16), ...words) }, 4096);
const valuesOf = (space: Uint8Array): unknown => decodeConfig(space).capabilities[0]?.values;
const lines = (space: Uint8Array): string[] =>
  configText(space, 1)
    .split("\n")
    .map((line) => line.trim());

describe("BARs", () => {
  const bars = (...words: readonly number[]): unknown =>
    decodeConfig(config({ 0x10: le32(...words) })).header.values;
  const memory = { space: "memory", width: 32, prefetchable: false };
  test("have kind, width and address", () => {
    expect(bars(0xb000000c, 0x380, 0xfe800000, 0xe001)).toEqual({
      region0: { ...memory, address: "0x380b0000000", width: 64, prefetchable: true },
      region2: { ...memory, address: "0xfe800000" },
      region3: { space: "I/O", address: "0xe000", width: 32, prefetchable: false },
    });
    expect(bars(0, 0x2, 0, 0, 4, 0x1)).toEqual({
      region1: { ...memory, address: "0x0", width: 20 },
      region4: { ...memory, address: "0x100000000", width: 64 },
    });
  });

  test("an upper half begins no region, and the last register has none", () => {
    expect(bars(0xc, 0xc, 0xc, 0xc, 0, 4)).toEqual({
      region0: { ...memory, address: "0xc00000000", width: 64, prefetchable: true },
      region2: { ...memory, address: "0xc00000000", width: 64, prefetchable: true },
      region5: { ...memory, address: "0x0", width: 64 },
    });
  });

  test("an address is exact beyond 2^53", () => {
    expect(bars(0xfffffff4, 0xffffffff)).toMatchObject({ region0: { address: "0xfffffffffffffff0" } });
  });

  test("print as addresses, and a change of one too", () => {
    const before = config({ 0x10: le32(0xb000000c, 0x380) });
    expect(lines(before)).toContain("Region 0: Memory at 380b0000000 (64-bit, prefetchable)");
    const after = config({ 0x10: le32(0xb000000c, 0x381) });
    expect(diffConfig(before, after)).toMatchObject([
      {
        label: "Region 0",
        from: "Memory at 380b0000000 (64-bit, prefetchable)",
        to: "Memory at 381b0000000 (64-bit, prefetchable)",
      },
    ]);
  });

  test("the expansion ROM's address is not shifted", () => {
    expect(lines(config({ 0x30: le32(0xfe840001) }))).toContain("Expansion ROM: enable+, address: fe840000");
  });
});

describe("windows of a bridge", () => {
  const bridge = (bytes: Readonly<Record<number, readonly number[]>>): Uint8Array =>
    config({ 0x0e: [1], ...bytes });
  test("are addresses", () => {
    const space = bridge({
      0x1c: [0x41, 0x51],
      0x20: [0x10, 0xf1, 0x20, 0xf1, 0x01, 0x00, 0xf1, 0xff],
      0x28: le32(0x40, 0x41),
      0x30: [1, 0, 1, 0],
    });
    expect(decodeConfig(space).header.values).toEqual({
      ioWindow: { base: "0x14000", limit: "0x15fff", width: 32, open: true },
      memoryWindow: { base: "0xf1100000", limit: "0xf12fffff", width: 32, open: true },
      prefetchableWindow: { base: "0x4000000000", limit: "0x41ffffffff", width: 64, open: true },
    });
    expect(lines(space)).toContain(
      "Prefetchable memory behind bridge: 0000004000000000-00000041ffffffff [size=8G] [64-bit]",
    );
  });

  test("are shut where the base lies above the limit", () => {
    const space = bridge({ 0x1c: [0xf0, 0x00], 0x20: [0xf0, 0xff, 0, 0] });
    expect(lines(space)).toContain("I/O behind bridge: f000-0fff [disabled] [16-bit]");
    expect(lines(space)).toContain("Memory behind bridge: fff00000-000fffff [disabled] [32-bit]");
  });
});

describe("slot power", () => {
  const power = (limit: number, scale: number): unknown =>
    valuesOf(standard(0x10, 0x02, 0x00, ...le32((limit << 18) | (scale << 26))));
  test("is in watts: PCI Express Base Specification 7.5.3.3", () => {
    const table: [limit: number, scale: number, watts: number, above: boolean][] = [
      [75, 0, 75, false],
      [0xef, 0, 239, false],
      [0xf0, 0, 250, false],
      [0xf1, 0, 275, false],
      [0xfe, 0, 600, false],
      [0xff, 0, 600, true],
      [250, 1, 25, false],
      [0xf1, 2, 2.41, false],
      [5, 3, 0.005, false],
    ];
    for (const [limit, scale, watts, above] of table)
      expect(power(limit, scale)).toMatchObject({ slotPower: { watts, above } });
  });
});

describe("times", () => {
  test("of Latency Tolerance Reporting are in ns", () => {
    expect(valuesOf(extended(0x18, 1, [0x1003_0403 - 0]))).toEqual({
      maxSnoop: 3 * 32,
      maxNoSnoop: 3 * 32 ** 4,
    });
    // A scale that is not permitted has no time.
    expect(valuesOf(extended(0x18, 1, [0x1801_0001]))).toEqual({ maxSnoop: 1 });
  });

  test("of L1 substates are in us and ns", () => {
    const space = extended(0x1e, 1, [0x0028_0a1f | (1 << 16), 0x4010_0000, 0x29]);
    expect(valuesOf(space)).toEqual({ portPowerOnTime: 50, ltrThreshold: 16 * 32 ** 2, powerOnTime: 50 });
    expect(lines(space).join("\n")).toContain("PortCommonModeRestoreTime: 10us");
    expect(lines(space).join("\n")).toContain("T_PwrOn: 50us");
  });
});

describe("sizes", () => {
  test("of a resizable BAR by name", () => {
    const space = extended(0x15, 1, [0x0003_0000 << 4, 0x0000_0a22 | (1 << 16)]);
    expect(valuesOf(space)).toEqual({
      bar0Sizes: { bar: 2, current: "1GB", supported: ["64GB", "128GB", "256TB"] },
    });
    expect(lines(space)).toContain("Entry 0: BAR 2: current size: 1GB, supported: 64GB 128GB 256TB");
  });

  test("of the MSI-X table in vectors, and places in bytes", () => {
    const space = standard(0x11, 0x1f, 0x80, ...le32(0x2003, 0x300b));
    expect(decodeConfig(space).capabilities[0]).toMatchObject({
      registers: { table: { bir: 3, offset: 0x2000 }, pba: { bir: 3, offset: 0x3008 } },
      values: { vectors: 32 },
    });
  });
});

describe("Compute Express Link", () => {
  const device = (revision: number, ...words: readonly number[]): Uint8Array =>
    extended(0x23, 1, [(0x3c << 20) | (revision << 16) | 0x1e98, ...words]);
  test("a range is base and size", () => {
    const space = device(2, 0, 0, 0, 0, 4, 0x0000_0003, 0x20, 0x8000_0000, 0, 0, 0, 0, 0x1f);
    expect(valuesOf(space)).toMatchObject({ range1: { base: "0x2080000000", size: "0x400000000" } });
    expect(lines(space)).toContain("Range1: 0000002080000000-000000247fffffff [size=16G]");
    expect(decodeConfig(space).capabilities[0]!.registers["capability3"]).toEqual({
      coldResetHdmState: true,
      warmResetHdmState: true,
      hotResetHdmState: true,
      hotResetConfigurability: true,
      directP2pMem: true,
    });
  });
});

describe("legal values", () => {
  const link = (at: number, word: number): unknown => {
    const space = standard(0x10, 0x02);
    space[at] = word;
    return decodeConfig(space).capabilities[0]!.registers;
  };
  test("of the target link speed: a component of 2.5 GT/s alone may hardwire 0 (PCI Express Base Specification 7.5.3.19)", () => {
    expect(link(0x70, 0)).toMatchObject({ linkControl2: { targetSpeed: "2.5GT/s" } });
    expect(link(0x70, 7)).toMatchObject({ linkControl2: { targetSpeed: "reserved(7)" } });
  });
  test("of the speed of a link that is down", () => {
    expect(link(0x52, 0)).toMatchObject({ linkStatus: { speed: "unknown" } });
  });
  test("two that mean the same differ still", () => {
    const [zero, one] = [standard(0x10, 0x02), standard(0x10, 0x02)];
    one[0x70] = 1;
    expect(diffConfig(zero, one)).toMatchObject([
      { register: "linkControl2", field: "targetSpeed", from: "2.5GT/s (0)", to: "2.5GT/s" },
    ]);
  });
});

describe("nothing is lost:", () => {
  test("reserved bits that are set, and what lies between capabilities", () => {
    const space = standard(0x01, 0x03, 0x00, 0x00, 0x00, 0x00, 0x00);
    // A reserved bit of COMMAND, and bytes of the device's own behind the capability.
    space[0x05] = 0x80;
    space.set([0xde, 0xad], 0x80);
    expect(decodeConfig(space).undescribed).toEqual([
      { offset: 0x05, bytes: "80" },
      { offset: 0x80, bytes: "dead" },
    ]);
    expect(configText(space, 2)).toContain("\tUndescribed: [080] de ad\n");
  });

  test("the body of a capability that is known by its name alone", () => {
    const { capabilities } = decodeConfig(extended(0x2c, 1, [0x1122_3344]));
    expect(capabilities[0]).toMatchObject({ name: "SFI", bytes: expect.stringMatching(/^443322110{8}/) });
  });
});

describe("what else is one value in several registers", () => {
  test("the regions of virtual functions are those of BARs", () => {
    const words = [0, 0, 0, 0, 0, 0, 0, 0, 0x0000000c, 0x381, 0xfe80000c, 0, 0, 0xfd000000, 0];
    const space = extended(0x10, 1, words);
    expect(valuesOf(space)).toEqual({
      region0: { space: "memory", address: "0x38100000000", width: 64, prefetchable: true },
      region2: { space: "memory", address: "0xfe800000", width: 64, prefetchable: true },
      region5: { space: "memory", address: "0xfd000000", width: 32, prefetchable: false },
    });
    expect(lines(space)).toContain("Region 0: Memory at 38100000000 (64-bit, prefetchable)");
  });

  test("an entry of Enhanced Allocation has a base and a last offset of up to 64 bits", () => {
    const entries = [0xc0000104, 0x80000002, 0xfffffffe, 0x380, 0x1, 0x80ff0002, 0xfe800000, 0x000ffffc];
    expect(valuesOf(standard(0x14, 2, 0, ...le32(...entries)))).toEqual({
      entry0BaseWhole: "0x0000038080000000",
      entry0MaxOffsetWhole: "0x00000001ffffffff",
      entry1BaseWhole: "0x00000000fe800000",
      entry1MaxOffsetWhole: "0x00000000000fffff",
    });
  });

  test("MSI's address, with and without what follows its data", () => {
    expect(valuesOf(standard(5, 0x80, 0, ...le32(0xfee00418, 0x12)))).toEqual({
      messageAddress: "0x00000012fee00418",
    });
    expect(valuesOf(standard(5, 0x80, 1, ...le32(0xfee00418, 0x12)))).toEqual({
      messageAddress: "0x00000012fee00418",
    });
  });

  test("multicast's window", () => {
    expect(valuesOf(extended(0x12, 1, [0x1e00, 0x1000000c, 0x380]))).toEqual({
      windowBase: "0x0000038010000000",
      windowRequested: "0x40000000",
    });
  });

  test("times of Readiness Time Reporting", () => {
    expect(valuesOf(extended(0x22, 1, [0x80000000 | (0x405 << 12) | 0x203, 0xfff]))).toEqual({
      reset: 96,
      linkUp: 5120,
      d3hotToD0: 0,
    });
  });

  test("power budgets, in watts", () => {
    expect(valuesOf(extended(4, 1, [0, 0xf1, 0]))).toEqual({ power: { watts: 275, above: false } });
    expect(valuesOf(extended(4, 1, [0, 0x123, 0]))).toEqual({ power: { watts: 3.5, above: false } });
  });
});

describe("root complex links", () => {
  const entry = (description: number, low: number, high: number): readonly number[] => [
    description,
    0,
    low,
    high,
  ];
  const link = (...words: readonly number[]): Uint8Array => extended(0x05, 1, [0x0100, 0, 0, ...words]);
  // PCI Express Base Specification 7.9.8.3.2.2: N, low, high, and what they say.
  const targets: readonly (readonly [
    low: number,
    high: number,
    bus: number,
    device: number,
    fn: number,
    base: string,
  ])[] = [
    [0x0a0f_d000, 0, 0xa0, 0x1f, 5, "0x0"],
    [0xfff1_d000, 0, 0xff, 3, 5, "0xf0000000"],
    [0xfff1_d001, 0, 1, 3, 5, "0xffe00000"],
    [0xfff1_d007, 0x12, 0x7f, 3, 5, "0x12f8000000"],
    [0x0000_8003, 0xffff_ffff, 0, 1, 0, "0xffffffff00000000"],
  ];
  test.each(targets)("to a config space: %p of %p", (low, high, bus, device, fn, base) => {
    expect(valuesOf(link(...entry(3, low, high)))).toMatchObject({
      link0Target: { space: "config", bus, device, function: fn, base },
    });
  });
  test("to registers in memory, whose low 12 bits are reserved", () => {
    expect(valuesOf(link(...entry(1, 0x8000_0fff, 0x40)))).toMatchObject({
      link0Target: { space: "memory", address: "0x4080000000" },
    });
  });
  test("print as an address, behind what is said of the link", () => {
    const shown = lines(link(...entry(3, 0xfff1_d007, 0x12)));
    expect(shown).toContain("Link0: Target: 7f:03.5 of the config space at 12f8000000");
    expect(shown.findIndex((line) => line.startsWith("Link0: Desc"))).toBeLessThan(
      shown.findIndex((line) => line.startsWith("Link0: Target")),
    );
    expect(lines(link(...entry(3, 0x0a0f_d000, 0)))).toContain("Link0: Target: a0:1f.5");
    expect(lines(link(...entry(1, 0x8000_0000, 0)))).toContain("Link0: Target: memory at 80000000");
  });
});

test("lanes and devices of which a bit is set are listed", () => {
  const secondary = extended(0x19, 1, [0, 0x8000_0005]);
  expect(valuesOf(secondary)).toEqual({ laneErrors: [0, 2, 31] });
  expect(lines(secondary)).toContain("LaneErrStat: lanes: 0 2 31");
  expect(lines(extended(0x19, 1, [0, 0]))).toContain("LaneErrStat: lanes: none");
  expect(valuesOf(extended(0x26, 1, [0, 0, 0, 3, 0, 1]))).toEqual({
    localParityErrors: [0, 1],
    firstRetimerParityErrors: [],
    secondRetimerParityErrors: [0],
  });
  expect(lines(extended(0x07, 2, [0x0000_000a, 0]))).toContain("RCiEPBitmap: devices: 1 3");
});

describe("supported link speeds", () => {
  const express = (bits: number): Uint8Array =>
    standard(0x10, 0x12, 0, ...Array.from({ length: 0x28 }, () => 0), bits << 1, 0, 0, 0, 0, 0, 0, 0);
  const shown = (bits: number): unknown =>
    (decodeConfig(express(bits)).capabilities[0]!.registers["linkCapabilities2"] as Record<string, unknown>)[
      "supportedSpeeds"
    ];
  test("are all that are there, with gaps or without", () => {
    const names: readonly (readonly [bits: number, name: string])[] = [
      [0, "none"],
      [0b000001, "2.5GT/s"],
      [0b001111, "2.5-16GT/s"],
      [0b111111, "2.5-64GT/s"],
      [0b000010, "5GT/s"],
      [0b011010, "5GT/s 16-32GT/s"],
      [0b101001, "2.5GT/s 16GT/s 64GT/s"],
    ];
    for (const [bits, name] of names) expect(shown(bits)).toBe(name);
  });
  test("are reserved only where the specification reserves a bit, and tell each set from each other", () => {
    const all = Array.from({ length: 128 }, (_, bits) => String(shown(bits)));
    expect(new Set(all).size).toBe(128);
    expect(all.map((name) => name.startsWith("reserved"))).toEqual(all.map((_, bits) => bits >= 64));
  });
});

test("a reserved scale hides none of its parts, nor do fields that have no meaning together", () => {
  const latency = (scale: number): readonly string[] => lines(extended(0x18, 1, [0x0005 | (scale << 10)]));
  expect(latency(1)).toContain("MaxSnoop: Max snoop latency: 160ns");
  for (const scale of [6, 7]) expect(latency(scale)).toContain(`MaxSnoop: value: 5, scale: ${scale}`);
  const substates = (scale: number): string =>
    lines(extended(0x1e, 1, [0, (scale << 29) | (5 << 16), 3 | (3 << 3)])).join("\n");
  expect(substates(7)).toContain("thresholdValue: 5, thresholdScale: 7");
  expect(substates(7)).toContain("powerOnScale: reserved(3), powerOnValue: 3");
  // Of what is 0 nothing is to be said.
  expect(latency(0).join()).not.toContain("scale");
});

describe("power budgeting, PCI Express Base Specification 6.3, 7.8.1", () => {
  const budget = (control: number, data: number, capability = 0): Uint8Array =>
    extended(0x04, 1, [control << 16, data, capability]);
  // Extended Power Budgeting Enable, Base Power, Data Scale[2:0], watts: table 7-123.
  const powers: readonly (readonly [
    enable: number,
    base: number,
    scale: number,
    watts: number,
    above?: boolean,
  ])[] = [
    [0, 75, 0, 75],
    [0, 0xf0, 0, 250],
    [0, 0xfe, 0, 600],
    [0, 0xff, 0, 600, true],
    [0, 0xf0, 1, 24],
    [1, 0xf0, 0, 240],
    [1, 0xff, 0, 255],
    [1, 75, 3, 0.075],
    [1, 75, 4, 750],
    [1, 12, 5, 1200],
  ];
  test.each(powers)("enabled: %p, base %p, scale %p: %p W", (enable, base, scale, watts, above = false) => {
    const data = base | ((scale & 3) << 8) | ((scale >> 2) << 21);
    expect(valuesOf(budget(enable, data))).toEqual({ power: { watts, above } });
  });
  test("scales that are reserved make no power, and are shown", () => {
    for (const scale of [6, 7]) {
      const space = budget(1, 75 | ((scale & 3) << 8) | (1 << 21));
      expect(valuesOf(space)).toBeUndefined();
      expect(lines(space).join("\n")).toContain("basePower: 75");
    }
  });
  test("every type of connector that is defined has a name of its own", () => {
    const typeOf = (type: number): unknown =>
      (
        decodeConfig(budget(1, ((type << 25) | (1 << 31)) >>> 0)).capabilities[0]!.registers["data"] as {
          connectorType: string;
        }
      ).connectorType;
    const all = Array.from({ length: 64 }, (_, type) => String(typeOf(type)));
    expect(new Set(all).size).toBe(64);
    // 010100b to 101111b, table 7-123.
    expect(all.map((name) => name.startsWith("reserved"))).toEqual(
      all.map((_, type) => type >= 20 && type < 48),
    );
  });
  test("control, support and the sense of each connector", () => {
    const { registers } = decodeConfig(budget(0b1_0110_1111, 0, 0x053977_9e)).capabilities[0]!;
    expect(registers["control"]).toEqual({
      extendedEnable: true,
      powerLimitEnable: true,
      powerLimitSubState: 3,
      outOfBandLimitEnable: true,
      outOfBandLimitSubState: 5,
    });
    expect(registers["capability"]).toEqual({
      systemAllocated: false,
      extendedSupported: true,
      senseDetectSupported: true,
      powerLimitSupported: true,
      powerDisable: "supported",
      powerLossNotification: "supported, acknowledged",
      connector0Sense: 7,
      connector1Sense: 6,
      connector2Sense: 5,
      connector3Sense: 4,
      connector4Sense: 3,
      connector5Sense: 2,
      connector6Sense: 1,
      connector7Sense: 0,
    });
  });
});

test("what has no link says so: 0 is no reserved speed (PCI Express Base Specification 6.3, 7.5.3.6 and 7.9.9.2)", () => {
  const express = standard(0x10, 0x02, ...Array.from({ length: 0x3a }, () => 0));
  expect(decodeConfig(express).capabilities[0]!.registers["linkCapabilities"]).toMatchObject({
    maxSpeed: "unknown",
  });
  const internal = decodeConfig(extended(0x06, 1, [0, 0])).capabilities[0]!.registers;
  expect(internal).toMatchObject({ linkCapabilities: { maxLinkSpeed: "none", supportedLinkSpeeds: "none" } });
  expect(JSON.stringify(internal)).not.toContain("reserved");
});
