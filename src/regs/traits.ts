/** What a register or one of its fields is, besides its bits and its access word. */
export interface FieldTraits {
  /** The short name that PCI tools print, as `MaxPayload` or `BusMaster`; the property's own name without it. */
  readonly label?: string | undefined;
  /** May change without a write by the guest: read from the device each time. Without it a value is static between writes. */
  readonly volatile?: boolean | undefined;
  /** A read has a side effect on the device: never read in a dump or at attach. */
  readonly precious?: boolean | undefined;
  /** Owned by the passthrough model: the guest reads and writes the shadow, never the device. */
  readonly emulated?: boolean | undefined;
  /** Printed as hexadecimal. */
  readonly hex?: boolean | undefined;
}

/** Marks bits that the device may change by itself. */
export const volatile = <T extends FieldTraits>(what: T): T => ({ ...what, volatile: true });
/** Marks bits whose read has a side effect. */
export const precious = <T extends FieldTraits>(what: T): T => ({ ...what, precious: true, volatile: true });
/** Marks bits that the passthrough model serves itself. */
export const emulated = <T extends FieldTraits>(what: T): T => ({ ...what, emulated: true });
/** Has a value printed as hexadecimal. */
export const hex = <T extends FieldTraits>(what: T): T => ({ ...what, hex: true });
