// Intel's vendor-specific capability: in host bridges and graphics since the second generation of Core processors, and in LPC
// controllers. Source: CAPID0 of Intel's processor datasheets (volume 2, host bridge, offset E4h), as pciutils prints it.
import { standardHead, mapPerCount } from "../capability.ts";
import { composed } from "../derived.ts";
import { hex, ro } from "../field.ts";
import { ownMap, type RegisterBlock } from "../map.ts";
import { r32, r8 } from "../register.ts";

export const intelVendorId = 0x8086;

/** Intel's own: nothing says that another is reserved. */
const types = [
  "Capabilities",
  "Feature Detection",
  ...Array.from({ length: 14 }, (_, at) => `type ${at + 2}` as const),
] as const;

const head = {
  ...standardHead,
  length: hex(r8(0x02, "ro", "Len")),
  kind: r8(0x03, { version: ro(3, 0, "Version"), type: ro(7, 4, types, "Intel") }, "Kind"),
} as const;

const capabilityA = r32(
  0x04,
  {
    ddr3LowVoltage: ro(0, "DDR3LEn"),
    writeVref: ro(1, "DDRWrtVrefEn"),
    overclocking: ro(2, "OCEn"),
    ddrOverclocking: ro(3, "DDROCCAP"),
    compatibleRevision: ro(7, 4, "CRID"),
    compatibleDevice: ro(9, 8, "CDID"),
    graphicsDisable: ro(11, "IGDis"),
    dualChannelDisable: ro(12, "PDCDis"),
    x2apic: ro(13, "X2APICEn"),
    twoPerChannelDisable: ro(14, "DDPCDis"),
    chipsetDisable: ro(15, "CDDis"),
    oneNDisable: ro(17, "1NDis"),
    maxMemory: ro(20, 19, ["Unlimited", "8GB/chan", "2GB/chan", "0.5GB/chan"], "DDRMaxSize"),
    pegGen2Disable: ro(21, "PegG2Dis"),
    dmiGen2Disable: ro(22, "DmiG2Dis"),
    vtdDisable: ro(23, "VTdDis"),
    forceEcc: ro(24, "ForceEccEn"),
    eccDisable: ro(25, "EccDis"),
    dmiWidth: ro(26, 26, ["x4", "x2"], "DmiWidth"),
    pegWidthUpDisable: ro(27, "PeLWUDis"),
    peg10Disable: ro(28, "Peg10Dis"),
    peg11Disable: ro(29, "Peg11Dis"),
    peg12Disable: ro(30, "Peg12Dis"),
    peg60Disable: ro(31, "Peg60Dis"),
  },
  "CapA",
);
const capabilityB = r32(
  0x08,
  {
    lpddr3: ro(2, "LPDDR3En"),
    ddr3MaxFrequency: ro(6, 4, "DDR3MaxFreq"),
    gmmDisable: ro(8, "GmmDis"),
    dmiGen3Disable: ro(15, "DmiG3Dis"),
    pegX16Disable: ro(16, "PegX16Dis"),
    addedGraphicsCapable: ro(17, "AddGfxCap"),
    addedGraphicsEnable: ro(18, "AddGfxEn"),
    packageType: ro(19, "PkgTyp"),
    pegGen3Disable: ro(20, "PegG3Dis"),
    ddr3MaxFrequency100: ro(
      23,
      21,
      ["Disabled", "1400MHz", "1600MHz", "1800MHz", "2000MHz", "2200MHz", "2400MHz", "Unlimited"],
      "DDR3MaxFreqWithRef100",
    ),
    softBin: ro(24, "SoftBinCap"),
    cacheSize: hex(ro(27, 25, "CacheSzCap")),
    smt: ro(28, "SMTCap"),
    overclockingEnabled: ro(29, "OCbySSKUEn"),
    overclockingCapable: ro(30, "OCbySSKUCap"),
    imguDisable: ro(31, "ImguDis"),
  },
  "CapB",
);
const capabilityC = r32(
  0x0c,
  {
    gear1MaxFrequency: ro(3, 0, "Gear1MaxFreq"),
    pipe3Disable: ro(5, "Pipe3Dis"),
    iddDisable: ro(6, "IddDis"),
    baseClockOverclocking: ro(8, 7, ["Disabled", "115MHz", "130MHz", "Unlimited"], "BClkOC"),
    sgxDisable: ro(9, "SgxDis"),
    clockGearDisable: ro(14, "QClkGvDis"),
    lpddr4: ro(16, "LPDDR4En"),
    lpddr4MaxFrequency: ro(20, 17, "LPDDR4MaxFreq"),
    lpddr: ro(22, "LPDDREn"),
    ddr4MaxFrequency: ro(26, 23, "DDR4MaxFreq"),
    pegGen4Disable: ro(28, "PegG4Dis"),
  },
  "CapC",
);

/** A highest frequency, in steps of 266.6 MHz. */
const frequency = <const P extends string>(field: P, label: string, steps: (bits: number) => number) =>
  composed(
    [field],
    (bits = 0) => {
      const count = steps(bits);
      return count === 0 ? "Unlimited" : `${Math.floor((count * 2666) / 10)}MHz`;
    },
    { label },
  );
const itself = (bits: number): number => bits;
const frequenciesB = {
  ddr3Frequency: frequency("capabilityB.ddr3MaxFrequency", "DDR3MaxFreq", (bits) => 11 - bits),
};
const frequenciesC = {
  gear1Frequency: frequency("capabilityC.gear1MaxFrequency", "Gear1MaxFreq", itself),
  lpddr4Frequency: frequency("capabilityC.lpddr4MaxFrequency", "LPDDR4MaxFreq", itself),
  ddr4Frequency: frequency("capabilityC.ddr4MaxFrequency", "DDR4MaxFreq", itself),
};

const plain = mapPerCount((size) => ownMap("Intel", size, () => head));
const version1 = mapPerCount((size) =>
  ownMap("Intel", size, () => ({
    ...head,
    ...(size >= 8 && { capabilityA }),
    ...(size >= 12 && { capabilityB, ...frequenciesB }),
    ...(size >= 16 && { capabilityC, ...frequenciesC }),
  })),
);

/** The registers of Intel's capability of `length` bytes, 4 at least: those of other versions and kinds stay raw. */
export const intelCapability = (kind: number, length: number): RegisterBlock =>
  kind === 0x01 ? version1(length) : plain(length);
