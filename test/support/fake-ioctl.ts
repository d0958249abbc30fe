// A kernel that answers ioctls with what a test wants, under the typed functions.
import { spyOn } from "bun:test";
import { read, type Pointer } from "bun:ffi";
import { systemCalls } from "../../src/ffi/system-calls.ts";

/** One request as it reached the kernel. */
export interface Asked {
  readonly fd: number;
  readonly request: number;
  /** A copy of the struct; none for a request that takes a number. */
  readonly bytes: Uint8Array | undefined;
  /** The number, for a request that takes one. */
  readonly number: number | undefined;
}

export interface FakeIoctl extends Disposable {
  readonly asked: Asked[];
}

/** What the kernel does with a request: may fill the struct; a result, or minus an errno. */
export type Answer = (asked: Asked, memory: DataView) => number;

/** Until it is disposed of, every ioctl goes to `answer`. */
export function fakeIoctl(answer: Answer = () => 0): FakeIoctl {
  const asked: Asked[] = [];
  const respond = (one: Asked, memory: DataView): number => {
    asked.push(one);
    return answer(one, memory);
  };
  const struct = spyOn(systemCalls(), "ioctl").mockImplementation(((
    fd: number,
    request: number,
    bytes: Uint8Array,
  ) =>
    respond(
      { fd, request, bytes: Uint8Array.from(bytes), number: undefined },
      new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength),
    )) as never);
  const integer = spyOn(systemCalls(), "ioctlInteger").mockImplementation(((
    fd: number,
    request: number,
    number: number,
  ) => respond({ fd, request, bytes: undefined, number }, new DataView(new ArrayBuffer(0)))) as never);
  return {
    asked,
    [Symbol.dispose]() {
      struct.mockRestore();
      integer.mockRestore();
    },
  };
}

/** Bytes at an address that a struct holds. */
export function bytesAt(address: bigint, size: number): Uint8Array {
  const bytes = new Uint8Array(size);
  for (let i = 0; i < size; i++) bytes[i] = read.u8(Number(address) as Pointer, i);
  return bytes;
}
