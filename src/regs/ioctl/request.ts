// ioctl request numbers, as asm-generic/ioctl.h builds them (x86, arm64, riscv and most others).

const NONE = 0;
const WRITE = 1;
const READ = 2;

/** Bits 31:30 direction, 29:16 size of the argument in bytes, 15:8 type, 7:0 number. */
function request(direction: number, type: number, number: number, size: number): number {
  if (!Number.isInteger(type) || type < 0 || type > 0xff)
    throw new RangeError(`an ioctl type must be 0 to 255, not ${type}`);
  if (!Number.isInteger(number) || number < 0 || number > 0xff)
    throw new RangeError(`an ioctl number must be 0 to 255, not ${number}`);
  if (!Number.isInteger(size) || size < 0 || size > 0x3fff)
    throw new RangeError(`an ioctl argument must have 0 to 16383 bytes, not ${size}`);
  return ((direction << 30) | (size << 16) | (type << 8) | number) >>> 0;
}

/** `_IO(type, number)`: no argument, or one whose size is not in the request. @throws RangeError beyond 8 bits */
export const io = (type: number, number: number): number => request(NONE, type, number, 0);
/** `_IOR(type, number, size)`: the kernel fills `size` bytes. @throws RangeError beyond 8, 8 and 14 bits */
export const ior = (type: number, number: number, size: number): number => request(READ, type, number, size);
/** `_IOW(type, number, size)`: the kernel takes `size` bytes. @throws RangeError beyond 8, 8 and 14 bits */
export const iow = (type: number, number: number, size: number): number => request(WRITE, type, number, size);
/** `_IOWR(type, number, size)`: both ways. @throws RangeError beyond 8, 8 and 14 bits */
export const iowr = (type: number, number: number, size: number): number =>
  request(READ | WRITE, type, number, size);
