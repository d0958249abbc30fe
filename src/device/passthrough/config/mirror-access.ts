import { unknownStandard } from "../../../regs/index.ts";

/** A guest's access to config space, 1, 2 or 4 bytes inside of one dword; see `GuestConfig`. */
export interface ConfigPort {
  read(offset: number, width: number): number;
  write(offset: number, width: number, value: number): void;
}

/** The widest access of a PCI host that begins at an offset, and has so many bytes at most. */
const widthAt = (offset: number, most: number): number =>
  offset % 2 === 1 || most === 1 ? 1 : offset % 4 === 2 || most < 4 ? 2 : 4;

/** Fills part of `data` from config space, dword by dword. */
export function readMirror(
  port: ConfigPort,
  offset: number,
  data: Uint8Array,
  from: number,
  count: number,
): void {
  for (let done = 0; done < count;) {
    const width = widthAt(offset + done, count - done);
    const value = port.read(offset + done, width);
    for (let i = 0; i < width; i++) data[from + done + i] = value >>> (8 * i);
    done += width;
  }
}

/** Writes part of `data` to config space, likewise. */
export function writeMirror(
  port: ConfigPort,
  offset: number,
  data: Uint8Array,
  from: number,
  count: number,
): void {
  for (let done = 0; done < count;) {
    const width = widthAt(offset + done, count - done);
    let value = 0;
    for (let i = width - 1; i >= 0; i--) value = value * 256 + data[from + done + i]!;
    port.write(offset + done, width, value);
    done += width;
  }
}

/**
 * Whether a write goes to the head of the MSI capability alone, which is read-only in config space: NVIDIA's drivers tell the
 * device so, in its mirror, that they have handled an interrupt.
 */
export const isAcknowledgement = (capability: number | undefined, offset: number, count: number): boolean =>
  capability !== undefined && offset >= capability && offset + count <= capability + unknownStandard.size;
