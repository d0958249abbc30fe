/** What a read does to the bits: nothing, clear or set them; or it tells nothing of them. */
export type ReadEffect = "none" | "clears" | "sets" | "unreadable";
/**
 * What a write does to the bits: it is ignored; stores them; a 1 clears, sets or toggles its bit, or a 0 clears it; a 1 starts
 * something, which clears the bit again.
 */
export type WriteEffect = "none" | "store" | "clear" | "set" | "toggle" | "zero-clears" | "start";

/**
 * What software may do to bits of a register, in the words of the PCI Express Base Specification, section 7.4, and of
 * datasheets. The `s` forms of the former are sticky: they keep their value through a conventional or function-level reset.
 */
export const accessWords = {
  /** Read-only; set by hardware. */
  ro: { read: "none", write: "none", sticky: false },
  /** Read-write. */
  rw: { read: "none", write: "store", sticky: false },
  /** Write 1 to clear a status bit; a 0 leaves it alone. */
  rw1c: { read: "none", write: "clear", sticky: false },
  /** Initialised by firmware or hardware, read-only afterwards. */
  hwinit: { read: "none", write: "none", sticky: true },
  /** Reserved, preserve: software writes back what it read. */
  rsvdp: { read: "none", write: "none", sticky: false },
  /** Reserved, zero: software writes 0. */
  rsvdz: { read: "none", write: "none", sticky: false },
  ros: { read: "none", write: "none", sticky: true },
  rws: { read: "none", write: "store", sticky: true },
  rw1cs: { read: "none", write: "clear", sticky: true },
  /** Write-only: what a read gives of it means nothing. */
  wo: { read: "unreadable", write: "store", sticky: false },
  /** Write 1 to set a bit; a 0 leaves it alone. */
  rw1s: { read: "none", write: "set", sticky: false },
  /** Write 0 to clear a bit; a 1 leaves it alone. */
  rw0c: { read: "none", write: "zero-clears", sticky: false },
  /** Write 1 to invert a bit; a 0 leaves it alone. */
  rw1t: { read: "none", write: "toggle", sticky: false },
  /** Self-clearing: a 1 starts something, and hardware makes it a 0 again; a 0 does nothing. */
  rwsc: { read: "none", write: "start", sticky: false },
  /** Read to clear. */
  rc: { read: "clears", write: "none", sticky: false },
  /** Read to set. */
  rs: { read: "sets", write: "none", sticky: false },
  /** Cleared by a read, and by writing 1. */
  rcw1c: { read: "clears", write: "clear", sticky: false },
} as const satisfies Record<string, { read: ReadEffect; write: WriteEffect; sticky: boolean }>;

/** An access word. */
export type Access = keyof typeof accessWords;

/** The access words whose bits a write can change. */
export type Writable = {
  [A in Access]: (typeof accessWords)[A]["write"] extends "none" ? never : A;
}[Access];
/** The access words whose bits a read changes. */
export type ReadChanges = {
  [A in Access]: (typeof accessWords)[A]["read"] extends "clears" | "sets" ? A : never;
}[Access];
/** The access words whose bits cannot be read. */
export type Unreadable = {
  [A in Access]: (typeof accessWords)[A]["read"] extends "unreadable" ? A : never;
}[Access];

/** Whether a write can change what has this access word. */
export const isWritable = (access: Access): boolean => accessWords[access].write !== "none";
/** Whether a read changes what has this access word. */
export const readChanges = (access: Access): boolean =>
  accessWords[access].read === "clears" || accessWords[access].read === "sets";
/** Whether it says that the bits are reserved. */
export const isReserved = (access: Access): boolean => access === "rsvdp" || access === "rsvdz";
