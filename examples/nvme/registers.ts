// NVM Express Base Specification 1.4: 3.1 (registers), 4.2 and 4.6 (entries of queues).
import { r32, r64, registerMap, ro, rw } from "bun-vfio/regs";

export const controllerMap = registerMap("NVMe controller", 0x1000, {
  // The halves of CAP, which is read as two anyway.
  capabilities: r32(0x00, { lastEntry: ro(15, 0), halfSeconds: ro(31, 24) }),
  capabilitiesHigh: r32(0x04, { doorbellStride: ro(3, 0), nvmCommands: ro(5), smallestPage: ro(19, 16) }),
  configuration: r32(0x14, {
    ...{ enable: rw(0), commandSet: rw(6, 4), pageSize: rw(10, 7), arbitration: rw(13, 11) },
    ...{ shutdown: rw(15, 14), submissionSize: rw(19, 16), completionSize: rw(23, 20) },
  }),
  status: r32(0x1c, { ready: ro(0), fatal: ro(1), shutdown: ro(3, 2, ["none", "under way", "complete"]) }),
  adminLastEntries: r32(0x24, { submission: rw(11, 0), completion: rw(27, 16) }),
  adminSubmissions: r64(0x28, "rw"),
  adminCompletions: r64(0x30, "rw"),
});

export const completionMap = registerMap("completion", 16, {
  result: r32(0, "rw"),
  place: r32(8, { head: rw(15, 0), queue: rw(31, 16) }),
  // Code and type of the status in one number.
  status: r32(12, { id: rw(15, 0), phase: rw(16), code: rw(27, 17), final: rw(31) }),
});
