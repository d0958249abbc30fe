// Runs in a process of its own: accesses registers in compiled code over a page that faults, and prints what arrived.
import { dlopen } from "bun:ffi";
import { MappedRegisters, Mapping } from "../../../src/ffi/index.ts";

const trap = dlopen(process.argv[2]!, {
  trap_begin: { args: ["u64"], returns: "void" },
  trap_end: { args: ["ptr"], returns: "u32" },
}).symbols;

const programs: Record<string, (registers: MappedRegisters) => unknown> = {
  poll: (registers) => {
    let sum = 0;
    for (let i = 0; i < 100; i++) sum += registers.read32(4);
    return sum;
  },
  // The loop has the compiler optimise it most; plain stores in its place leave one a round.
  doorbell: (registers) => {
    for (let round = 0; round < 10; round++) {
      registers.write32(8, 1);
      registers.write32(8, 1);
      registers.write32(8, 1);
    }
  },
  widths: (registers) =>
    [registers.read8(1), registers.read16(2), registers.read32(4), registers.read64(8, "whole")].length,
  stores: (registers) => {
    registers.write8(1, 1);
    registers.write16(2, 2);
    registers.write32(4, 3);
    registers.write64(8, 4n, "whole");
  },
  halves: (registers) => {
    registers.read64(16);
    registers.read64(16, "high-first");
    registers.write64(16, 0x2_0000_0001n);
    registers.write64(16, 0x2_0000_0001n, "high-first");
  },
  "store and load": (registers) => {
    registers.write32(12, 7);
    return registers.read32(12) + registers.read32(12);
  },
};

using memory = new Mapping({ size: 4096, name: "BAR0" });
const registers = new MappedRegisters(memory);
const kinds = ["read", "write"];
const results: Record<string, string[]> = {};
for (const [name, run] of Object.entries(programs)) {
  // Until the optimising compiler has had it.
  for (let i = 0; i < 30_000; i++) run(registers);
  const accesses = new Uint32Array(new ArrayBuffer(4 * 4 * 4096));
  trap.trap_begin(memory.address);
  run(registers);
  const count = trap.trap_end(accesses);
  results[name] = Array.from({ length: count }, (_, i) => {
    const [offset, width, isWrite, value] = accesses.subarray(i * 4, i * 4 + 4);
    return `${kinds[isWrite!]} ${width} at ${offset}${isWrite === 1 ? ` of ${value}` : ""}`;
  });
}
console.log(JSON.stringify(results));
