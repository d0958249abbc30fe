// How the kernel's argument structs are declared here, and how memory for one is made.
// The structs lie in a `Buffer`, in typed-struct's declarations too: whoever imports them needs its type.
/// <reference types="node" preserve="true" />
import { Struct } from "./struct-builder.ts";

// Rules that keep a declaration equal to the C struct: members carry their C names; implicit padding is an explicit
// `seek`; the members of a union overlap; a bit field stays the integer that holds it; 64 bits are a bigint.
// Never a `literal` (its constructor would write to the memory), never `Bits16/32` (big-endian in typed-struct).
export { Struct };
export { integerMembers, memberRange } from "./struct-builder.ts";

/** The members of a struct class, without typed-struct's own helpers. */
export type Fields<Class extends new () => unknown> = Omit<InstanceType<Class>, "__struct" | "toJSON">;

/** What `create` needs of a class that typed-struct compiled. */
export interface StructClass<Instance> {
  /** The C name, as `vfio_region_info`; a member that has no tag of its own is named by its path, as `kvm_run.io`. */
  readonly name: string;
  /** The C `sizeof`, in bytes: without a flexible tail. */
  readonly baseSize: number;
  /** The struct over memory, which it shares. @param raw `baseSize` bytes or more */
  new (raw: Buffer): Instance;
}

/**
 * A zeroed struct to pass to the kernel. The memory starts as an `ArrayBuffer`, so it never moves: pass `bytesOf(it)`.
 * @param tail bytes of a flexible array after the struct, as `4 * fds` for `vfio_irq_set`; 0 or more
 * @throws RangeError when `tail` is not a whole number of bytes, or the struct would pass 2^32 - 1
 * @example
 * const set = create(VfioIrqSet, 4 * 2);
 * set.argsz = bytesOf(set).byteLength; // 28
 */
export function create<Instance>(type: StructClass<Instance>, tail = 0): Instance {
  if (!Number.isSafeInteger(tail) || tail < 0 || type.baseSize + tail > 0xffff_ffff)
    throw new RangeError(
      `the tail of ${type.name} must be a number of bytes from 0 to ${0xffff_ffff - type.baseSize}, not ${tail}`,
    );
  return new type(Buffer.from(new ArrayBuffer(type.baseSize + tail)));
}

/**
 * A struct over bytes that are there already, sharing them: a record inside what the kernel returned.
 * @param offset of the struct in `bytes`, in bytes
 * @param length of the struct with its flexible tail, in bytes; the C `sizeof` unless given
 * @throws RangeError when it does not lie inside `bytes` whole
 */
export function view<Instance>(
  type: StructClass<Instance>,
  bytes: Uint8Array,
  offset = 0,
  length = type.baseSize,
): Instance {
  const inside = Number.isSafeInteger(offset) && Number.isSafeInteger(length) && offset >= 0;
  if (!inside || length < type.baseSize || offset + length > bytes.byteLength)
    throw new RangeError(
      `${type.name} needs ${type.baseSize} bytes: ${length} at ${offset} of ${bytes.byteLength} is not that`,
    );
  return new type(Buffer.from(bytes.buffer, bytes.byteOffset + offset, length));
}

/** What a 64-bit member is set to: it takes an exact number too, which its type cannot say, and checks what it gets. */
export const wide = (value: number | bigint): bigint => value as bigint;

/** The memory of a struct, tail included: shared, not copied. */
export const bytesOf = (instance: { readonly __struct: string }): Uint8Array => Struct.raw(instance);
