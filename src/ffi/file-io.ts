// pread(2) and pwrite(2). One system call where the kernel takes the whole transfer, as VFIO does for each access.
import { checked, int32 } from "../regs/ioctl/integer.ts";
import { VfioError } from "./errors.ts";
import { systemCalls } from "./system-calls.ts";
import { systemError, type FailureContext } from "./system-error.ts";
import { hex } from "../regs/hex-text.ts";

const interrupted = 4;
const descriptor = int32("a file descriptor");

/**
 * Fills `data` from byte `offset` of a file on.
 * @param offset in bytes, 0 or more, below 2^53
 * @param name of the file, for messages
 * @throws TypeError, RangeError for a descriptor, an offset or bytes that are none
 * @throws VfioError; `ESHORT` where the file ends before. Then `data` holds nothing useful
 */
export function readAt(
  fd: number,
  offset: number,
  data: Uint8Array,
  name: string,
  context?: FailureContext,
): void {
  check(fd, offset, data, name);
  const count = systemCalls().pread(fd, data, data.length, offset);
  if (count !== data.length) finish("pread", count, fd, offset, data, name, context);
}

/**
 * Writes all of `data` at byte `offset` of a file.
 * @param offset in bytes, 0 or more, below 2^53
 * @param name of the file, for messages
 * @throws VfioError; `ESHORT` where the file takes no more
 */
export function writeAt(
  fd: number,
  offset: number,
  data: Uint8Array,
  name: string,
  context?: FailureContext,
): void {
  check(fd, offset, data, name);
  const count = systemCalls().pwrite(fd, data, data.length, offset);
  if (count !== data.length) finish("pwrite", count, fd, offset, data, name, context);
}

/** What is left of a transfer that ended early, by an interruption or a limit. */
function finish(
  syscall: "pread" | "pwrite",
  count: number,
  fd: number,
  offset: number,
  data: Uint8Array,
  name: string,
  context: FailureContext | undefined,
): void {
  for (let done = 0; ;) {
    const where = (): string => `${name}: ${data.length} bytes at ${hex(offset)}`;
    if (count < 0 && count !== -interrupted) throw systemError(syscall, -count, where(), context);
    if (count === 0)
      throw new VfioError(`${where()}: ${syscall} ends after ${done} bytes`, {
        code: "ESHORT",
        syscall,
        device: context?.device,
      });
    if (count > 0) done += count;
    if (done === data.length) return;
    const rest = data.subarray(done);
    count = systemCalls()[syscall](fd, rest, rest.length, offset + done);
  }
}

/** The length that an array has, whatever an object of its own says of that. */
const { get: lengthOf } = Object.getOwnPropertyDescriptor(
  Object.getPrototypeOf(Uint8Array.prototype) as object,
  "length",
)!;

function check(fd: number, offset: number, data: Uint8Array, name: string): void {
  checked(fd, descriptor);
  // Of any other view `length` is not in bytes.
  if (!(data instanceof Uint8Array) || lengthOf!.call(data) !== data.length)
    throw new TypeError(`${name}: bytes must be a Uint8Array`);
  if (Number.isSafeInteger(offset) && offset >= 0) return;
  if (typeof offset !== "number") throw new TypeError(`${name}: an offset is a number, not ${typeof offset}`);
  throw new RangeError(`${name}: ${offset} is no offset`);
}
