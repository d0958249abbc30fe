// The state in which a kernel's 64-bit entry finds the first CPU: long mode, the first GiB mapped to itself, flat segments,
// interrupts off (Documentation/arch/x86/boot.rst, "64-bit Boot Protocol").
import { getRegs, getSregs, setRegs, setSregs } from "bun-vfio/ffi";
import type { GuestMemory, StoppedVcpu } from "bun-vfio/kvm";
import { GiB, memory, MiB } from "../layout.ts";
import { entry64 } from "./bzimage.ts";

const present = 1n;
const writable = 2n;
const large = 0x80n;
const table = present | writable;
const page = 4096;

const segment = { code: 0x10, data: 0x18 } as const;
/** Null, unused, code of 64 bits, data: as Linux wants them at 0x10 and 0x18. */
const descriptors = [0n, 0n, 0x00af_9b00_0000_ffffn, 0x00cf_9300_0000_ffffn];

const cr0 = { PE: 1n << 0n, ET: 1n << 4n, PG: 1n << 31n } as const;
const cr4 = { PAE: 1n << 5n } as const;
const efer = { LME: 1n << 8n, LMA: 1n << 10n } as const;
/** The bit of RFLAGS that is always 1. */
const noFlags = 2n;

/** Page tables and descriptors into the guest's memory. */
export function writeTables(ram: GuestMemory): void {
  const [pml4, pdpt, directory] = [0, 1, 2].map((i) => memory.pageTables + i * page) as [
    number,
    number,
    number,
  ];
  const largePages = Array.from({ length: GiB / (2 * MiB) }, (_, i) => BigInt(i * 2 * MiB) | table | large);
  const write = (gpa: number, entries: readonly bigint[]): void =>
    ram.write(gpa, new Uint8Array(BigUint64Array.from(entries).buffer));
  write(pml4, [BigInt(pdpt) | table]);
  write(pdpt, [BigInt(directory) | table]);
  write(directory, largePages);
  write(memory.gdt, descriptors);
}

/** The first CPU at the entry of a kernel. @param kernel its address @throws VfioError */
export function enterKernel({ fd }: StoppedVcpu, kernel: number): void {
  const special = getSregs(fd);
  const flat = { base: 0n, limit: 0xffff_ffff, present: 1, dpl: 0, s: 1, g: 1, unusable: 0 };
  const data = { ...flat, selector: segment.data, type: 3, db: 1, l: 0 };
  Object.assign(special.cs, { ...flat, selector: segment.code, type: 11, db: 0, l: 1 });
  for (const register of [special.ds, special.es, special.ss]) Object.assign(register, data);
  Object.assign(special.tr, { type: 11, s: 0, present: 1 });
  Object.assign(special.gdt, { base: BigInt(memory.gdt), limit: 8 * descriptors.length - 1 });
  Object.assign(special, {
    cr0: cr0.PE | cr0.ET | cr0.PG,
    cr3: BigInt(memory.pageTables),
    cr4: cr4.PAE,
    efer: efer.LME | efer.LMA,
  });
  setSregs(fd, special);
  const registers = getRegs(fd);
  Object.assign(registers, {
    rip: BigInt(kernel + entry64),
    rsi: BigInt(memory.bootParams),
    rsp: BigInt(memory.bootParams),
    rflags: noFlags,
  });
  setRegs(fd, registers);
}
