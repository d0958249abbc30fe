// NVM Express Base Specification 1.4: 3.1 (registers), 4.2 (submissions), 5.14 (logs), 5.15 (identify). What a driver knows, too,
// is in the driver's map.
import { array, r16, r32, r64, r8, registerMap, reset, rw } from "bun-vfio/regs";
import { controllerMap } from "../../nvme/registers.ts";

/** In bytes: of memory, the one size that there is; of blocks, as a power of two; of a command's data, likewise, in pages. */
export const [page, blockBits, largestTransfer] = [4096, 9, 7] as const;
/** One for administration, four for reading and writing; as many completion queues, and vectors. */
export const [queueCount, largestQueue] = [5, 1024] as const;
const version = 0x0001_0400;

export const nvmeMap = registerMap("NVMe controller", controllerMap.size + 8 * queueCount, {
  ...controllerMap.entries,
  // Queues of up to 1,024 entries, each in one piece of memory; 10 s to become ready, or to stop.
  capabilities: reset(0x1401_03ff, controllerMap.registers.capabilities),
  // NVM commands; pages of 4 KiB alone.
  capabilitiesHigh: reset(0x0000_0020, controllerMap.registers.capabilitiesHigh),
  version: reset(version, r32(0x08, "ro")),
  doorbell: array(queueCount, 8, { tail: r32(0x1000, "wo"), head: r32(0x1004, "wo") }),
});

/** An address, or a count of blocks: a number holds 53 bits, and there is nothing beyond. */
const long = <const A extends number>(at: A) => r64(at, { low: rw(52, 0), beyond: rw(63, 53) });
const words = <const A extends number>(at: A) => r32(at, { low: rw(15, 0), high: rw(31, 16) });

export const submissionMap = registerMap("submission", 64, {
  command: r32(0, { opcode: rw(7, 0), fused: rw(9, 8), lists: rw(15, 14), id: rw(31, 16) }),
  namespace: r32(4, "rw"),
  first: long(24),
  second: long(32),
  dword10: words(40),
  dword11: words(44),
  dword12: r32(48, { low: rw(15, 0), forceUnitAccess: rw(30) }),
  dword13: r32(52, "rw"),
});

export const controllerData = registerMap("identify controller", page, {
  vendor: reset(0x1b36, r16(0, "ro")),
  subsystem: reset(0x1af4, r16(2, "ro")),
  largestTransfer: reset(largestTransfer, r8(77, "ro")),
  version: reset(version, r32(80, "ro")),
  type: reset(1, r8(111, "ro")),
  optionalAdmin: r16(256, { doorbellBuffers: reset(true, rw(8)) }),
  // Of both one less than there are: commands to abort, and events to wait for, at once.
  limits: reset(0x0303, r16(258, "ro")),
  firmware: r8(260, { firstReadOnly: reset(true, rw(0)), slots: reset(1, rw(3, 1)) }),
  // In kelvins: a warning, and the end.
  ...{ hot: reset(343, r16(266, "ro")), tooHot: reset(373, r16(268, "ro")) },
  entrySizes: r16(512, { submission: reset(0x66, rw(7, 0)), completion: reset(0x44, rw(15, 8)) }),
  namespaces: reset(1, r32(516, "ro")),
  optionalCommands: r16(520, { writeZeroes: reset(true, rw(3)) }),
  writeCache: r8(525, { isPresent: reset(true, rw(0)) }),
});

export const namespaceData = registerMap("identify namespace", page, {
  ...{ size: long(0), capacity: long(8), used: long(16) },
  format: r32(128, { blockBits: reset(blockBits, rw(23, 16)) }),
});
