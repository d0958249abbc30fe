// Fields whose bits count units, leave one out, or hold a part of a number: by hand, with the section that says so.
import { expect, test } from "bun:test";
import { decodeConfig } from "../../src/regs/index.ts";

const le32 = (words: readonly number[]): number[] =>
  words.flatMap((word) => [word & 0xff, (word >>> 8) & 0xff, (word >>> 16) & 0xff, word >>> 24]);

interface Row {
  readonly what: string;
  readonly section: string;
  /** Bytes at places of config space. */
  readonly bytes: Readonly<Record<number, readonly number[]>>;
  /** Of the header, or of the first capability of the list. */
  readonly of: "header" | "capability";
  readonly values?: Readonly<Record<string, unknown>>;
  readonly fields?: Readonly<Record<string, Readonly<Record<string, unknown>>>>;
}

const standard = (...bytes: readonly number[]): Row["bytes"] => ({ 6: [0x10], 0x34: [0x40], 0x40: bytes });
const extended = (id: number, ...words: readonly number[]): Row["bytes"] => ({
  0x100: le32([id | 0x1_0000, ...words]),
});
const virtio = { 0: [0xf4, 0x1a, 0x50, 0x10] };

const rows: readonly Row[] = [
  {
    what: "cache line size: units of 4 bytes",
    section: "PCI 3.0, 6.2.4",
    bytes: { 0x0c: [16] },
    of: "header",
    values: { cacheLine: 64 },
  },
  {
    what: "Min_Gnt, Max_Lat: units of 250 ns",
    section: "PCI 3.0, 6.2.4",
    bytes: { 0x3e: [3, 255] },
    of: "header",
    values: { burstTime: 750, busLatency: 63_750 },
  },
  {
    what: "PM data: value and scale",
    section: "PCI Power Management 1.2, 3.2.6",
    bytes: standard(1, 0, 3, 0, 0, 0x40, 0, 250),
    of: "capability",
    values: { power: 2.5 },
  },
  {
    what: "PM data without a scale",
    section: "PCI Power Management 1.2, 3.2.6",
    bytes: standard(1, 0, 3, 0, 0, 0, 0, 250),
    of: "capability",
    values: {},
  },
  {
    what: "AGP: request queues less one",
    section: "AGP 3.0, 6.1.9",
    bytes: standard(2, 0, 0x20, 0, 0, 0, 0, 31, 0, 0, 0, 7),
    of: "capability",
    fields: { status: { requests: 32 }, command: { requests: 8 } },
  },
  {
    what: "PCI-X: cumulative reads in 1 KiB times a power of two",
    section: "PCI-X 2.0a, 7.2.4",
    bytes: standard(7, 0, 0, 0, 0, 0, 0, 0x14),
    of: "capability",
    values: { cumulativeReads: 32_768 },
  },
  {
    what: "virtio shared memory: 64 bits in two registers each",
    section: "Virtual I/O Device 1.3, 4.1.4.7",
    bytes: {
      ...virtio,
      ...standard(9, 0, 24, 8, 2, 1, 0, 0, ...le32([0x1000, 0x2000, 0x3, 0x4])),
    },
    of: "capability",
    values: { regionOffset: "0x0000000300001000", regionSize: "0x0000000400002000" },
  },
  {
    what: "VC: time slots less one",
    section: "PCIe 7.9.1.7",
    bytes: extended(0x02, 0, 0, 0, 0x007f_0000),
    of: "capability",
    fields: { vc0Capability: { maxTimeSlots: 128 } },
  },
  {
    what: "ACS: egress vector, 0 is 256",
    section: "PCIe 7.7.11.2",
    bytes: extended(0x0d, 0x20),
    of: "capability",
    fields: { capability: { egressVectorSize: 256 } },
  },
  {
    what: "ACS: egress vector",
    section: "PCIe 7.7.11.2",
    bytes: extended(0x0d, 0x820),
    of: "capability",
    fields: { capability: { egressVectorSize: 8 } },
  },
  {
    what: "ATS: queue depth, 0 is 32; unit, 4096 * 2^n bytes",
    section: "PCIe 10.5.1.2, 10.5.1.3",
    bytes: extended(0x0f, 0x001f_0000),
    of: "capability",
    values: { invalidateQueue: 32, translationUnit: 2 ** 43 },
  },
  {
    what: "SR-IOV: page sizes, 4096 * 2^n bytes",
    section: "PCIe 9.3.3.12, 9.3.3.13",
    bytes: { ...extended(0x10), 0x11c: le32([0x8000_0553, 0x10]) },
    of: "capability",
    values: {
      supportedPages: [4096, 8192, 65_536, 262_144, 2 ** 20, 2 ** 22, 2 ** 43],
      systemPage: 65_536,
    },
  },
  {
    what: "Multicast: groups less one, windows as powers of two",
    section: "PCIe 7.9.11.2 to 7.9.11.4",
    bytes: extended(0x12, 0x8003_3f03, 0x1000_000c, 0x380),
    of: "capability",
    values: { windowBase: "0x0000038010000000", windowRequested: "0x8000000000000000" },
    fields: { capability: { maxGroups: 4 }, control: { numGroups: 4 } },
  },
  {
    what: "DPA: substates less one, their power and latency",
    section: "PCIe 7.9.12.2 to 7.9.12.6",
    bytes: extended(0x16, 0x0302_2102, 0b010, 0, 0x00ff_0a64),
    of: "capability",
    values: {
      substate0: { watts: 10, milliseconds: 20 },
      substate1: { watts: 1, milliseconds: 30 },
      substate2: { watts: 25.5, milliseconds: 20 },
    },
    fields: { capability: { substates: 3 } },
  },
  {
    what: "DPA: tens of watts, a reserved unit of time",
    section: "PCIe 7.9.12.2",
    bytes: extended(0x16, 0x0302_0300, 0, 0, 20),
    of: "capability",
    values: { substate0: { watts: 200, milliseconds: null } },
  },
  {
    what: "TPH: table size less one",
    section: "PCIe 7.9.13.2",
    bytes: extended(0x17, 0x003f_0400),
    of: "capability",
    fields: { capability: { tableSize: 64 } },
  },
  {
    what: "PTM: granularity, 0 tells nothing, 255 is above 254 ns",
    section: "PCIe 7.9.15.2, 7.9.15.3",
    bytes: extended(0x1f, 0x1000, 0xff00),
    of: "capability",
    values: {
      localGranularity: { nanoseconds: 16, above: false },
      pathGranularity: { nanoseconds: 254, above: true },
    },
  },
  {
    what: "PTM: granularity that is not told",
    section: "PCIe 7.9.15.2, 7.9.15.3",
    bytes: extended(0x1f, 0, 0),
    of: "capability",
    values: {},
  },
  {
    what: "CXL ports: windows as those of a bridge",
    section: "CXL 3.1, 8.1.5.5 to 8.1.5.8",
    bytes: {
      ...extended(0x23, 0x0280_1e98, 3),
      0x110: le32([0xfe20_fe00, 0x0011_0001, 0x38, 0x39]),
    },
    of: "capability",
    values: {
      alternateMemoryWindow: { base: "0xfe000000", limit: "0xfe2fffff", width: 32, open: true },
      alternatePrefetchableWindow: {
        base: "0x3800000000",
        limit: "0x39001fffff",
        width: 64,
        open: true,
      },
      rcrbAddress: "0x0000000000000000",
    },
  },
  {
    what: "IDE: streams less one",
    section: "PCIe 7.9.26.2",
    bytes: extended(0x30, 0x0002_6003),
    of: "capability",
    fields: { capability: { linkTrafficClasses: 4, selectiveStreamCount: 3 } },
  },
];

test.each(rows.map((row) => [`${row.what} (${row.section})`, row] as const))("%s", (_, row) => {
  const config = new Uint8Array(4096);
  for (const [at, bytes] of Object.entries(row.bytes)) config.set(bytes, Number(at));
  const decoded = decodeConfig(config);
  const found = row.of === "header" ? decoded.header : decoded.capabilities[0]!;
  if (row.values) expect(found.values ?? {}).toEqual(row.values as never);
  for (const [register, fields] of Object.entries(row.fields ?? {}))
    expect(found.registers[register]).toMatchObject(fields);
});
