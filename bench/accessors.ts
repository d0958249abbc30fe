// Generated accessors beside the code that one would write by hand over a DataView, and typed-struct.
// Each bench walks 64 instances: over a single one the compiler moves the whole access out of the loop.
import { bench, do_not_optimize, group, summary } from "mitata";
import { Struct } from "typed-struct";
import { msixCapability, msixTableEntry } from "../src/regs/index.ts";

const count = 64;
const stride = 16;

/** What a careful author writes by hand. */
class HandCapability {
  readonly memory: DataView;
  readonly base: number;
  constructor(memory: DataView, base: number) {
    this.memory = memory;
    this.base = base;
  }
  get tableSize(): number {
    return this.memory.getUint16(this.base + 2, true) & 0x7ff;
  }
  get enable(): boolean {
    return (this.memory.getUint16(this.base + 2, true) & 0x8000) !== 0;
  }
  set enable(value: boolean) {
    const at = this.base + 2;
    this.memory.setUint16(at, (this.memory.getUint16(at, true) & 0x7fff) | (value ? 0x8000 : 0), true);
  }
}
class HandEntry {
  readonly memory: DataView;
  readonly base: number;
  constructor(memory: DataView, base: number) {
    this.memory = memory;
    this.base = base;
  }
  get data(): number {
    return this.memory.getUint32(this.base + 8, true);
  }
  set data(value: number) {
    this.memory.setUint32(this.base + 8, value, true);
  }
}
const StructCapability = new Struct("msix").UInt8("id").UInt8("next").UInt16LE("control").compile();
const StructEntry = new Struct("entry").UInt32LE("low").UInt32LE("high").UInt32LE("data").compile();

/** Three ways to the same end. */
export type Ways = Readonly<Record<"hand" | "generated" | "typed-struct", () => unknown>>;

/** Registers the five comparisons, each with the hand-written code as its baseline: `NAME: hand`, `NAME: generated`, ... */
export function accessorBenches(): Readonly<Record<string, Ways>> {
  const bytes = new Uint8Array(new ArrayBuffer(count * stride));
  const memory = new DataView(bytes.buffer);
  const each = <T>(make: (base: number) => T): T[] =>
    Array.from({ length: count }, (_, i) => make(i * stride));
  const part = (base: number): Buffer => Buffer.from(bytes.buffer, base, stride);
  const byHand = each((base) => new HandCapability(memory, base));
  const byMap = each((base) => msixCapability.view(memory, base));
  const byStruct = each((base) => new StructCapability(part(base)));
  const entryByHand = each((base) => new HandEntry(memory, base));
  const entryByMap = each((base) => msixTableEntry.view(memory, base));
  const entryByStruct = each((base) => new StructEntry(part(base)));
  const parts = each(part);

  const { View } = msixCapability;
  const comparisons: Readonly<Record<string, Ways>> = {
    "construct over a buffer": {
      hand() {
        for (let i = 0; i < count; i++) do_not_optimize(new HandCapability(memory, i));
      },
      generated() {
        for (let i = 0; i < count; i++) do_not_optimize(new View(memory, i));
      },
      "typed-struct"() {
        for (let i = 0; i < count; i++) do_not_optimize(new StructCapability(parts[i]!));
      },
    },
    get: {
      hand() {
        let sum = 0;
        for (let i = 0; i < count; i++) sum += entryByHand[i]!.data;
        return sum;
      },
      generated() {
        let sum = 0;
        for (let i = 0; i < count; i++) sum += entryByMap[i]!.data;
        return sum;
      },
      "typed-struct"() {
        let sum = 0;
        for (let i = 0; i < count; i++) sum += entryByStruct[i]!.data;
        return sum;
      },
    },
    set: {
      hand() {
        for (let i = 0; i < count; i++) entryByHand[i]!.data = i;
      },
      generated() {
        for (let i = 0; i < count; i++) entryByMap[i]!.data = i;
      },
      "typed-struct"() {
        for (let i = 0; i < count; i++) entryByStruct[i]!.data = i;
      },
    },
    "field get": {
      hand() {
        let sum = 0;
        for (let i = 0; i < count; i++) sum += byHand[i]!.tableSize;
        return sum;
      },
      generated() {
        let sum = 0;
        for (let i = 0; i < count; i++) sum += byMap[i]!.controlTableSize;
        return sum;
      },
      "typed-struct"() {
        let sum = 0;
        for (let i = 0; i < count; i++) sum += byStruct[i]!.control & 0x7ff;
        return sum;
      },
    },
    "field set": {
      hand() {
        for (let i = 0; i < count; i++) byHand[i]!.enable = (i & 1) === 0;
      },
      generated() {
        for (let i = 0; i < count; i++) byMap[i]!.controlEnable = (i & 1) === 0;
      },
      "typed-struct"() {
        for (let i = 0; i < count; i++)
          byStruct[i]!.control = (byStruct[i]!.control & 0x7fff) | ((i & 1) << 15);
      },
    },
  };
  for (const [name, ways] of Object.entries(comparisons))
    group(`${name}, ${count} instances`, () => {
      summary(() => {
        for (const [way, run] of Object.entries(ways))
          bench(`${name}: ${way}`, () => do_not_optimize(run())).baseline(way === "hand");
      });
    });
  return comparisons;
}
