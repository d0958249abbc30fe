// Asynchronous events (5.2): commands that wait until there is something to tell. An event of a kind is told once, until the guest
// has read its log.
import { errorLog } from "./identity.ts";
import type { Command } from "./queues.ts";
import { need } from "./status.ts";

/** How the guest rang a doorbell: one that there is not, or with what cannot be. */
export const ringError = { unknown: 0, wrong: 1 } as const;
const waitingAtOnce = 4;

/** The events of errors, the one kind (0) that there is. */
export class Events {
  readonly #parked: Command[] = [];
  /** What there is to tell. */
  pending: number[] = [];
  /** Whether one was told, and the log was not read since. */
  isTold = false;
  readonly #tell: (command: Command, result: number) => void;

  /** @param tell ends a command that waits, with its result */
  constructor(tell: (command: Command, result: number) => void) {
    this.#tell = tell;
  }

  /** @throws CommandError for one too many */
  park(command: Command): void {
    // Each has its place among the completions, of which one stays for other commands.
    const most = Math.min(waitingAtOnce, command.queue.completions.size - 2);
    need(this.#parked.length < most, "tooManyEvents");
    this.#parked.push(command);
    this.deliver();
  }

  /** @returns whether it waited here */
  take(command: Command): boolean {
    const at = this.#parked.indexOf(command);
    if (at >= 0) this.#parked.splice(at, 1);
    return at >= 0;
  }

  raise(information: number): void {
    if (!this.pending.includes(information)) this.pending.push(information);
    this.deliver();
  }

  /** The guest has read a log: there may be more to tell. */
  wasRead(log: number): void {
    if (log === errorLog) this.isTold = false;
    this.deliver();
  }

  deliver(): void {
    if (this.isTold || this.pending.length === 0 || this.#parked.length === 0) return;
    this.isTold = true;
    this.#tell(this.#parked.shift()!, (this.pending.shift()! << 8) | (errorLog << 16));
  }
}
