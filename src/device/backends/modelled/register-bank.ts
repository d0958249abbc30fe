// The registers of a BAR: memory that behaves as the access words of its map say.
import type { Entries, PlainRegisters } from "../../../regs/entries.ts";
import type { FieldValue } from "../../../regs/field.ts";
import type { RegisterMap } from "../../../regs/map.ts";
import type { FieldAt, FieldPath, FieldReference, RegisterReference } from "../../../regs/reference.ts";
import { accessWords } from "../../../regs/access.ts";
import { hasFields, type RawValue, type Register } from "../../../regs/register.ts";
import type { View } from "../../../regs/view-types.ts";

/** The values of a register's fields and its bits, or its whole value where it has no fields. */
export type RegisterValue = number | bigint | Readonly<Record<string, unknown>>;

/** A register of a bank that somebody looks at. */
export interface WatchedRegister {
  readonly at: number;
  /** In bytes. */
  readonly size: number;
  read?(): void;
  write?(before: RegisterValue, after: RegisterValue): void;
  /** Its value now. */
  value(): RegisterValue;
}

type Value<M extends Entries, P extends string> = P extends keyof PlainRegisters<M>
  ? RawValue<PlainRegisters<M>[P]["width"]>
  : FieldValue<FieldAt<PlainRegisters<M>, P>>;
/** A register, or `register.field`. */
export type BankPath<M extends Entries> = (keyof PlainRegisters<M> & string) | FieldPath<PlainRegisters<M>>;

/** A register or a field, and the memory that holds it. */
interface Reference {
  readonly to: RegisterReference<Register> | FieldReference;
  readonly memory: DataView;
}

const isWriteOnly = (register: Register): boolean =>
  hasFields(register)
    ? Object.values(register.fields).every(({ access }) => accessWords[access].read === "unreadable")
    : accessWords[register.access].read === "unreadable";

/** Of the bytes of a map. */
interface ByteKinds {
  /** 1 where a register is. */
  readonly covered: Uint8Array;
  /** Bits that a read gives. */
  readonly readable: Uint8Array;
  /** 1 where a write reaches a write-only register, and a read another. */
  readonly apart: Uint8Array;
  /** Whether there are such bytes. */
  readonly hasBoth: boolean;
}

function byteKinds({ size, registers, masks }: RegisterMap<Entries>): ByteKinds {
  const [covered, readable, apart] = [new Uint8Array(size), new Uint8Array(size), new Uint8Array(size)];
  const whole = Object.values(registers);
  for (const { at, width } of whole) covered.fill(1, at, at + width / 8);
  for (let at = 0; at < size; at++) readable[at] = ~masks.writeOnly[at]!;
  for (const register of whole.filter((one) => !isWriteOnly(one)))
    for (let at = register.at; at < register.at + register.width / 8; at++) {
      const hides = whole.some((one) => isWriteOnly(one) && at >= one.at && at < one.at + one.width / 8);
      if (!hides) continue;
      apart[at] = 1;
      readable[at] = 0xff;
    }
  return { covered, readable, apart, hasBoth: apart.includes(1) };
}

/** The registers of one BAR, as the device itself reaches them: whatever their access words say. */
export class RegisterBank<M extends Entries = Entries> {
  /** What its registers are. */
  readonly map: RegisterMap<M>;
  /** Accessors as of any register map; tables are here too. Read-only ones are set by `set`. */
  readonly view: View<M>;
  readonly #bytes: Uint8Array<ArrayBuffer>;
  readonly #memory: DataView;
  /** What was written where a write reaches another register than a read does; see `alias`. */
  readonly #written: DataView;
  readonly #kinds: ByteKinds;
  readonly #references = new Map<string, Reference>();
  /** By byte of the map: the watched registers that cover it. */
  #watched: readonly (readonly WatchedRegister[])[] = [];

  constructor(map: RegisterMap<M>) {
    this.map = map;
    this.#bytes = new Uint8Array(new ArrayBuffer(map.size));
    this.#bytes.set(map.masks.reset);
    this.#memory = new DataView(this.#bytes.buffer);
    this.#kinds = byteKinds(map as unknown as RegisterMap<Entries>);
    this.#written = this.#kinds.hasBoth ? new DataView(new ArrayBuffer(map.size)) : this.#memory;
    this.view = map.view(this.#memory);
  }

  /** The bytes of all registers. */
  get bytes(): Uint8Array<ArrayBuffer> {
    return this.#bytes;
  }

  /** A register's whole value, or a field's. */
  get<P extends BankPath<M>>(path: P): Value<M, P> {
    const { to, memory } = this.#reference(path);
    return to.read(memory) as Value<M, P>;
  }
  /** @throws TypeError or RangeError for what the field cannot hold */
  set<P extends BankPath<M>>(path: P, value: Value<M, P>): void {
    const { to, memory } = this.#reference(path);
    to.write(memory, value as never);
  }

  #reference(path: string): Reference {
    let reference = this.#references.get(path);
    if (!reference) {
      const map = this.map as unknown as RegisterMap<Entries>;
      const found = path.includes(".") ? map.field(path as never) : map.register(path as never);
      const memory = this.memoryOf(map.registers[path.split(".", 1)[0]!]!);
      this.#references.set(path, (reference = { memory, to: found as Reference["to"] }));
    }
    return reference;
  }

  /** @internal The memory that holds a register: its own where others can be read at the same bytes, and it cannot. */
  memoryOf(register: Register): DataView {
    return isWriteOnly(register) ? this.#written : this.#memory;
  }

  /** @internal */
  watch(registers: readonly WatchedRegister[]): void {
    const watched = Array.from({ length: this.#bytes.length }, (): WatchedRegister[] => []);
    for (const register of registers)
      for (let at = register.at; at < register.at + register.size; at++) watched[at]!.push(register);
    this.#watched = watched;
  }

  /** Whether a register of the map covers a byte. */
  covers(offset: number): boolean {
    return this.#kinds.covered[offset] === 1;
  }

  /** A guest's read, inside of the map. */
  read(offset: number, data: Uint8Array): void {
    this.#each(offset, data.length, (register) => register.read?.());
    const { rc, rs } = this.map.masks;
    for (let i = 0; i < data.length; i++) {
      const at = offset + i;
      data[i] = this.#bytes[at]! & this.#kinds.readable[at]!;
      this.#bytes[at] = (this.#bytes[at]! & ~rc[at]!) | rs[at]!;
    }
  }

  /** A guest's write, inside of the map. */
  write(offset: number, data: Uint8Array): void {
    const before: RegisterValue[] = [];
    this.#each(offset, data.length, (register) => register.write && void before.push(register.value()));
    const { write, w1c, w1s, w1t, w0c, selfClearing } = this.map.masks;
    for (let i = 0; i < data.length; i++) {
      const at = offset + i;
      const byte = data[i]!;
      if (this.#kinds.hasBoth) this.#written.setUint8(at, byte);
      if (this.#kinds.apart[at]) continue;
      let value = (this.#bytes[at]! & ~write[at]!) | (byte & write[at]!);
      value = (value | (byte & w1s[at]!)) ^ (byte & w1t[at]!);
      this.#bytes[at] = value & ~(byte & w1c[at]!) & ~(~byte & w0c[at]!);
    }
    let next = 0;
    this.#each(offset, data.length, (register) => register.write?.(before[next++]!, register.value()));
    for (let at = offset; at < offset + data.length; at++) this.#bytes[at]! &= ~selfClearing[at]!;
  }

  /** Calls for each watched register that a range touches, once, from the lowest on. */
  #each(offset: number, length: number, act: (register: WatchedRegister) => void): void {
    if (this.#watched.length === 0) return;
    for (let at = offset; at < offset + length; at++)
      for (const register of this.#watched[at]!) if (at === Math.max(register.at, offset)) act(register);
  }

  /** As after a reset of the function: sticky bits live through it. */
  reset(): void {
    const { reset, sticky } = this.map.masks;
    for (let at = 0; at < this.#bytes.length; at++)
      this.#bytes[at] = (reset[at]! & ~sticky[at]!) | (this.#bytes[at]! & sticky[at]!);
  }

  /** All bytes as hex, for a snapshot. */
  save(): string {
    return this.#bytes.toHex();
  }
  /** @throws RangeError for anything but the hex of as many bytes */
  restore(saved: unknown): void {
    if (typeof saved !== "string" || saved.length !== 2 * this.#bytes.length || !/^[0-9a-f]*$/.test(saved))
      throw new RangeError(`"${this.map.name}" must be the hex of ${this.#bytes.length} bytes`);
    this.#bytes.setFromHex(saved);
  }
}
