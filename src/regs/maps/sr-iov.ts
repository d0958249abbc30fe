import { composed } from "../derived.ts";
import { extendedCapability, extendedHead } from "../capability.ts";
import { hex, ro, rw, rw1c, scaled, volatile } from "../field.ts";
import { ownMap } from "../map.ts";
import { r16, r32, r8, reset } from "../register.ts";
import { regions } from "./bar-values.ts";
import { sizeText } from "../size-text.ts";
import { extendedCapabilityId } from "./ids.ts";

const bar = (index: number) => hex(r32(0x24 + 4 * index, "rw", `VF BAR${index}`));

/** Bit n of the registers: pages of 4096 * 2^n bytes. */
const pageSizes = (bits: number): number[] =>
  Array.from({ length: 32 }, (_, n) => n)
    .filter((n) => (bits >>> n) & 1)
    .map((n) => 4096 * 2 ** n);

/** Single Root I/O Virtualization, PCI Express Base Specification 9.3.3. */
export const srIovCapability = ownMap("SR-IOV", 0x40, () => ({
  ...extendedHead,
  capabilities: r32(
    0x04,
    {
      migrationCapable: ro(0, "Migration"),
      ariHierarchyPreserved: ro(1),
      tenBitTagRequester: ro(2, "10BitTagReq"),
      fourteenBitTagRequester: ro(3, "14BitTagReq"),
      interruptMessage: hex(ro(31, 21, "Interrupt Message Number")),
    },
    "IOVCap",
  ),
  control: r16(
    0x08,
    {
      enable: rw(0, "Enable"),
      migrationEnable: rw(1, "Migration"),
      migrationInterruptEnable: rw(2, "Interrupt"),
      memorySpaceEnable: rw(3, "MSE"),
      ariHierarchy: rw(4, "ARIHierarchy"),
      tenBitTagRequesterEnable: rw(5, "10BitTagReq"),
      fourteenBitTagRequesterEnable: rw(6, "14BitTagReq"),
    },
    "IOVCtl",
  ),
  status: volatile(r16(0x0a, { migration: rw1c(0, "Migration") }, "IOVSta")),
  initialVfs: r16(0x0c, "hwinit", "Initial VFs"),
  totalVfs: r16(0x0e, "hwinit", "Total VFs"),
  numVfs: r16(0x10, "rw", "Number of VFs"),
  functionDependencyLink: hex(r8(0x12, "hwinit", "Function Dependency Link")),
  // Both may change with the number of VFs and with the ARI hierarchy bit.
  firstVfOffset: volatile(r16(0x14, "ro", "VF offset")),
  vfStride: volatile(r16(0x16, "ro", "stride")),
  vfDeviceId: hex(r16(0x1a, "ro", "Device ID")),
  supportedPageSizes: hex(r32(0x1c, "ro", "Supported Page Size")),
  systemPageSize: reset(1, hex(r32(0x20, "rw", "System Page Size"))),
  /** In bytes. */
  supportedPages: composed(["supportedPageSizes"], (sizes) => (sizes === 0 ? undefined : pageSizes(sizes!)), {
    label: "Supported Pages",
    text: (pages) => pages.map((bytes) => sizeText(bytes)).join(" "),
  }),
  /** In bytes; undefined where it is none, or several. */
  systemPage: composed(
    ["systemPageSize"],
    (bits) => {
      const [size, ...others] = pageSizes(bits!);
      return others.length > 0 ? undefined : size;
    },
    { label: "System Page", text: (bytes) => sizeText(bytes) },
  ),
  vfBar0: bar(0),
  vfBar1: bar(1),
  vfBar2: bar(2),
  vfBar3: bar(3),
  vfBar4: bar(4),
  vfBar5: bar(5),
  ...regions(6, "vfBar"),
  migrationStateArray: r32(
    0x3c,
    {
      bir: hex(ro(2, 0, "BIR")),
      offset: hex(scaled(ro(31, 3, "offset"), 8)),
    },
    "VF Migration",
  ),
}));

export const srIov = extendedCapability(extendedCapabilityId.srIov, "SR-IOV", srIovCapability);
