import { VfioError } from "../../../ffi/errors.ts";

/**
 * The life of something that several users share: its owner lets go of it once, and it ends when the last user has left.
 * So the kernel sees the one order that it allows, in whatever order its users are closed.
 */
export class SharedLifetime {
  readonly #name: () => string;
  readonly #end: () => void;
  #users = 0;
  #released = false;

  /** @param name for messages @param end closes it; called once */
  constructor(name: () => string, end: () => void) {
    this.#name = name;
    this.#end = end;
  }

  get users(): number {
    return this.#users;
  }

  /** @throws VfioError (`ECLOSED`) once the owner has let go */
  check(): void {
    if (this.#released)
      throw new VfioError(`${this.#name()} is closed`, { code: "ECLOSED", device: this.#name() });
  }

  /** One more user. @returns what takes it off again; safe to call twice @throws VfioError (`ECLOSED`) */
  acquire(): () => void {
    this.check();
    this.#users++;
    let inside = true;
    return () => {
      if (!inside) return;
      inside = false;
      this.#users--;
      if (this.#released && this.#users === 0) this.#end();
    };
  }

  /** The owner lets go. Safe to call twice. */
  release(): void {
    if (this.#released) return;
    this.#released = true;
    if (this.#users === 0) this.#end();
  }
}
