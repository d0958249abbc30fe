// Config spaces of which a reader once said too little or the wrong thing: each says what it must, and its source.
import { expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { readLspci } from "../../src/image/index.ts";
import { configText, decodeConfig } from "../../src/regs/index.ts";

const folder = new URL("../data/config-space/", import.meta.url);
const configOf = (name: string): Uint8Array =>
  readLspci(readFileSync(new URL(`${name}.txt`, folder), "utf8"))[0]!.config;

/** File, what is right and where it says so, lines or parts of them that are there, and some that are not. */
const reads: readonly {
  readonly file: string;
  readonly source: string;
  readonly text?: readonly (string | RegExp)[];
  readonly data?: object;
  readonly never?: readonly (string | RegExp)[];
}[] = [
  {
    file: "inband-pd",
    source: "In-Band PD Disable is bit 14 of Slot Control, PCI Express Base Specification 5.0, 7.5.3.10",
    text: [/SltCtl:.*InBandPDDis\+/],
    never: ["SltCtl2"],
  },
  {
    file: "target-speed-0",
    source: "0 is permitted for 2.5 GT/s alone, PCI Express Base Specification 7.5.3.19",
    text: ["Target Link Speed: 2.5GT/s"],
  },
  {
    file: "slot-power-275w",
    source: "PCI Express Base Specification 7.5.3.3",
    text: ["SlotPowerLimit: 275W"],
  },
  {
    file: "cxl-device-rev2",
    source: "CXL Specification 3.1, 8.1.3",
    text: [
      "Range1: 0000002080000000-000000247fffffff [size=16G]",
      /CXLCtl2:.*DesiredVolatileHDMStateAfterHotReset\+/,
      "CXLCap3: ColdReset+ WarmReset+ HotReset+ HotResetConfigurability-",
    ],
  },
  {
    file: "bars",
    source: "PCI Express Base Specification 7.5.1.2.1",
    text: [
      "Region 0: Memory at 380b0000000 (64-bit, prefetchable)",
      "Region 2: Memory at fe800000 (32-bit, non-prefetchable)",
      "Region 3: I/O ports at e000",
      "Expansion ROM: enable+, address: fe840000",
    ],
  },
  {
    file: "rebar-sizes",
    source: "PCI Express Base Specification 7.8.6",
    text: ["BAR 0: current size: 256MB, supported: 256MB 512MB 1GB 2GB"],
  },
  {
    file: "device3",
    source: "PCI Express Base Specification 6.0, 7.7.9",
    text: ["Device3", /DevCap3: DMWr Request Routing[+-] 14-Bit Tag Completer/, "DevCtl3: ", "DevSta3: "],
  },
  { file: "tee-io", source: "PCI Express Base Specification 6.1, 7.5.3.3", text: ["TEE-IO+"] },
  {
    file: "ide-streams",
    source: "PCI Express Base Specification 6.0, 7.9.26",
    text: [/SelectiveIDE#0 Ctl: En\+/, "SelectiveIDE#0 Sta: Status: secure, RecvChkFail-"],
    data: { registers: { selectiveStream0Status: { state: "secure" } } },
  },
  {
    file: "intel-vendor",
    source: "CAPID0 of Intel's processor datasheets",
    text: ["Kind: Version: 1, Intel: Capabilities", /CapA:.*VTdDis\+/, "CapB: ", "CapC: "],
  },
  {
    file: "cardbus",
    source: "PC Card Standard 8.0, volume 7, 4.5",
    text: [
      "cardbus header",
      "Bus: primary: 1c, secondary: 1d, subordinate: 20, sec-latency: 176",
      "Memory window 0: c0000000-c3ffffff [size=64M]",
      "I/O window 0: 00003000-000030ff [size=256]",
      "Subsystem: vendor: 1234, device: 5678",
      "Region 0: Memory at fc402000",
    ],
  },
  { file: "hot-swap", source: "PICMG 2.1", text: ["HotSwap"], never: ["unknown (ID"] },
  {
    file: "dpc-sig-sfw",
    source: "PCI Express Base Specification 6.0, 7.9.14",
    text: ["RP PIO Log: 16", /DpcCtl:.*SIG_SFW\+/, /DpcSta:.*SIG_SFW\+/],
  },
  { file: "body-of-named", source: "docs/show-json.md", text: ["Bytes: 44 33 22 11"] },
  {
    file: "flit-bits",
    source: "PCI Express Base Specification 6.0, 7.5.3.2 and 7.5.3.7",
    text: [/Flags:.*FlitMode\+/, /LnkCtl:.*FlitModeDis\+/],
  },
  {
    file: "flit-log-error-injection-rbl",
    source: "PCI Express Base Specification 6.0, 7.7.8, 7.8.13 and 7.9.29",
    text: ["FlitLogging", "FlitErrorInjection", "RegisterBlocks"],
    never: ["unknown (ID"],
  },
  {
    file: "bridge-windows",
    source: "PCI Express Base Specification 7.5.1.3",
    text: [
      "I/O behind bridge: 00014000-00015fff [size=8K] [32-bit]",
      "Memory behind bridge: f1100000-f12fffff [size=2M] [32-bit]",
      "Prefetchable memory behind bridge: 0000004000000000-00000041ffffffff [size=8G] [64-bit]",
    ],
  },
];

for (const { file, source, text = [], data, never = [] } of reads)
  test(`${file}: ${source}`, () => {
    const config = configOf(file);
    const printed = configText(config, 1);
    const holds = (part: string | RegExp): boolean =>
      typeof part === "string" ? printed.includes(part) : part.test(printed);
    expect(text.filter((part) => !holds(part))).toEqual([]);
    expect(never.filter(holds)).toEqual([]);
    if (data) expect(decodeConfig(config).capabilities.at(-1)).toMatchObject(data);
  });
