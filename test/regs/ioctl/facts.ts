// What a declared struct does, as facts to compare with the C compiler's: found by use of the accessors, not by their
// description, so a wrong width or sign shows too.
import { bytesOf, type AnyStruct, type UapiConstant } from "../../../src/regs/ioctl/index.ts";

/** Facts by name, as `offset vfio_irq_set.data`: c-program.ts has the C for each kind. */
export type Facts = Map<string, bigint>;

/** A member, as its use shows it. */
export interface Member {
  readonly name: string;
  readonly offset: number;
  /** Bytes; 0 for a flexible tail. */
  readonly size: number;
  /** Of an integer. */
  readonly signed?: boolean;
  /** Of a flexible tail: bytes an element. */
  readonly element?: number;
  /** The C name of the struct that the member, or its element, is; none where it has no tag. */
  readonly struct?: string;
}

type Instance = ReturnType<typeof instantiate>;
const instantiate = (type: AnyStruct, memory: Buffer) => new type(memory);
const isInstance = (value: unknown): value is Instance =>
  typeof value === "object" && value !== null && "$raw" in value;

/** The members of a struct, each by what reading and writing it does. */
export function membersOf(type: AnyStruct): Member[] {
  // Room for a tail of 4096 bytes, to see the size of one element.
  const memory = Buffer.from(new ArrayBuffer(type.baseSize + 4096));
  const instance = instantiate(type, memory) as unknown as Record<string, unknown>;
  return Object.entries(type.getOffsets()).map(([name, declared]): Member => {
    const value = instance[name];
    const tail = declared === type.baseSize;
    if (typeof value === "number" || typeof value === "bigint") {
      memory.fill(0);
      setAllBits(instance, name, value);
      const offset = memory.findIndex((byte) => byte !== 0);
      const size = memory.findLastIndex((byte) => byte !== 0) + 1 - offset;
      return { name, offset, size, signed: (instance[name] as number | bigint) < 0 };
    }
    if (ArrayBuffer.isView(value)) {
      const offset = value.byteOffset - memory.byteOffset;
      const element = (value as Uint8Array).BYTES_PER_ELEMENT;
      return tail ? { name, offset, size: 0, element } : { name, offset, size: value.byteLength };
    }
    const first: unknown = Array.isArray(value) ? value[0] : value;
    if (!isInstance(first)) throw new Error(`${type.name}.${name} is of a kind that this test does not know`);
    const bytes = bytesOf(first);
    const offset = bytes.byteOffset - memory.byteOffset;
    const tag = first.constructor.name;
    const struct = tag.includes(".") ? {} : { struct: tag };
    if (tail) return { name, offset, size: 0, element: bytes.byteLength, ...struct };
    return { name, offset, size: bytes.byteLength * (Array.isArray(value) ? value.length : 1), ...struct };
  });
}

/** Sets a member to what has all bits set: -1, or the largest value that it takes. */
function setAllBits(instance: Record<string, unknown>, name: string, value: number | bigint): void {
  const candidates = typeof value === "bigint" ? [-1n, 2n ** 64n - 1n] : [-1, 0xffff_ffff, 0xffff, 0xff];
  for (const candidate of candidates)
    try {
      instance[name] = candidate;
      return;
    } catch (error) {
      if (!(error instanceof RangeError)) throw error;
    }
  throw new Error(`${name} takes none of ${candidates.join(", ")}`);
}

/** All that the C compiler is asked about a struct, as this library has it. */
export function structFacts(type: AnyStruct): Facts {
  const facts: Facts = new Map([[`struct-size ${type.name}`, BigInt(type.baseSize)]]);
  for (const member of membersOf(type)) {
    const path = `${type.name}.${member.name}`;
    facts.set(`offset ${path}`, BigInt(member.offset));
    if (member.element === undefined) facts.set(`size ${path}`, BigInt(member.size));
    else facts.set(`element-size ${path}`, BigInt(member.element));
    if (member.signed !== undefined) facts.set(`signed ${path}`, member.signed ? 1n : 0n);
    if (member.struct !== undefined)
      facts.set(
        `${Array.isArray(memberValue(type, member.name)) ? "element-type" : "type"} ${path} ${member.struct}`,
        1n,
      );
  }
  return facts;
}

const memberValue = (type: AnyStruct, name: string): unknown =>
  (instantiate(type, Buffer.from(new ArrayBuffer(type.baseSize))) as unknown as Record<string, unknown>)[
    name
  ];

/** A constant, as the 32 or 64 bits that it is. */
export const constantFacts = (constants: readonly UapiConstant[]): Facts =>
  new Map(constants.map(({ name, value }) => [`constant ${name}`, BigInt(value)]));

/** A struct's members as text: `0 argsz u32, 4 flags u32, 8 iommufd s32`; what is no integer has its size in bytes. */
export const layoutText = (type: AnyStruct): string =>
  membersOf(type)
    .map(({ name, offset, size, signed }) => {
      const integer = signed === undefined ? `${size}` : `${signed ? "s" : "u"}${size * 8}`;
      return `${offset} ${name} ${integer}`;
    })
    .join(", ");

/** Bytes of a struct that no member covers, as `offset+length`. */
export function holes(type: AnyStruct): string[] {
  const covered = new Uint8Array(type.baseSize);
  for (const member of membersOf(type)) covered.fill(1, member.offset, member.offset + member.size);
  const found: string[] = [];
  for (let at = covered.indexOf(0); at >= 0; at = covered.indexOf(0, at)) {
    const next = covered.indexOf(1, at);
    const end = next < 0 ? covered.length : next;
    found.push(`${at}+${end - at}`);
    covered.fill(1, at, end);
  }
  return found;
}
