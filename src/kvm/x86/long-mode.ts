// Long mode, as a kernel's 64-bit entry wants to find the first CPU: the first GiB mapped to itself, flat segments, interrupts
// off (Documentation/arch/x86/boot.rst of Linux, "64-bit Boot Protocol"; Intel SDM 3A, 4.5 and 10.8.5).
import { getRegs, getSregs, setRegs, setSregs } from "../../ffi/kvm-vcpu.ts";
import type { GuestMemory } from "../guest-memory.ts";
import type { StoppedVcpu } from "./vcpu-state.ts";

const present = 1n;
const writable = 2n;
const large = 0x80n;
const table = present | writable;
const page = 4096;
const largePage = 2 ** 21;
const mapped = 2 ** 30;

const segment = { code: 0x10, data: 0x18 } as const;
/** Null, unused, code of 64 bits, data: as Linux wants them at 0x10 and 0x18. */
const descriptors = [0n, 0n, 0x00af_9b00_0000_ffffn, 0x00cf_9300_0000_ffffn];

const cr0 = { PE: 1n << 0n, ET: 1n << 4n, PG: 1n << 31n } as const;
const cr4 = { PAE: 1n << 5n } as const;
const efer = { LME: 1n << 8n, LMA: 1n << 10n } as const;
/** The bit of RFLAGS that is always 1. */
const noFlags = 2n;

/** Bytes that `writeLongModeTables` writes. */
export const longModeTablesSize = 4 * page;

/** Where a CPU begins in long mode. Guest physical addresses in the first GiB. */
export interface LongModeEntry {
  /** Of its first instruction. */
  readonly entry: number;
  /** What it finds in RSI: for Linux, the address of its boot parameters. */
  readonly argument: number;
  /** The end of its stack, which grows down. */
  readonly stack: number;
  /** Where `writeLongModeTables` has written. */
  readonly tables: number;
}

/**
 * Descriptors and page tables into the guest's memory.
 * @param at a multiple of 4096; `longModeTablesSize` bytes from there on
 * @throws VfioError (`EFAULT`) where the guest has no memory there
 */
export function writeLongModeTables(memory: GuestMemory, at: number): void {
  const [pml4, pdpt, directory] = [at + page, at + 2 * page, at + 3 * page];
  const write = (gpa: number, entries: readonly bigint[]): void =>
    memory.write(gpa, new Uint8Array(BigUint64Array.from(entries).buffer));
  write(at, descriptors);
  write(pml4, [BigInt(pdpt) | table]);
  write(pdpt, [BigInt(directory) | table]);
  write(
    directory,
    Array.from({ length: mapped / largePage }, (_, i) => BigInt(i * largePage) | table | large),
  );
}

/** Puts a vCPU there. @throws VfioError */
export function enterLongMode({ fd }: StoppedVcpu, { entry, argument, stack, tables }: LongModeEntry): void {
  const special = getSregs(fd);
  const flat = { base: 0n, limit: 0xffff_ffff, present: 1, dpl: 0, s: 1, g: 1, unusable: 0 };
  const data = { ...flat, selector: segment.data, type: 3, db: 1, l: 0 };
  Object.assign(special.cs, { ...flat, selector: segment.code, type: 11, db: 0, l: 1 });
  for (const register of [special.ds, special.es, special.ss]) Object.assign(register, data);
  Object.assign(special.tr, { type: 11, s: 0, present: 1 });
  Object.assign(special.gdt, { base: BigInt(tables), limit: 8 * descriptors.length - 1 });
  Object.assign(special, {
    cr0: cr0.PE | cr0.ET | cr0.PG,
    cr3: BigInt(tables + page),
    cr4: cr4.PAE,
    efer: efer.LME | efer.LMA,
  });
  setSregs(fd, special);
  const registers = getRegs(fd);
  Object.assign(registers, {
    rip: BigInt(entry),
    rsi: BigInt(argument),
    rsp: BigInt(stack),
    rflags: noFlags,
  });
  setRegs(fd, registers);
}
