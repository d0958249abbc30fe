// System calls as machine code. The kernel says in its result what failed; the C library moves that into errno, where other
// calls of its, which a JavaScript engine makes at any time, overwrite it before it can be read. So the library is left out.
import { callNumber, callTable, type Architecture, type CallName } from "./system-call-table.ts";

/** Bytes from one function to the next. */
export const stride = 16;

/**
 * A C function that is one system call, and returns what the kernel does: a value, or -errno. C and kernel take arguments in
 * the same registers, but for the fourth on x86-64 (System V ABI, A.2.1; Procedure Call Standard for the Arm 64-bit
 * Architecture, 6.4; syscall(2)).
 * @param number of the call, below 2^16
 */
export function callCode(number: number, architecture: Architecture): Uint8Array {
  if (architecture === "x64")
    return Uint8Array.of(
      ...[0xb8, number & 0xff, number >>> 8, 0, 0], // mov eax, number
      ...[0x49, 0x89, 0xca], // mov r10, rcx: syscall overwrites rcx
      ...[0x0f, 0x05], // syscall
      0xc3, // ret
    );
  const words = [
    0xd280_0008 | (number << 5), // movz x8, number
    0xd400_0001, // svc 0
    0xd65f_03c0, // ret
  ];
  const code = new DataView(new ArrayBuffer(4 * words.length));
  words.forEach((word, i) => code.setUint32(4 * i, word, true));
  return new Uint8Array(code.buffer);
}

/** The functions of all calls, one after the other, and where each begins; in bytes. */
export function allCode(architecture: Architecture): {
  readonly code: Uint8Array;
  readonly offsets: ReadonlyMap<CallName, number>;
} {
  const names = Object.keys(callTable) as CallName[];
  const code = new Uint8Array(names.length * stride);
  names.forEach((name, i) => code.set(callCode(callNumber(name, architecture), architecture), i * stride));
  return { code, offsets: new Map(names.map((name, i) => [name, i * stride])) };
}
