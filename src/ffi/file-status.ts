// What a descriptor is open on, for descriptors that come from somebody else: memory that is mapped from a file ends where
// the file does, and touching what lies behind ends the process.
import { checked, int32 } from "../regs/ioctl/integer.ts";
import { fcntlCommand, sealFlag } from "./constants.ts";
import { systemCalls, systemError } from "./system-calls.ts";
import type { FailureContext } from "./system-error.ts";

/** struct stat of the kernel, where it differs by machine; the device's number is first, the inode's next; in bytes. */
export const statLayout = { mode: process.arch === "arm64" ? 16 : 24, size: 48, room: 144 } as const;
const kindMask = 0o170000;
const regular = 0o100000;

/** Facts of an open file. */
export interface FileStatus {
  /** A file with a size of its own: on a disk, of tmpfs, or a memfd. */
  readonly isRegular: boolean;
  /** In bytes; says nothing unless `isRegular`. */
  readonly size: number;
  /** The same for two descriptors of one file, and for no others. */
  readonly identity: string;
}

const descriptor = int32("a file descriptor");
const room = new Uint8Array(new ArrayBuffer(statLayout.room));
const view = new DataView(room.buffer);

/** fstat(2). @throws VfioError, as EBADF; TypeError, RangeError for a descriptor that is none */
export function fileStatus(fd: number, name: string, context: FailureContext = {}): FileStatus {
  const result = systemCalls().fstat(checked(fd, descriptor), room);
  if (result < 0) throw systemError("fstat", -result, name, context);
  const word = (at: number): number => view.getUint32(at, true);
  const long = (at: number): number => word(at) + word(at + 4) * 2 ** 32;
  return {
    isRegular: (word(statLayout.mode) & kindMask) === regular,
    size: long(statLayout.size),
    identity: `${long(0)}.${word(12)}.${word(8)}`,
  };
}

/**
 * Has a memory file never get smaller, for anybody.
 * @returns false for a file that cannot be sealed @throws TypeError, RangeError for a descriptor that is none
 */
export function sealAgainstShrinking(fd: number): boolean {
  const { fcntl } = systemCalls();
  const seals = fcntl(checked(fd, descriptor), fcntlCommand.GET_SEALS, 0);
  if (seals < 0) return false;
  if ((seals & sealFlag.SHRINK) !== 0) return true;
  return fcntl(fd, fcntlCommand.ADD_SEALS, sealFlag.SHRINK) === 0;
}
