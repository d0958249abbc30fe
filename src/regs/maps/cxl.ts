// The DVSECs of Compute Express Link, CXL Specification 3.1, 8.1.3 to 8.1.10. Offsets are those in the DVSEC.
import { windowOf, windowText, type Window } from "./bridge-windows.ts";
import { composed, joinedBig } from "../derived.ts";
import type { Entries, Entry } from "../entries.ts";
import { hex, hwinit, ro, rw, rw1c, rw1cs, scaled, volatile } from "../field.ts";
import { r16, r32, r8 } from "../register.ts";
import { cxlDevice, cxlDevice2, type CxlBody } from "./cxl-device.ts";
import { fitting, repeat } from "./repeat.ts";

/** Between two registers whose bits 15:4 are an address's bits 31:20, as those of a bridge. */
const memoryWindow = (base: number, limit: number, baseHigh?: number, limitHigh?: number): Window =>
  windowOf(
    (BigInt(baseHigh ?? 0) << 32n) | (BigInt(base >>> 4) << 20n),
    (BigInt(limitHigh ?? 0) << 32n) | (BigInt(limit >>> 4) << 20n) | 0xf_ffffn,
    baseHigh === undefined ? 32 : 64,
  );

export const cxlVendorId = 0x1e98;

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
    alternateMemoryWindow: composed(
      ["alternateMemoryBase", "alternateMemoryLimit"],
      (base, limit) => memoryWindow(base!, limit!),
      { label: "Alternate memory", text: windowText },
    ),
    alternatePrefetchableWindow: composed(
      [
        "alternatePrefetchableBase",
        "alternatePrefetchableBaseHigh",
        "alternatePrefetchableLimit",
        "alternatePrefetchableLimitHigh",
      ],
      (base, baseHigh, limit, limitHigh) => memoryWindow(base!, limit!, baseHigh!, limitHigh!),
      { label: "Alternate prefetchable memory", text: windowText },
    ),
    rcrbBase: r32(0x20, { enable: rw(0), address: hex(scaled(rw(31, 13), 0x2000)) }),
    rcrbBaseHigh: hex(r32(0x24, "rw")),
    rcrbAddress: joinedBig(["rcrbBaseHigh", "rcrbBase.address"], { by: 0x2000, hex: true, label: "RCRB" }),
  },
};

/** What a time's value is multiplied with, in microseconds. */
const scales = ["1us", "10us", "100us", "1ms", "10ms", "100ms", "1s", "10s"] as const;
/** A time of Global Persistent Flush, in microseconds: a value, and the power of ten that its scale stands for. */
const flushTime = <const R extends string>(register: R, label: string) =>
  composed(
    [`${register}.timeBase`, `${register}.timeScale`],
    (base, scale) => (scale! >= scales.length ? undefined : base! * 10 ** scale!),
    {
      label,
      text: (time) =>
        time >= 1e6 && time % 1e6 === 0
          ? `${time / 1e6}s`
          : time >= 1000 && time % 1000 === 0
            ? `${time / 1000}ms`
            : `${time}us`,
    },
  );
const flushPort: CxlBody = {
  id: 4,
  revision: 0,
  size: 0x10,
  registers: {
    phase1: r16(0x0c, { timeBase: rw(3, 0), timeScale: rw(11, 8, scales) }),
    phase2: r16(0x0e, { timeBase: rw(3, 0), timeScale: rw(11, 8, scales) }),
    phase1Timeout: flushTime("phase1", "GPF Phase 1 Timeout"),
    phase2Timeout: flushTime("phase2", "GPF Phase 2 Timeout"),
  },
};
const flushDevice: CxlBody = {
  id: 5,
  revision: 0,
  size: 0x10,
  registers: {
    phase2: r16(0x0a, { timeBase: hwinit(3, 0), timeScale: hwinit(11, 8, scales) }),
    phase2Duration: flushTime("phase2", "GPF Phase 2 Duration"),
    phase2Power: r32(0x0c, { milliwatts: scaled(hwinit(31, 0, "power"), 1, { unit: "mW" }) }, "GPF Phase 2"),
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
        evenHalfFailed: rw1cs(7, "EvenHalfFailed"),
        correctableFraming: rw1cs(8, "CorrFraming"),
        uncorrectableFraming: rw1cs(9, "UncorrFraming"),
        unexpectedProtocolId: rw1cs(10, "UnexpProtocolID"),
        retimersMismatched: rw1cs(11, "RetimersMismatch"),
        phase2Mismatch: rw1cs(12, "Phase2Mismatch"),
        flit256: ro(13, "256BFlit"),
        pbrFlit: ro(14, "PBRFlit"),
      },
      "FBSta",
    ),
  ),
} as const;
const trainingData = {
  receivedTrainingData: volatile(r32(0x10, { flexBusData: hex(ro(23, 0, "Received FB Data")) }, "FBModTS")),
} as const;
const flexBusPort0: CxlBody = { id: 7, revision: 0, size: 0x10, registers: flexBus };
const flexBusPort1: CxlBody = { id: 7, revision: 1, size: 0x14, registers: { ...flexBus, ...trainingData } };
const flexBusPort2: CxlBody = {
  id: 7,
  revision: 2,
  size: 0x20,
  registers: {
    ...flexBus,
    ...trainingData,
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
  cxlDevice,
  cxlDevice2,
  functionMap,
  port,
  flushPort,
  flushDevice,
  flexBusPort0,
  flexBusPort1,
  flexBusPort2,
  logicalDevices,
];

const blocksAt = 0x0c;
/** Where the register blocks of a component lie in its BARs: as many as its length holds. */
export const cxlRegisterLocator = {
  id: 8,
  registers: (size: number): Entries =>
    repeat<Entry>(fitting(Infinity, size, blocksAt, 8), (i) => ({
      [`block${i + 1}Low`]: r32(
        blocksAt + 8 * i,
        {
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
        },
        `Block${i + 1}`,
      ),
      [`block${i + 1}High`]: hex(r32(blocksAt + 8 * i + 4, "hwinit")),
      [`block${i + 1}Offset`]: joinedBig([`block${i + 1}High`, `block${i + 1}Low.offset`], {
        by: 0x1_0000,
        hex: true,
        label: `Block${i + 1}: offset`,
      }),
    })),
} as const;
