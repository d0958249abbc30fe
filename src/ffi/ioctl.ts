// ioctl(2), and what its failure looks like. The typed functions of vfio-*.ts and iommufd-*.ts stand on it.
import { ptr } from "bun:ffi";
import { checked, int32, uint32, type IntegerRange } from "../regs/ioctl/integer.ts";
import { errnoName } from "./errno.ts";
import { VfioError } from "./errors.ts";
import { systemCalls } from "./system-calls.ts";
import type { FailureContext } from "./system-error.ts";
import { hex } from "../regs/hex-text.ts";

/** On whose behalf a request is made: for the error alone. */
export type IoctlContext = FailureContext;

/** A request, for the error alone. */
export interface IoctlWhat extends IoctlContext {
  /** The ioctl's name with its arguments, or what composes them: asked on failure only. */
  readonly request: string | (() => string);
}

/** Memory that the kernel reads or fills: it starts as an `ArrayBuffer`, so that it does not move. Or a plain value. */
export type IoctlArgument = Uint8Array | number;

const descriptor = int32("a file descriptor");
const requestNumber = uint32("an ioctl request");
/** The kernel takes a `long`; what is negative or not exact as a number means nothing to any request. */
const plain: IntegerRange = { ...uint32("an ioctl's argument"), max: Number.MAX_SAFE_INTEGER };

// bun:ffi cuts what does not fit its argument, so that 2^32 + 3 would be descriptor 3.
function call(fd: number, request: number, argument: IoctlArgument): number {
  checked(fd, descriptor);
  checked(request, requestNumber);
  if (argument instanceof Uint8Array) return systemCalls().ioctl(fd, request, argument);
  return systemCalls().ioctlInteger(fd, request, checked(argument, plain));
}

/**
 * One ioctl(2).
 * @param request as `vfioRequest.DEVICE_RESET`
 * @returns its result, 0 or more
 * @throws TypeError, RangeError for a number that its place cannot hold
 * @throws VfioError with the errno's name, the request's name and arguments, the device and a hint
 */
export function ioctl(fd: number, request: number, argument: IoctlArgument, what: IoctlWhat): number {
  const result = call(fd, request, argument);
  if (result >= 0) return result;
  throw ioctlError(-result, what);
}

/** An ioctl whose failure is an answer. @returns its result, or minus the errno */
export const ioctlOrErrno = (fd: number, request: number, argument: IoctlArgument): number =>
  call(fd, request, argument);

/** The error of a request that failed with this errno. */
export function ioctlError(errno: number, { request, device, hint }: IoctlWhat): VfioError {
  const code = errnoName(errno);
  const text = typeof request === "string" ? request : request();
  return new VfioError(`${device === undefined ? "" : `${device}: `}${text} fails with ${code}`, {
    code,
    errno,
    syscall: "ioctl",
    request: text,
    device,
    hint: typeof hint === "function" ? hint(code) : hint,
  });
}

/** What a struct points to: nothing else may know of it any more when the kernel looks there. */
const pointedTo: { memory?: Uint8Array } = {};

/**
 * The address of memory that a struct points to, made as an `ArrayBuffer`. It stays alive until the next address is asked
 * for: a number keeps no memory from the garbage collector, and a struct has one pointer.
 */
export function addressOf(memory: Uint8Array): bigint {
  if (memory.byteLength === 0) return 0n;
  pointedTo.memory = memory;
  // An address that bun:ffi cannot give is returned as an Error object, not thrown.
  const address: unknown = ptr(memory);
  if (typeof address === "number" || typeof address === "bigint") return BigInt(address);
  throw address;
}

/** A 64-bit value of the kernel as a number. @param name what it is, for the message @throws VfioError above 2^53 - 1 */
export function exact(value: bigint, name: string): number {
  if (value <= BigInt(Number.MAX_SAFE_INTEGER)) return Number(value);
  throw new VfioError(`${name} is ${hex(value)}, above 2^53 - 1`, { code: "ERANGE" });
}

/** The names of the bits of `value` that a table has, as `READ+WRITE`; a value of the table by its own name. */
export function flagNames(table: Readonly<Record<string, number>>, value: number): string {
  const names = Object.keys(table).filter(
    (name) => table[name] !== 0 && (value & table[name]!) === table[name],
  );
  return names.length > 0 ? names.join("+") : hex(value);
}

/** The name of a value, as `TYPE1v2`; the number where the table has none. */
export const valueName = (table: Readonly<Record<string, number>>, value: number): string =>
  Object.keys(table).find((name) => table[name] === value) ?? String(value);
