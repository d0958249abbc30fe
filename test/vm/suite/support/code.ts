// A little assembler for guests that are too small for one: real mode, 16 bits.

/** Bytes of a 16-bit or 32-bit value, the lowest first. */
const u16 = (value: number): number[] => [value & 0xff, (value >> 8) & 0xff];
const u32 = (value: number): number[] => [...u16(value & 0xffff), ...u16(value >>> 16)];

export const code = {
  /** mov al, value; out port, al */
  out8: (port: number, value: number): number[] => [0xb0, value, 0xe6, port],
  /** mov eax, value */
  eax: (value: number): number[] => [0x66, 0xb8, ...u32(value)],
  /** mov dx, port; out dx, eax */
  outEax: (port: number): number[] => [0xba, ...u16(port), 0x66, 0xef],
  /** mov dx, port; in eax, dx */
  inEax: (port: number): number[] => [0xba, ...u16(port), 0x66, 0xed],
  /** out port, eax: a report to the VMM */
  report: (port: number): number[] => [0x66, 0xe7, port],
  /** mov ax, segment; mov ds, ax */
  ds: (segment: number): number[] => [0xb8, ...u16(segment), 0x8e, 0xd8],
  /** mov dword [offset], value */
  store32: (offset: number, value: number): number[] => [0x66, 0xc7, 0x06, ...u16(offset), ...u32(value)],
  /** mov eax, [offset] */
  load32: (offset: number): number[] => [0x66, 0xa1, ...u16(offset)],
  sti: [0xfb],
  hlt: [0xf4],
  /** hlt; jmp back to it, for ever */
  idle: [0xf4, 0xeb, 0xfd],
  iret: [0xcf],
  pushEax: [0x66, 0x50],
  popEax: [0x66, 0x58],
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
