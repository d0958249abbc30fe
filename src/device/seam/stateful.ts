// What a part of an attached device offers a snapshot. Each part knows its own state; its schema stands beside it.

/** A part whose state is plain data, made for JSON. */
export interface Stateful<State> {
  /** @throws what the backend or the platform throws where it cannot tell */
  save(): State;
  /** Takes on a state that was checked by its schema. @throws VfioError where it does not fit the part */
  restore(state: State): void;
}
