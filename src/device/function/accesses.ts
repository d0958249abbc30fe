/** Accesses that were asked for and not refused. */
export interface RecordedAccesses {
  /** By region index. */
  readonly reads: number[];
  /** By region index. */
  readonly writes: number[];
  /** Interrupt requests. */
  setIrqs: number;
  /** Resets of the function: by `reset`, by a reset bit in config space, and by leaving D3hot where that is one. */
  resets: number;
}
