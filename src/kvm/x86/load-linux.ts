// What a boot loader does: kernel, initramfs and command line into memory, and the page of parameters that tells the kernel
// where they are and what memory there is.
import { VfioError } from "../../ffi/errors.ts";
import type { GuestMemory } from "../guest-memory.ts";
import { entry64, type BzImage } from "./bzimage.ts";

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
const maxAreas = 128;
const unknownLoader = 0xff;
const page = 4096;
const mib = 2 ** 20;
const gib = 2 ** 30;

/** Kinds of memory (ACPI Specification, Address Range Types). */
export const memoryType = Object.freeze({ ram: 1, reserved: 2, acpi: 3 });

/** A range of the memory map that firmware gives a kernel. */
export interface MemoryArea {
  /** Guest physical address. */
  readonly base: number;
  /** In bytes. */
  readonly size: number;
  /** Of `memoryType`. */
  readonly type: number;
}

/** What Linux is loaded with. Places are guest physical addresses below 4 GiB. */
export interface LinuxOptions {
  /** As `parseBzImage` gave it. */
  readonly kernel: BzImage;
  /** Without a byte it is none. */
  readonly initrd?: Uint8Array | undefined;
  /** Up to what the kernel says that it takes. */
  readonly commandLine: string;
  /** All that the guest may know of, ascending; at most 128. */
  readonly map: readonly MemoryArea[];
  /** Where the boot parameters go: 4096 bytes. They are the argument of the kernel's entry. */
  readonly bootParams: number;
  /** Where the command line goes. */
  readonly commandLineAt: number;
  /** Where ACPI's tables begin: the RSDP. */
  readonly rsdp?: number | undefined;
}

const inMib = (size: number): string => `${Math.ceil(size / mib)} MiB`;

/** Where the initramfs goes: as high as it may, out of the kernel's way. @throws VfioError (`ENOMEM`) */
function placeInitrd({ kernel, map }: LinuxOptions, size: number): number {
  const ram = map.find(
    ({ base, size, type }) =>
      type === memoryType.ram && base <= kernel.address && kernel.address < base + size,
  );
  const end = ram ? Math.min(ram.base + ram.size, 4 * gib, kernel.initrdMax + 1) : 0;
  const address = Math.floor((end - size) / page) * page;
  const used = kernel.address + kernel.size;
  if (address >= used) return address;
  throw new VfioError(
    `kernel (${inMib(kernel.size)} from ${inMib(kernel.address)} on) and initramfs (${inMib(size)}) do not fit into ${inMib(end)} of memory`,
    {
      code: "ENOMEM",
      hint: `Give the guest more memory: ${Math.ceil((used + size) / mib / 64 + 1) * 64} MiB.`,
    },
  );
}

/**
 * Puts Linux into a guest's memory.
 * @returns the address of its 64-bit entry, for `LongModeEntry`
 * @throws VfioError where something does not fit (`ENOMEM`, `E2BIG`), or the guest has no memory there (`EFAULT`)
 */
export function loadLinux(memory: GuestMemory, options: LinuxOptions): number {
  const { kernel, initrd, commandLine, map, bootParams, commandLineAt, rsdp = 0 } = options;
  if (map.length > maxAreas) throw new RangeError(`a memory map has at most ${maxAreas} areas`);
  const words = new TextEncoder().encode(`${commandLine}\0`);
  if (words.length - 1 > kernel.commandLineMax)
    throw new VfioError(`the kernel takes a command line of at most ${kernel.commandLineMax} bytes`, {
      code: "E2BIG",
    });
  const initrdSize = initrd?.length ?? 0;
  const initrdAddress = placeInitrd(options, initrdSize);
  memory.write(kernel.address, kernel.kernel);
  if (initrd && initrdSize > 0) memory.write(initrdAddress, initrd);
  memory.write(commandLineAt, words);

  const bytes = new Uint8Array(parametersSize);
  const view = new DataView(bytes.buffer);
  bytes.set(kernel.setupHeader, parameter.setupHeader);
  view.setBigUint64(parameter.rsdp, BigInt(rsdp), true);
  view.setUint8(parameter.loader, unknownLoader);
  view.setUint32(parameter.initrd, initrdSize === 0 ? 0 : initrdAddress, true);
  view.setUint32(parameter.initrdSize, initrdSize, true);
  view.setUint32(parameter.commandLine, commandLineAt, true);
  view.setUint8(parameter.e820Count, map.length);
  map.forEach(({ base, size, type }, i) => {
    const at = parameter.e820 + 20 * i;
    view.setBigUint64(at, BigInt(base), true);
    view.setBigUint64(at + 8, BigInt(size), true);
    view.setUint32(at + 16, type, true);
  });
  memory.write(bootParams, bytes);
  return kernel.address + entry64;
}
