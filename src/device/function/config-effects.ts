/** What config writes make happen outside of config space. */
export interface ConfigEffects {
  /** A reset of the function: by a reset bit, or by leaving D3hot. */
  reset(): void;
  /** The user's interrupt disable bit changed. */
  interruptDisable(disabled: boolean): void;
  /** MSI mask bits may have changed. */
  msiMask(): void;
}
