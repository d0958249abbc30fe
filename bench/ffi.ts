// What bun:ffi costs: system calls and accesses to shared memory by this library, and by the same loops in C, in one process
// and on the same memory.
import type { Pointer } from "bun:ffi";
import { compilePeer, compiler } from "./compile.ts";
import { ioctl } from "../src/ffi/ioctl.ts";
import { MappedRegisters, MemoryFile } from "../src/ffi/index.ts";

/** The C loops. */
const loadPeer = (by: string) =>
  compilePeer(by, "peer.c", {
    peer_ioctl: { args: ["i32", "u32", "ptr", "u32"], returns: "f64" },
    peer_pread: { args: ["i32", "ptr", "u32", "u32", "u32"], returns: "f64" },
    peer_pwrite: { args: ["i32", "ptr", "u32", "u32", "u32"], returns: "f64" },
    peer_read32: { args: ["ptr", "u32"], returns: "f64" },
    peer_write32: { args: ["ptr", "u32"], returns: "f64" },
  } as const);

interface Loop {
  readonly name: string;
  readonly rounds: number;
  readonly ours: (rounds: number) => void;
  /** @returns how long it took, in ns; negative where a call failed */
  readonly c: ((rounds: number) => number) | undefined;
}

/** Bytes that can be read, of a regular file too: it looks nothing up but the file (FIONREAD, asm-generic/ioctls.h). */
const bytesLeft = 0x541b;
const offset = 64;

/** Each takes some milliseconds: short enough that some are not disturbed. */
const turns = 40;

export interface Cost {
  readonly name: string;
  /** Of one call, in ns; `c` where there is a C compiler. */
  readonly ours: number;
  readonly c: number | undefined;
}

/**
 * The least that a call costs over some rounds, in which both take turns: a machine may be slow for a while.
 * @param scale 1 takes some seconds
 */
export function ffiCosts(scale: number): Cost[] {
  const by = compiler();
  const peer = by === null ? undefined : loadPeer(by);
  using file = new MemoryFile({ size: 0x1000, name: "a file" });
  using mapping = file.map();
  const registers = new MappedRegisters(mapping);
  const data = new Uint8Array(new ArrayBuffer(4));
  const what = { request: "FIONREAD" };
  const at = mapping.address as Pointer;

  // Each loop is a function of its own, as in a program: one that takes what it calls is compiled for all of them.
  const loops: readonly Loop[] = [
    {
      name: "ioctl",
      rounds: 50_000,
      ours: (rounds) => {
        for (let i = 0; i < rounds; i++) ioctl(file.fd, bytesLeft, data, what);
      },
      c: peer && ((rounds) => peer.peer_ioctl(file.fd, bytesLeft, data, rounds)),
    },
    {
      name: "pread of 4 bytes",
      rounds: 50_000,
      ours: (rounds) => {
        for (let i = 0; i < rounds; i++) file.readAt(offset, data);
      },
      c: peer && ((rounds) => peer.peer_pread(file.fd, data, 4, offset, rounds)),
    },
    {
      name: "pwrite of 4 bytes",
      rounds: 50_000,
      ours: (rounds) => {
        for (let i = 0; i < rounds; i++) file.writeAt(offset, data);
      },
      c: peer && ((rounds) => peer.peer_pwrite(file.fd, data, 4, offset, rounds)),
    },
    {
      name: "MMIO read32",
      rounds: 1_000_000,
      ours: (rounds) => {
        for (let i = 0; i < rounds; i++) registers.read32(offset);
      },
      c: peer && ((rounds) => peer.peer_read32(at, rounds)),
    },
    {
      name: "MMIO write32",
      rounds: 1_000_000,
      ours: (rounds) => {
        for (let i = 0; i < rounds; i++) registers.write32(offset, i);
      },
      c: peer && ((rounds) => peer.peer_write32(at, rounds)),
    },
  ];
  return loops.map(({ name, rounds: full, ours, c }) => {
    const rounds = Math.max(1, Math.ceil(full * scale));
    const least = { ours: Infinity, c: Infinity };
    for (let turn = 0; turn < (scale < 1 ? 1 : turns); turn++) {
      const start = Bun.nanoseconds();
      ours(rounds);
      least.ours = Math.min(least.ours, (Bun.nanoseconds() - start) / rounds);
      if (c) least.c = Math.min(least.c, c(rounds) / rounds);
    }
    if (!(least.c >= 0)) throw new Error(`${name}: the C loop failed`);
    return { name, ours: least.ours, c: c && least.c };
  });
}

export const noCompiler =
  "no C compiler (cc or gcc) is installed: there are no ratios to the same loops in C";

/** Prints the table, and says so where there is nothing to compare with. */
export function printFfiCosts(costs: readonly Cost[]): void {
  console.log("\nbun:ffi, one call, and the same loop in C:");
  for (const { name, ours, c } of costs)
    console.log(
      `  ${name.padEnd(24)} ${ours.toFixed(1)} ns` +
        (c === undefined ? "" : `, C ${c.toFixed(1)} ns, ratio ${(ours / c).toFixed(2)}`),
    );
  if (costs.some(({ c }) => c === undefined)) console.log(`  ${noCompiler}`);
}

if (import.meta.main) printFfiCosts(ffiCosts(1));
