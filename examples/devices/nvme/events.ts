// Asynchronous events (5.2): commands that wait until there is something to tell. Of one kind, errors, which are told one at a
// time: the next once the guest has read its log.
import { errorLog } from "./identity.ts";
import type { Command } from "./queues.ts";
import { need } from "./status.ts";

/** How the guest rang a doorbell: one that there is not, or with what cannot be. */
export const ringError = { unknown: 0, wrong: 1 } as const;
const waitingAtOnce = 4;

export class Events {
  readonly #waiting: Command[] = [];
  readonly #tell: (command: Command, result: number) => void;
  /** What there is to tell, and whether one was told and the log was not read since. */
  pending: number[] = [];
  isTold = false;

  /** @param tell ends a command that waits, with its result */
  constructor(tell: (command: Command, result: number) => void) {
    this.#tell = tell;
  }

  /** @throws CommandError for one too many: each has its place among the completions, where one is left for other commands */
  park(command: Command): void {
    const most = Math.min(waitingAtOnce, command.queue.completions.size - 2);
    need(this.#waiting.length < most, "tooManyEvents");
    this.#waiting.push(command);
    this.#deliver();
  }

  /** @returns whether it waited here */
  take(command: Command): boolean {
    const at = this.#waiting.indexOf(command);
    return at >= 0 && this.#waiting.splice(at, 1).length > 0;
  }

  raise(information: number): void {
    if (!this.pending.includes(information)) this.pending.push(information);
    this.#deliver();
  }

  wasRead(log: number): void {
    if (log === errorLog) this.isTold = false;
    this.#deliver();
  }

  #deliver(): void {
    if (this.isTold || this.pending.length === 0 || this.#waiting.length === 0) return;
    this.isTold = true;
    this.#tell(this.#waiting.shift()!, (this.pending.shift()! << 8) | (errorLog << 16));
  }
}
