// A little assembler for guests that are too small for one.

/** Bytes of a 16-bit or 32-bit value, the lowest first. */
const u16 = (value: number): number[] => [value & 0xff, (value >> 8) & 0xff];
const u32 = (value: number): number[] => [...u16(value & 0xffff), ...u16(value >>> 16)];

/** Real mode, 16 bits; those without addresses or 32-bit values are the same in protected mode. */
export const code = {
  /** mov al, value; out port, al */
  out8: (port: number, value: number): number[] => [0xb0, value, 0xe6, port],
  /** mov eax, value */
  eax: (value: number): number[] => [0x66, 0xb8, ...u32(value)],
  /** mov ax, segment; mov ds, ax */
  ds: (segment: number): number[] => [0xb8, ...u16(segment), 0x8e, 0xd8],
  sti: [0xfb],
  cli: [0xfa],
  hlt: [0xf4],
  /** hlt; jmp back to it, for ever */
  idle: [0xf4, 0xeb, 0xfd],
  iret: [0xcf],
} as const;

/** Protected mode, 32 bits. */
export const code32 = {
  /** mov dx, port; mov eax, value; out dx, eax */
  out: (port: number, value: number): number[] => [0x66, 0xba, ...u16(port), 0xb8, ...u32(value), 0xef],
  /** mov dword [address], value */
  store: (address: number, value: number): number[] => [0xc7, 0x05, ...u32(address), ...u32(value)],
  /** mov eax, [address] */
  load: (address: number): number[] => [0xa1, ...u32(address)],
  /** out port, eax */
  report: (port: number): number[] => [0xe7, port],
  /** inc dword [address] */
  increase: (address: number): number[] => [0xff, 0x05, ...u32(address)],
  /** Waits, with interrupts on while it halts, until a dword has a value. */
  haltUntil: (address: number, value: number): number[] => {
    // cmp dword [address], value; je over; sti; hlt; cli; jmp back
    const compare = [0x81, 0x3d, ...u32(address), ...u32(value)];
    return [...compare, 0x74, 0x05, 0xfb, 0xf4, 0xfa, 0xeb, 0x100 - compare.length - 7];
  },
  /** Reads a dword again and again until none of these bits is set. */
  pollClear: (address: number, bits: number): number[] => {
    // test dword [address], bits; jnz back
    const test = [0xf7, 0x05, ...u32(address), ...u32(bits)];
    return [...test, 0x75, 0x100 - test.length - 2];
  },
  /** Does something so many times: edi counts. */
  repeat: (times: number, body: readonly number[]): number[] => [
    // mov edi, times; body; dec edi; jnz back, near
    ...[0xbf, ...u32(times)],
    ...body,
    ...[0x4f, 0x0f, 0x85, ...u32(-(body.length + 7))],
  ],
  /** An interrupt handler: keeps eax, ends the interrupt at the local APIC. */
  handler: (body: readonly number[]): number[] => [
    0x50,
    ...body,
    ...code32.store(0xfee0_00b0, 0),
    0x58,
    0xcf,
  ],
} as const;

/** ICW1 to ICW4 and the mask of both PICs: IRQ 0 to 7 at vectors 8 to 15, 8 to 15 at 0x70; all unmasked. */
export const initPics: readonly number[] = [
  ...code.out8(0x20, 0x11),
  ...code.out8(0xa0, 0x11),
  ...code.out8(0x21, 0x08),
  ...code.out8(0xa1, 0x70),
  ...code.out8(0x21, 0x04),
  ...code.out8(0xa1, 0x02),
  ...code.out8(0x21, 0x01),
  ...code.out8(0xa1, 0x01),
  ...code.out8(0x21, 0x00),
  ...code.out8(0xa1, 0x00),
];
/** The vector of a PIC's IRQ, 0 to 15. */
export const vectorOf = (irq: number): number => (irq < 8 ? 8 + irq : 0x68 + irq);

/** Interrupts of both PICs ended: OCW2, non-specific. */
export const endOfInterrupt: readonly number[] = [...code.out8(0xa0, 0x20), ...code.out8(0x20, 0x20)];

/** The local APIC on, with the spurious vector 0xff. */
export const enableLocalApic: readonly number[] = code32.store(0xfee0_00f0, 0x1ff);
/** A pin of the IOAPIC sends a vector to CPU 0, level-triggered. */
export const routeIoapicPin = (pin: number, vector: number): number[] => [
  ...code32.store(0xfec0_0000, 0x11 + 2 * pin),
  ...code32.store(0xfec0_0010, 0),
  ...code32.store(0xfec0_0000, 0x10 + 2 * pin),
  ...code32.store(0xfec0_0010, 0x8000 | vector),
];
/** A config write by mechanism #1. @param value a dword, which goes to a dword register */
export const configWrite = (device: number, register: number, value: number): number[] => [
  ...code32.out(0xcf8, (0x8000_0000 | (device << 11) | register) >>> 0),
  ...code32.out(0xcfc, value),
];
