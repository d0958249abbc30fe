// The DVSEC of a CXL device, and the shape that all of them are described in.
import { composed, type ComposedValue } from "../derived.ts";
import type { Entries } from "../entries.ts";
import { hexDigits } from "../hex-text.ts";
import { hex, ro, rw, rw1cs, rws, scaled, volatile } from "../field.ts";
import { r16, r32 } from "../register.ts";
import { addressData, sizeText } from "../size-text.ts";

/** Registers of one kind of DVSEC, from the given revision on; `size` is the least length that holds them. */
export interface CxlBody {
  readonly id: number;
  readonly revision: number;
  readonly size: number;
  readonly registers: Entries;
}

const interleave = ["0", "256", "4096", "512", "1024", "2048", "8192", "16384"] as const;

/** Addresses of memory that the device answers. */
interface Range {
  readonly [name: string]: ComposedValue;
  /** In hexadecimal, with `0x`. */
  readonly base: string;
  /** In bytes, likewise. */
  readonly size: string;
}

function rangeText({ base, size }: Range): string {
  const digits = (address: bigint): string => hexDigits(BigInt.asUintN(64, address), 16);
  const first = BigInt(base);
  return `${digits(first)}-${digits(first + BigInt(size) - 1n)} [size=${sizeText(BigInt(size))}]`;
}

const range = (n: number, at: number): Entries => ({
  [`range${n}SizeHigh`]: hex(r32(at, "ro")),
  [`range${n}SizeLow`]: volatile(
    r32(
      at + 4,
      {
        valid: ro(0, "Valid"),
        active: ro(1, "Active"),
        type: ro(4, 2, ["Volatile", "Non-volatile", "CDAT"], "Type"),
        class: ro(7, 5, ["DRAM", "Storage", "CDAT"], "Class"),
        interleave: ro(12, 8, interleave, "interleave"),
        timeout: scaled(ro(15, 13, "timeout"), 1, { base: 4, unit: "s" }),
        /** Bits 31:28 of the size. */
        size: hex(scaled(ro(31, 28), 0x1000_0000)),
      },
      `Range${n}`,
    ),
  ),
  [`range${n}BaseHigh`]: hex(r32(at + 8, "rws")),
  [`range${n}BaseLow`]: r32(at + 12, { address: hex(scaled(rws(31, 28), 0x1000_0000)) }),
  [`range${n}`]: composed(
    [`range${n}BaseHigh`, `range${n}BaseLow.address`, `range${n}SizeHigh`, `range${n}SizeLow.size`],
    (...bits): Range => {
      const [baseHigh = 0n, baseLow = 0n, sizeHigh = 0n, sizeLow = 0n] = bits.map(BigInt);
      return {
        base: addressData((baseHigh << 32n) | (baseLow << 28n)),
        size: addressData((sizeHigh << 32n) | (sizeLow << 28n)),
      };
    },
    { label: `Range${n}`, text: rangeText },
  ),
});

/** Of revision 1 and on: CXL Specification 3.1, 8.1.3. */
export const cxlDevice: CxlBody = {
  id: 0,
  revision: 1,
  size: 0x38,
  registers: {
    capability: r16(
      0x0a,
      {
        cache: ro(0, "Cache"),
        io: ro(1, "IO"),
        mem: ro(2, "Mem"),
        memHwInit: ro(3, "Mem HW Init"),
        hdmCount: ro(5, 4, "HDMCount"),
        cacheWritebackInvalidate: ro(6),
        reset: ro(7),
        resetTimeout: scaled(ro(10, 8), 10, { base: 10, unit: "ms" }),
        resetMemoryClear: ro(11),
        tspCapable: ro(12),
        multiLogicalDevice: ro(13),
        viral: ro(14, "Viral"),
        pmInitReporting: ro(15),
      },
      "CXLCap",
    ),
    control: r16(
      0x0c,
      {
        cacheEnable: rws(0, "Cache"),
        ioEnable: ro(1, "IO"),
        memEnable: rws(2, "Mem"),
        snoopFilterCoverage: rws(7, 3, "Cache SF Cov"),
        snoopFilterGranularity: rws(10, 8, "Cache SF Gran"),
        cleanEviction: rws(11, "Cache Clean"),
        directP2pMemEnable: rws(12),
        viralEnable: rws(14, "Viral"),
      },
      "CXLCtl",
    ),
    status: volatile(r16(0x0e, { viral: rw1cs(14, "Viral") }, "CXLSta")),
    control2: r16(
      0x10,
      {
        disableCaching: rw(0, "DisableCaching"),
        writebackInvalidate: rw(1, "InitCacheWB&Inval"),
        initiateReset: rw(2, "InitRst"),
        resetMemoryClearEnable: rws(3, "RstMemClrEn"),
        hotResetHdmState: rws(4, "DesiredVolatileHDMStateAfterHotReset"),
        modifiedCompletionEnable: rws(5, "ModifiedCompletion"),
      },
      "CXLCtl2",
    ),
    status2: volatile(
      r16(
        0x12,
        {
          cacheInvalid: ro(0, "CacheInvalid"),
          resetComplete: ro(1, "ResetComplete"),
          resetError: ro(2, "ResetError"),
          pmInitComplete: ro(15, "PMComplete"),
        },
        "CXLSta2",
      ),
    ),
    lock: r16(0x14, { configLock: rws(0) }),
    capability2: r16(0x16, {
      cacheSizeUnit: ro(3, 0, ["not reported", "64K", "1M"]),
      /** In those units. */
      cacheSize: ro(15, 8),
    }),
    /** In bytes; undefined where it is not reported. */
    cacheBytes: composed(
      ["capability2.cacheSizeUnit", "capability2.cacheSize"],
      (unit, size) => (unit === 1 ? size! * 0x1_0000 : unit === 2 ? size! * 0x10_0000 : undefined),
      { label: "CXLCap2", text: (bytes) => `Cache Size: ${sizeText(bytes)}` },
    ),
    ...range(1, 0x18),
    ...range(2, 0x28),
  },
};

/** Of revision 2 and on. */
export const cxlDevice2: CxlBody = {
  id: 0,
  revision: 2,
  size: 0x3c,
  registers: {
    ...cxlDevice.registers,
    capability3: r16(
      0x38,
      {
        coldResetHdmState: ro(0, "ColdReset"),
        warmResetHdmState: ro(1, "WarmReset"),
        hotResetHdmState: ro(2, "HotReset"),
        hotResetConfigurability: ro(3, "HotResetConfigurability"),
        directP2pMem: ro(4, "DirectP2PMem"),
      },
      "CXLCap3",
    ),
  },
};
