// The DVSECs of Compute Express Link, CXL Specification 3.1, 8.1.3 to 8.1.10. Offsets are those in the DVSEC.
import { hex, hwinit, ro, rw, rw1c, rw1cs, rws, volatile } from "../field.ts";
import { r16, r32, r8, type Registers } from "../register.ts";
import { fitting, repeat } from "./repeat.ts";

export const cxlVendorId = 0x1e98;

/** Registers of one kind of DVSEC, from the given revision on; `size` is the least length that holds them. */
export interface CxlBody {
  readonly id: number;
  readonly revision: number;
  readonly size: number;
  readonly registers: Registers;
}

const range = (n: number, at: number): Registers => ({
  [`range${n}SizeHigh`]: hex(r32(at, "ro")),
  [`range${n}SizeLow`]: volatile(
    r32(
      at + 4,
      {
        valid: ro(0, "Valid"),
        active: ro(1, "Active"),
        type: ro(4, 2, ["Volatile", "Non-volatile", "CDAT"], "Type"),
        class: ro(7, 5, ["DRAM", "Storage", "CDAT"], "Class"),
        interleave: ro(12, 8, ["0", "256", "4096", "512", "1024", "2048", "8192", "16384"], "interleave"),
        /** 4^n seconds. */
        timeout: ro(15, 13),
        /** Bits 31:28 of the size. */
        size: hex(ro(31, 28)),
      },
      `Range${n}`,
    ),
  ),
  [`range${n}BaseHigh`]: hex(r32(at + 8, "rws")),
  [`range${n}BaseLow`]: r32(at + 12, { address: hex(rws(31, 28)) }),
});

const device: CxlBody = {
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
        /** 10 ms * 10^n. */
        resetTimeout: ro(10, 8),
        resetMemoryClear: ro(11),
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
        viralEnable: rws(14, "Viral"),
      },
      "CXLCtl",
    ),
    status: volatile(r16(0x0e, { viral: rw1cs(14, "Viral") }, "CXLSta")),
    control2: r16(0x10, {
      disableCaching: rw(0),
      writebackInvalidate: rw(1),
      initiateReset: rw(2),
      resetMemoryClearEnable: rws(3),
    }),
    status2: volatile(
      r16(
        0x12,
        {
          cacheInvalid: ro(0),
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
    ...range(1, 0x18),
    ...range(2, 0x28),
  },
};

const functionMap: CxlBody = {
  id: 2,
  revision: 0,
  size: 0x2c,
  registers: repeat(8, (i) => ({ [`functionMap${i}`]: hex(r32(0x0c + 4 * i, "hwinit", `FuncMap ${i}`)) })),
};

const port: CxlBody = {
  id: 3,
  revision: 0,
  size: 0x28,
  registers: {
    portStatus: volatile(r16(0x0a, { pmInitComplete: ro(0, "PMComplete"), viral: rw1c(14) }, "CXLPortSta")),
    portControl: r16(
      0x0c,
      {
        unmaskSbr: rw(0, "UnmaskSBR"),
        unmaskLinkDisable: rw(1, "UnmaskLinkDisable"),
        alternateMemory: rw(2, "AltMem"),
        alternateBusMaster: rw(3, "AltBME"),
        viralEnable: rw(14, "ViralEnable"),
      },
      "CXLPortCtl",
    ),
    alternateBusBase: hex(r8(0x0e, "rw")),
    alternateBusLimit: hex(r8(0x0f, "rw")),
    alternateMemoryBase: hex(r16(0x10, "rw")),
    alternateMemoryLimit: hex(r16(0x12, "rw")),
    alternatePrefetchableBase: hex(r16(0x14, "rw")),
    alternatePrefetchableLimit: hex(r16(0x16, "rw")),
    alternatePrefetchableBaseHigh: hex(r32(0x18, "rw")),
    alternatePrefetchableLimitHigh: hex(r32(0x1c, "rw")),
    rcrbBase: r32(0x20, { enable: rw(0), address: hex(rw(31, 13)) }),
    rcrbBaseHigh: hex(r32(0x24, "rw")),
  },
};

/** What a time's value is multiplied with. */
const scales = ["1us", "10us", "100us", "1ms", "10ms", "100ms", "1s", "10s"] as const;
const flushPort: CxlBody = {
  id: 4,
  revision: 0,
  size: 0x10,
  registers: {
    phase1: r16(0x0c, { timeBase: rw(3, 0), timeScale: rw(11, 8, scales) }),
    phase2: r16(0x0e, { timeBase: rw(3, 0), timeScale: rw(11, 8, scales) }),
  },
};
const flushDevice: CxlBody = {
  id: 5,
  revision: 0,
  size: 0x10,
  registers: {
    phase2Duration: r16(0x0a, { timeBase: hwinit(3, 0), timeScale: hwinit(11, 8, scales) }),
    /** In mW. */
    phase2Power: r32(0x0c, "hwinit"),
  },
};

const flexBus = {
  portCapability: r16(
    0x0a,
    {
      cache: ro(0, "Cache"),
      io: ro(1, "IO"),
      mem: ro(2, "Mem"),
      flit68: ro(5, "68BFlit"),
      multiLogicalDevice: ro(6, "MltLogDev"),
      flit256: ro(13, "256BFlit"),
      pbrFlit: ro(14, "PBRFlit"),
    },
    "FBCap",
  ),
  portControl: r16(
    0x0c,
    {
      cacheEnable: rw(0, "Cache"),
      ioEnable: ro(1, "IO"),
      memEnable: rw(2, "Mem"),
      syncHeaderBypass: rw(3, "SynHdrByp"),
      driftBuffer: rw(4, "DrftBuf"),
      flit68Enable: rw(5, "68BFlit"),
      multiLogicalDeviceEnable: rw(6, "MltLogDev"),
      disableRcdTraining: rw(7, "RCD"),
      retimer1: rw(8, "Retimer1"),
      retimer2: rw(9, "Retimer2"),
      flit256Enable: rw(13, "256BFlit"),
      pbrFlitEnable: rw(14, "PBRFlit"),
    },
    "FBCtl",
  ),
  portStatus: volatile(
    r16(
      0x0e,
      {
        cache: ro(0, "Cache"),
        io: ro(1, "IO"),
        mem: ro(2, "Mem"),
        syncHeaderBypass: ro(3, "SynHdrByp"),
        driftBuffer: ro(4, "DrftBuf"),
        flit68: ro(5, "68BFlit"),
        multiLogicalDevice: ro(6, "MltLogDev"),
        flit256: ro(13, "256BFlit"),
        pbrFlit: ro(14, "PBRFlit"),
      },
      "FBSta",
    ),
  ),
  receivedTrainingData: volatile(r32(0x10, { flexBusData: hex(ro(23, 0, "Received FB Data")) }, "FBModTS")),
} as const;
const flexBusPort1: CxlBody = { id: 7, revision: 1, size: 0x14, registers: flexBus };
const flexBusPort2: CxlBody = {
  id: 7,
  revision: 2,
  size: 0x20,
  registers: {
    ...flexBus,
    portCapability2: r32(0x14, { nopHint: ro(0, "NOPHint") }, "FBCap2"),
    portControl2: r32(0x18, { nopHintEnable: rw(0, "NOPHint") }, "FBCtl2"),
    portStatus2: volatile(r32(0x1c, { nopHintInfo: hex(ro(1, 0, "NOPHintInfo")) }, "FBSta2")),
  },
};

const logicalDevices: CxlBody = {
  id: 9,
  revision: 0,
  size: 0x0c,
  registers: { logicalDevices: r16(0x0a, "hwinit", "NumLogDevs") },
};

/** Every body of a fixed shape. */
export const cxlBodies: readonly CxlBody[] = [
  device,
  functionMap,
  port,
  flushPort,
  flushDevice,
  flexBusPort1,
  flexBusPort2,
  logicalDevices,
];

const blocksAt = 0x0c;
/** Where the register blocks of a component lie in its BARs: as many as its length holds. */
export const cxlRegisterLocator = {
  id: 8,
  registers: (size: number): Registers =>
    repeat(fitting(Infinity, size, blocksAt, 8), (i) => ({
      [`block${i + 1}Low`]: r32(blocksAt + 8 * i, {
        bir: hwinit(2, 0),
        blockId: hwinit(15, 8, {
          empty: 0,
          "component registers": 1,
          "BAR virtualization": 2,
          "CXL device registers": 3,
          "CPMU registers": 4,
          "vendor-specific": 255,
        }),
        /** Bits 31:16 of the offset in the BAR. */
        offset: hex(hwinit(31, 16)),
      }),
      [`block${i + 1}High`]: hex(r32(blocksAt + 8 * i + 4, "hwinit")),
    })),
} as const;
