// A64 instructions of a guest's program (Arm Architecture Reference Manual, C6), and a program that does what a table says.

/** Encodes little-endian. */
export const bytesOfWords = (words: readonly number[]): Uint8Array =>
  new Uint8Array(Uint32Array.from(words).buffer);

type Register = number;
const movz = (to: Register, value: number, half = 0): number =>
  (0xd280_0000 | (half << 21) | (value << 5) | to) >>> 0;
const movk = (to: Register, value: number, half: number): number =>
  (0xf280_0000 | (half << 21) | (value << 5) | to) >>> 0;
/** A number below 2^32. */
const load = (to: Register, value: number): number[] => [
  movz(to, value & 0xffff),
  movk(to, Math.floor(value / 2 ** 16) & 0xffff, 1),
];
const loadNext = (to: Register, from: Register): number => (0xf840_8400 | (from << 5) | to) >>> 0;
const load32 = (to: Register, at: Register, offset = 0): number =>
  (0xb940_0000 | ((offset / 4) << 10) | (at << 5) | to) >>> 0;
const store32 = (from: Register, at: Register, offset = 0): number =>
  (0xb900_0000 | ((offset / 4) << 10) | (at << 5) | from) >>> 0;
const store64 = (from: Register, at: Register): number => (0xf900_0000 | (at << 5) | from) >>> 0;
const addOne = (to: Register): number => (0x1100_0400 | (to << 5) | to) >>> 0;
const compare = (a: Register, value: number): number => (0xf100_001f | (value << 10) | (a << 5)) >>> 0;
const compare32 = (a: Register, b: Register): number => (0x6b00_001f | (b << 16) | (a << 5)) >>> 0;
const branchIf = (condition: "equal" | "different", words: number): number =>
  (0x5400_0000 | ((words & 0x7_ffff) << 5) | (condition === "equal" ? 0 : 1)) >>> 0;
const branch = (words: number): number => (0x1400_0000 | (words & 0x3ff_ffff)) >>> 0;
type SystemRegister = readonly [op1: number, n: number, m: number, op2: number];
const system = (base: number, [op1, n, m, op2]: SystemRegister, register: Register): number =>
  (base | (1 << 19) | (op1 << 16) | (n << 12) | (m << 8) | (op2 << 5) | register) >>> 0;
const readSystem = (to: Register, from: SystemRegister): number => system(0xd530_0000, from, to);
const writeSystem = (to: SystemRegister, from: Register): number => system(0xd510_0000, to, from);
const registers = {
  ...{ priorityMask: [0, 4, 6, 0], systemRegisterEnable: [0, 12, 12, 5], group1Enable: [0, 12, 12, 7] },
  ...{ acknowledge: [0, 12, 12, 0], end: [0, 12, 12, 1], vectors: [0, 12, 0, 0] },
} as const satisfies Record<string, SystemRegister>;
const [dataBarrier, instructionBarrier] = [0xd503_3f9f, 0xd503_3fdf];
const [unmaskIrqs, exceptionReturn, hypervisorCall] = [0xd503_42ff, 0xd69f_03e0, 0xd400_0002];

/** What the guest does, one after the other: a write of 32 or 64 bits, or waiting until 32 bits of memory are a value. */
export type Step = readonly [
  "write32" | "write64" | "until" | "copy32",
  address: number,
  value: number | bigint,
];
const codes = { write32: 4, write64: 8, until: 1, copy32: 2 };

/** The steps as the program reads them: address, value (for `copy32` where to write what is there), code. */
export function tableOf(steps: readonly Step[]): Uint8Array {
  const words = steps.flatMap(([what, address, value]) => [
    BigInt(address),
    BigInt(value),
    BigInt(codes[what]),
  ]);
  return new Uint8Array(BigUint64Array.from([...words, 0n, 0n, 0n]).buffer);
}

/** A program that turns its interrupts on, does what the table at `table` says, and turns the machine off by PSCI. */
export function stepper(table: number, vectors: number): number[] {
  const code = [
    ...[...load(0, vectors), writeSystem(registers.vectors, 0)],
    ...[movz(0, 7), writeSystem(registers.systemRegisterEnable, 0), instructionBarrier],
    ...[movz(0, 0xff), writeSystem(registers.priorityMask, 0)],
    ...[movz(0, 1), writeSystem(registers.group1Enable, 0), instructionBarrier, unmaskIrqs],
    ...load(0, table),
  ];
  const loop = [
    ...[loadNext(1, 0), loadNext(2, 0), loadNext(3, 0)],
    ...[compare(3, codes.write32), branchIf("different", 4), store32(2, 1), dataBarrier, branch(-7)],
    ...[compare(3, codes.write64), branchIf("different", 4), store64(2, 1), dataBarrier, branch(-12)],
    ...[compare(3, codes.copy32), branchIf("different", 4), load32(4, 1), store32(4, 2), branch(-17)],
    ...[
      compare(3, codes.until),
      branchIf("different", 5),
      load32(4, 1),
      compare32(4, 2),
      branchIf("different", -2),
      branch(-23),
    ],
    // PSCI SYSTEM_OFF (Arm DEN 0022, 5.1.9).
    ...[...load(0, 0x8400_0008), hypervisorCall, branch(0)],
  ];
  return [...code, ...loop];
}

/**
 * A table of vectors, 2 KiB: an interrupt is counted at `counter`, its INTID kept behind that, and `value` written to `at`.
 * @param counter 32 bits of memory @param at what the device hears of it by
 */
export function vectorTable(counter: number, at: number, value: number): number[] {
  const words = Array.from({ length: 0x800 / 4 }, () => branch(0));
  const handler = [
    ...[readSystem(10, registers.acknowledge), ...load(11, counter)],
    ...[...load(13, at), ...load(14, value), store32(14, 13), dataBarrier],
    ...[store32(10, 11, 4), load32(12, 11), addOne(12), store32(12, 11)],
    ...[writeSystem(registers.end, 10), dataBarrier, exceptionReturn],
  ];
  // IRQ from the current exception level with its own stack pointer (D1.4).
  words.splice(0x280 / 4, handler.length, ...handler);
  return words;
}
