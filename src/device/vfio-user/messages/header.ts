// The header of every message, and the commands (vfio-user specification as shipped with QEMU 11.1.3, "Header").
import { wireStruct } from "../wire.ts";

/** What a message asks for, or answers. */
export const Command = {
  version: 1,
  dmaMap: 2,
  dmaUnmap: 3,
  deviceInfo: 4,
  regionInfo: 5,
  regionIoFds: 6,
  irqInfo: 7,
  setIrqs: 8,
  regionRead: 9,
  regionWrite: 10,
  dmaRead: 11,
  dmaWrite: 12,
  reset: 13,
  /** Gone from the specification; the number stays taken. */
  dirtyPages: 14,
  regionWriteMulti: 15,
  feature: 16,
  migrationRead: 17,
  migrationWrite: 18,
} as const;

const names: readonly string[] = [
  ...["none", "VERSION", "DMA_MAP", "DMA_UNMAP", "DEVICE_GET_INFO", "DEVICE_GET_REGION_INFO"],
  ...["DEVICE_GET_REGION_IO_FDS", "DEVICE_GET_IRQ_INFO", "DEVICE_SET_IRQS", "REGION_READ", "REGION_WRITE"],
  ...["DMA_READ", "DMA_WRITE", "DEVICE_RESET", "DIRTY_PAGES", "REGION_WRITE_MULTI", "DEVICE_FEATURE"],
  ...["MIG_DATA_READ", "MIG_DATA_WRITE"],
];

/** `REGION_READ` for 9; `command 99` for a number that has no name. */
export const commandName = (command: number): string => names[command] ?? `command ${command}`;

/** Of the header's `flags`: the type in bits 0 to 3, and two flags. */
export const messageType = { mask: 0xf, request: 0, reply: 1 } as const;
export const noReply = 0x10;
export const isError = 0x20;

/** `size` is of the whole message, this included; `error` a positive errno, which counts with `isError` alone. */
export const header = wireStruct(16, { id: "u16", command: "u16", size: "u32", flags: "u32", error: "u32" });

/** Where the body of a message begins, in bytes. */
export const bodyAt = header.size;
