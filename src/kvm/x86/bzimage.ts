// A Linux kernel as distributions ship it, `bzImage`: its setup header says where it wants to be and how it is entered
// (Documentation/arch/x86/boot.rst of Linux).
import { VfioError } from "../../ffi/errors.ts";
import { hex } from "../../regs/hex-text.ts";

/** Offsets in the file, and at the same place in the boot parameters. */
const header = {
  begin: 0x1f1,
  /** How long the kernel itself is, in units of 16 bytes. */
  kernelSize: 0x1f4,
  bootFlag: 0x1fe,
  /** The byte before says how long the header is, from here. */
  magic: 0x202,
  version: 0x206,
  loadFlags: 0x211,
  initrdMax: 0x22c,
  alignment: 0x230,
  xloadFlags: 0x236,
  commandLineMax: 0x238,
  preferred: 0x258,
  initSize: 0x260,
  end: 0x264,
} as const;
const bootFlag = 0xaa55;
const magic = 0x5372_6448; // "HdrS"
/** 2.12, of Linux 3.8: the first with flags that tell of a 64-bit entry. */
const oldestVersion = 0x20c;
const loadFlag = { high: 1 << 0 } as const;
const xloadFlag = { kernel64: 1 << 0 } as const;
const sector = 512;
const paragraph = 16;

/** A kernel as `parseBzImage` finds it. */
export interface BzImage {
  /** What goes to the same offset of the boot parameters, from 0x1f1 on. */
  readonly setupHeader: Uint8Array;
  /** The kernel itself. */
  readonly kernel: Uint8Array;
  /** Guest physical address at which it wants to be. */
  readonly address: number;
  /** Bytes that it needs there, until it knows the machine's memory. */
  readonly size: number;
  /** Address of the last byte that an initrd may have. */
  readonly initrdMax: number;
  /** Bytes, without the 0 at the end. */
  readonly commandLineMax: number;
}

/** Offset of the 64-bit entry from where the kernel is. */
export const entry64 = 0x200;

/** @param name for messages @throws VfioError (`ENOEXEC`) where this is no kernel that can be entered in 64-bit mode, or not all of one */
export function parseBzImage(data: Uint8Array, name: string): BzImage {
  const refuse = (why: string, hint?: string): VfioError =>
    new VfioError(`${name}: ${why}`, { code: "ENOEXEC", hint });
  const noKernel = "A kernel is a file such as /boot/vmlinuz-*; an ELF file vmlinux is none.";
  const noWhole = "Copy the file again: it was cut off.";
  if (data.length < header.end) throw refuse("this is no bzImage: it is too short", noKernel);
  const view = new DataView(data.buffer, data.byteOffset, data.byteLength);
  if (view.getUint16(header.bootFlag, true) !== bootFlag || view.getUint32(header.magic, true) !== magic)
    throw refuse("this is no bzImage: it has no setup header", noKernel);
  const version = view.getUint16(header.version, true);
  if (version < oldestVersion)
    throw refuse(`boot protocol ${version >> 8}.${version & 0xff} is older than 2.12`);
  if (!(view.getUint8(header.loadFlags) & loadFlag.high))
    throw refuse("this is a zImage, which is loaded low");
  if (!(view.getUint16(header.xloadFlags, true) & xloadFlag.kernel64))
    throw refuse("the kernel has no 64-bit entry", "Take one for x86-64.");
  // 0 means 4, for the sake of kernels that are older than the field.
  const sectors = data[header.begin] || 4;
  const kernel = data.subarray((sectors + 1) * sector);
  if (kernel.length === 0) throw refuse("the file ends before the kernel", noWhole);
  const wanted = paragraph * view.getUint32(header.kernelSize, true);
  if (kernel.length < wanted)
    throw refuse(`the file ends early: it has ${kernel.length} of the kernel's ${wanted} bytes`, noWhole);
  const headerEnd = header.magic + data[header.magic - 1]!;
  if (headerEnd < header.end)
    throw refuse(`this is no bzImage: its setup header ends at ${hex(headerEnd)}`, noKernel);
  return {
    setupHeader: data.subarray(header.begin, headerEnd),
    kernel,
    address: Number(view.getBigUint64(header.preferred, true)),
    size: Math.max(view.getUint32(header.initSize, true), kernel.length),
    initrdMax: view.getUint32(header.initrdMax, true),
    commandLineMax: view.getUint32(header.commandLineMax, true),
  };
}
