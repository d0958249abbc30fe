// What a boot loader does: kernel, initramfs and command line into memory, and the page of parameters that tells the kernel
// where they are and what memory there is.
import { VfioError } from "bun-vfio";
import type { GuestMemory } from "bun-vfio/kvm";
import { GiB, memory, MiB } from "../layout.ts";
import type { BzImage } from "./bzimage.ts";

/** Offsets in `struct boot_params` (asm/bootparam.h of Linux). */
const parameter = {
  rsdp: 0x070,
  e820Count: 0x1e8,
  setupHeader: 0x1f1,
  loader: 0x210,
  initrd: 0x218,
  initrdSize: 0x21c,
  commandLine: 0x228,
  e820: 0x2d0,
} as const;
const parametersSize = 4096;
const unknownLoader = 0xff;
const e820 = { ram: 1, acpi: 3 } as const;
const page = 4096;

export interface LinuxOptions {
  readonly kernel: BzImage;
  readonly initrd: Uint8Array | undefined;
  readonly commandLine: string;
}

const mib = (size: number): string => `${Math.ceil(size / MiB)} MiB`;

type Area = readonly [base: number, size: number, type: number];

/** The memory map: what is usable, and where the firmware's tables are. @param size of RAM in bytes */
export function memoryMap(size: number): Area[] {
  const below = Math.min(size, memory.hole);
  const map: Area[] = [
    [0, memory.lowEnd, e820.ram],
    [memory.acpi.base, memory.acpi.size, e820.acpi],
    [MiB, below - MiB, e820.ram],
  ];
  if (size > below) map.push([4 * GiB, size - below, e820.ram]);
  return map;
}

/** Where the initramfs goes: as high as it may, out of the kernel's way. @throws VfioError (`ENOMEM`) */
function placeInitrd(kernel: BzImage, size: number, ram: number): number {
  const end = Math.min(ram, memory.hole, kernel.initrdMax + 1);
  const address = Math.floor((end - size) / page) * page;
  const used = kernel.address + kernel.size;
  if (address >= used) return address;
  throw new VfioError(
    `kernel (${mib(kernel.size)} from ${mib(kernel.address)} on) and initramfs (${mib(size)}) do not fit into ${mib(ram)} of memory`,
    {
      code: "ENOMEM",
      hint: `Give the guest more: --memory ${Math.ceil((used + size) / MiB / 64 + 1) * 64}M.`,
    },
  );
}

/**
 * @param ram all of the guest's memory
 * @returns the address of the kernel
 * @throws VfioError where something does not fit
 */
export function loadLinux(ram: GuestMemory, { kernel, initrd, commandLine }: LinuxOptions): number {
  const words = new TextEncoder().encode(`${commandLine}\0`);
  if (words.length - 1 > kernel.commandLineMax)
    throw new VfioError(`the kernel takes a command line of at most ${kernel.commandLineMax} bytes`, {
      code: "E2BIG",
    });
  const initrdSize = initrd?.length ?? 0;
  const initrdAddress = placeInitrd(kernel, initrdSize, ram.size);
  ram.write(kernel.address, kernel.kernel);
  if (initrd) ram.write(initrdAddress, initrd);
  ram.write(memory.commandLine, words);

  const bytes = new Uint8Array(parametersSize);
  const view = new DataView(bytes.buffer);
  bytes.set(kernel.setupHeader, parameter.setupHeader);
  view.setBigUint64(parameter.rsdp, BigInt(memory.acpi.base), true);
  view.setUint8(parameter.loader, unknownLoader);
  view.setUint32(parameter.initrd, initrdSize === 0 ? 0 : initrdAddress, true);
  view.setUint32(parameter.initrdSize, initrdSize, true);
  view.setUint32(parameter.commandLine, memory.commandLine, true);
  const map = memoryMap(ram.size);
  view.setUint8(parameter.e820Count, map.length);
  map.forEach(([base, size, type], i) => {
    const at = parameter.e820 + 20 * i;
    view.setBigUint64(at, BigInt(base), true);
    view.setBigUint64(at + 8, BigInt(size), true);
    view.setUint32(at + 16, type, true);
  });
  ram.write(memory.bootParams, bytes);
  return kernel.address;
}
