/**
 * What software may do to bits of a register, in the words of the PCI Express Base Specification, section 7.4.
 * The `s` forms are sticky: they keep their value through a conventional or function-level reset.
 */
export const accessWords = {
  /** Read-only; set by hardware. */
  ro: { write: "none", sticky: false },
  /** Read-write. */
  rw: { write: "store", sticky: false },
  /** Write 1 to clear a status bit; a 0 leaves it alone. */
  rw1c: { write: "clear", sticky: false },
  /** Initialised by firmware or hardware, read-only afterwards. */
  hwinit: { write: "none", sticky: true },
  /** Reserved, preserve: software writes back what it read. */
  rsvdp: { write: "none", sticky: false },
  /** Reserved, zero: software writes 0. */
  rsvdz: { write: "none", sticky: false },
  ros: { write: "none", sticky: true },
  rws: { write: "store", sticky: true },
  rw1cs: { write: "clear", sticky: true },
} as const satisfies Record<string, { write: "none" | "store" | "clear"; sticky: boolean }>;

/** An access word. */
export type Access = keyof typeof accessWords;

/** The access words whose bits a guest's write can change: stored, or cleared by a 1. */
export type Writable = "rw" | "rws" | "rw1c" | "rw1cs";
