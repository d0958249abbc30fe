// Requests that were given up and whose answers may still come.

/** More than these, and a server is taken for dead. */
const maxAbandoned = 64;

/** Ids of requests that were given up. Times in milliseconds, on the clock of `performance.now`. */
export class LateReplies {
  readonly #grace: number;
  readonly #since = new Map<number, number>();

  /** @param grace how long a server may say nothing at all after a request was given up */
  constructor(grace: number) {
    this.#grace = grace;
  }

  /** @returns false where nothing late is waited for: the server is given up with the request */
  giveUp(id: number): boolean {
    if (this.#grace <= 0 || this.#since.size >= maxAbandoned) return false;
    this.#since.set(id, performance.now());
    return true;
  }

  /** @returns whether a reply with this id was waited for in vain; it shows that the server lives */
  came(id: number): boolean {
    if (!this.#since.delete(id)) return false;
    for (const one of this.#since.keys()) this.#since.set(one, performance.now());
    return true;
  }

  /** For how long the server has said nothing, where that is too long; else undefined. */
  silence(now: number): number | undefined {
    if (this.#since.size === 0) return undefined;
    const [since = now] = this.#since.values();
    return now - since > this.#grace ? now - since : undefined;
  }
}
